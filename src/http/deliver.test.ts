import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { httpDate, parseHttpDate } from './date.ts';
import { deliver } from './deliver.ts';
import { Fields } from './fields.ts';
import type { HttpResponse } from './message.ts';
import { parseRange } from './range.ts';

const CONTENT = Buffer.from('0123456789');
const MODIFIED = 'Sun, 06 Nov 1994 08:49:37 GMT';
const LATER = 'Sun, 06 Nov 1994 08:49:38 GMT';

const stored = (over: Partial<HttpResponse> = {}): HttpResponse => ({
  status: 200,
  fields: new Fields([
    'Content-Type',
    'text/plain',
    'ETag',
    '"v1"',
    'Last-Modified',
    MODIFIED,
    'Cache-Control',
    'max-age=9',
  ]),
  body: CONTENT,
  ...over,
});
const ask = (raw: string[], method = 'GET') => ({ method, fields: new Fields(raw) });
const bytes = async ({ body }: HttpResponse): Promise<string> => {
  if (body === null || Buffer.isBuffer(body)) return String(body);
  return Buffer.concat(await body.toArray()).toString();
};

describe('conditions', () => {
  const cases: [raw: string[], status: number, method?: string][] = [
    [[], 200],
    [['If-None-Match', '"v1"'], 304],
    [['If-None-Match', 'W/"v1"'], 304],
    [['If-None-Match', '"v0", "v,1", "v1"'], 304],
    [['If-None-Match', '*'], 304],
    [['If-None-Match', '"v0"'], 200],
    [['If-None-Match', '"v1"'], 304, 'HEAD'],
    [['If-None-Match', '"v1"'], 200, 'POST'],
    [['If-Modified-Since', MODIFIED], 304],
    [['If-Modified-Since', LATER], 304],
    [['If-Modified-Since', 'Sun, 06 Nov 1994 08:49:36 GMT'], 200],
    [['If-Modified-Since', 'yesterday'], 200],
    [['If-None-Match', '"v0"', 'If-Modified-Since', LATER], 200],
    [['If-Match', '"v0"'], 200],
  ];
  for (const [raw, status, method = 'GET'] of cases) {
    test(`${method} ${raw.join(' ')} is a ${status}`, () =>
      assert.equal(deliver(ask(raw, method), stored()).status, status));
  }
  test('304 keeps what caches need and nothing about content', () => {
    const answer = deliver(ask(['If-None-Match', '"v1"']), stored());
    assert.deepEqual(answer.fields.raw, ['ETag', '"v1"', 'Last-Modified', MODIFIED, 'Cache-Control', 'max-age=9']);
    assert.equal(answer.body, null);
  });
  test('the origin judges If-Match and If-Unmodified-Since too', () => {
    const status = (...raw: string[]): number => deliver(ask(raw), stored(), { asOrigin: true }).status;
    assert.equal(status('If-Match', '"v1"'), 200);
    assert.equal(status('If-Match', 'W/"v1"'), 412);
    assert.equal(status('If-Match', '*'), 200);
    assert.equal(status('If-Unmodified-Since', 'Sun, 06 Nov 1994 08:49:36 GMT'), 412);
    assert.equal(status('If-Unmodified-Since', MODIFIED), 200);
  });
  test('a stream that is not needed is let go', () => {
    const body = new Readable({ read() {} });
    deliver(ask(['If-None-Match', '*']), stored({ body }));
    assert.equal(body.destroyed, true);
  });
  test('an answer that is not a 200 is left alone', () => {
    const answer = stored({ status: 404 });
    assert.equal(deliver(ask(['If-None-Match', '*', 'Range', 'bytes=0-1']), answer), answer);
  });
});

describe('ranges', () => {
  const cases: [range: string, content: string, contentRange: string][] = [
    ['bytes=0-0', '0', 'bytes 0-0/10'],
    ['bytes=2-4', '234', 'bytes 2-4/10'],
    ['bytes=8-', '89', 'bytes 8-9/10'],
    ['bytes=8-99', '89', 'bytes 8-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=-99', '0123456789', 'bytes 0-9/10'],
    ['BYTES = 2-4', '234', 'bytes 2-4/10'],
    ['bytes=2-4, 20-30', '234', 'bytes 2-4/10'],
  ];
  for (const [range, content, contentRange] of cases) {
    test(`${range} of a buffer and of a stream`, async () => {
      const chunks = ['012', '3', '456789'].map((part) => Buffer.from(part));
      const fields = stored().fields.append('Content-Length', '10');
      for (const body of [CONTENT, Readable.from(chunks)]) {
        const answer = deliver(ask(['Range', range]), stored({ body, fields }));
        assert.equal(answer.status, 206);
        assert.equal(answer.fields.get('content-range'), contentRange);
        assert.equal(answer.fields.get('content-length'), String(content.length));
        assert.equal(await bytes(answer), content);
      }
    });
  }
  for (const range of ['bytes=4-2', 'bytes=a-b', 'bytes=', 'bytes=1-2,', 'lines=1-2', 'bytes=0-4,3-6', 'bytes=--1']) {
    test(`${range} is ignored`, () => {
      const answer = deliver(ask(['Range', range]), stored());
      assert.deepEqual([answer.status, answer.body], [200, CONTENT]);
    });
  }
  test('many small ranges are answered with the whole', () => {
    const range = `bytes=${Array.from({ length: 9 }, (_, at) => `${at}-${at}`).join(',')}`;
    assert.equal(deliver(ask(['Range', range]), stored()).status, 200);
  });
  test('nothing of it exists: 416 tells the size', () => {
    for (const range of ['bytes=10-', 'bytes=-0', 'bytes=10-20,30-40']) {
      const answer = deliver(ask(['Range', range]), stored());
      assert.deepEqual([answer.status, answer.fields.get('content-range'), answer.body], [416, 'bytes */10', null]);
    }
  });
  test('several become parts, each with its place', async () => {
    const answer = deliver(ask(['Range', 'bytes=0-1, -2']), stored());
    const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(answer.fields.get('content-type')!)![1];
    const part = (range: string, content: string): string =>
      `\r\n--${boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes ${range}/10\r\n\r\n${content}`;
    const body = await bytes(answer);
    assert.equal(body, `${part('0-1', '01')}${part('8-9', '89')}\r\n--${boundary}--\r\n`);
    assert.equal(answer.fields.get('content-length'), String(body.length));
  });
  test('If-Range lets only ranges of the same representation through', () => {
    const status = (value: string): number => deliver(ask(['Range', 'bytes=0-1', 'If-Range', value]), stored()).status;
    assert.deepEqual(['"v1"', '"v0"', 'W/"v1"', MODIFIED, LATER].map(status), [206, 200, 200, 206, 200]);
  });
  test('HEAD knows no ranges, and a condition comes first', () => {
    assert.equal(deliver(ask(['Range', 'bytes=0-1'], 'HEAD'), stored()).status, 200);
    assert.equal(deliver(ask(['Range', 'bytes=0-1', 'If-None-Match', '"v1"']), stored()).status, 304);
  });
  test('a stream of unknown length is sent whole', () => {
    assert.equal(deliver(ask(['Range', 'bytes=0-1']), stored({ body: Readable.from([]) })).status, 200);
  });
  test('the source of a cut stream is left at its last byte', async () => {
    let pulled = 0;
    const body = new Readable({
      read() {
        pulled++;
        this.push(Buffer.alloc(1_000));
      },
    });
    const fields = new Fields(['Content-Length', '1000000000']);
    const answer = deliver(ask(['Range', 'bytes=0-4999']), stored({ body, fields }));
    assert.equal((await bytes(answer)).length, 5_000);
    assert.equal(body.destroyed, true);
    assert.ok(pulled < 200);
  });
  test('what is given as partial lies inside and does not overlap', () => {
    const spec = fc.tuple(fc.option(fc.nat(40)), fc.option(fc.nat(40))).map(([a, b]) => `${a ?? ''}-${b ?? ''}`);
    fc.assert(
      fc.property(fc.array(spec, { minLength: 1, maxLength: 9 }), fc.nat(30), (specs, size) => {
        const verdict = parseRange(`bytes=${specs.join(',')}`, size);
        if (verdict.kind !== 'partial') return;
        const sorted = verdict.ranges.toSorted((one, other) => one.first - other.first);
        sorted.forEach(({ first, last }, at) => {
          assert.ok(0 <= first && first <= last && last < size);
          assert.ok(at === 0 || sorted[at - 1]!.last < first);
        });
      }),
    );
  });
});

test('dates are read in three forms and written in one', () => {
  const time = Date.UTC(1994, 10, 6, 8, 49, 37);
  for (const form of [MODIFIED, 'Sunday, 06-Nov-94 08:49:37 GMT', 'Sun Nov  6 08:49:37 1994']) {
    assert.equal(parseHttpDate(form), time, form);
  }
  for (const bad of [undefined, '', '0', '1994-11-06', 'Sun, 06 Nov 1994 08:49:37', 'Sun, 6 Nov 1994 08:49:37 GMT']) {
    assert.equal(parseHttpDate(bad), undefined, String(bad));
  }
  const clock = { nowMs: () => time + 999, monotonicMs: () => 0, setTimer: () => ({ cancel() {} }) };
  assert.equal(httpDate(clock), MODIFIED);
});
