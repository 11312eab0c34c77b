import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { brotliDecompressSync, createGunzip, gunzipSync } from 'node:zlib';
import { compress, compressVerdict } from './compress.ts';
import { Fields } from './fields.ts';
import type { HttpResponse } from './message.ts';
import { type AcceptedEncodings, isCompressible, normaliseAcceptEncoding } from './negotiate.ts';

const PAGE = Buffer.from('<p>the same again and again</p>'.repeat(100));
const page = (
  raw: string[] = ['Content-Type', 'text/html; charset=utf-8'],
  over: Partial<HttpResponse> = {},
): HttpResponse => ({
  status: 200,
  fields: new Fields(raw),
  body: PAGE,
  ...over,
});
const verdict = (response: HttpResponse, accepted: AcceptedEncodings = 'br, gzip', method = 'GET') =>
  compressVerdict({ method, path: '/' }, response, accepted);

test('Accept-Encoding is reduced to four values', () => {
  const cases: [string | undefined, AcceptedEncodings][] = [
    [undefined, 'identity'],
    ['', 'identity'],
    ['identity', 'identity'],
    ['deflate, zstd', 'identity'],
    ['gzip', 'gzip'],
    ['GZIP;q=0.5', 'gzip'],
    ['gzip, deflate, br, zstd', 'br, gzip'],
    ['br;q=1, gzip;q=0.1', 'br, gzip'],
    ['br, gzip;q=0', 'br'],
    ['br', 'br'],
    ['*', 'br, gzip'],
    ['*;q=0', 'identity'],
    ['gzip, *;q=0', 'gzip'],
  ];
  for (const [value, accepted] of cases) assert.equal(normaliseAcceptEncoding(value), accepted, String(value));
});

test('types are compressible by name, files without a telling type by extension', () => {
  for (const type of ['text/html', 'Text/CSS; charset=x', 'application/json', 'image/svg+xml', 'font/ttf']) {
    assert.equal(isCompressible(type, '/'), true, type);
  }
  for (const type of ['image/png', 'video/mp4', 'application/zip', 'text/event-stream']) {
    assert.equal(isCompressible(type, '/a.js'), false, type);
  }
  assert.equal(isCompressible(undefined, '/a.JS'), true);
  assert.equal(isCompressible('application/octet-stream', '/font.otf'), true);
  assert.equal(isCompressible(undefined, '/a.png'), false);
});

describe('the verdict', () => {
  test('follows what the client takes: gzip for both, br for br alone', () => {
    const codings = (['br, gzip', 'gzip', 'br', 'identity'] as const).map(
      (accepted) => verdict(page(), accepted).coding,
    );
    assert.deepEqual(codings, ['gzip', 'gzip', 'br', null]);
  });
  const html = ['Content-Type', 'text/html'];
  const refused: [string, HttpResponse, string?][] = [
    ['already coded', page([...html, 'Content-Encoding', 'br'])],
    ['no-transform', page([...html, 'Cache-Control', 'public, no-transform'])],
    ['event stream', page(['Content-Type', 'text/event-stream'])],
    ['type', page(['Content-Type', 'image/png'])],
    ['too small', page(html, { body: Buffer.from('hi') })],
    ['too small', page([...html, 'Content-Length', '5'], { body: Readable.from([]) })],
    ['status 206', page(html, { status: 206 })],
    ['no body', page(html, { body: null })],
    ['no body', page(html), 'HEAD'],
  ];
  for (const [reason, response, method] of refused) {
    test(`says why not: ${reason}`, () =>
      assert.deepEqual(verdict(response, 'gzip', method), { coding: null, reason }));
  }
});

test('a compressed response tells so, loses its length and weakens its validator', async () => {
  const given = page([
    'Content-Type',
    'text/html',
    'Content-Length',
    String(PAGE.length),
    'ETag',
    '"a"',
    'Vary',
    'Origin',
  ]);
  for (const [coding, decode] of [
    ['gzip', gunzipSync],
    ['br', brotliDecompressSync],
  ] as const) {
    for (const body of [PAGE, Readable.from([PAGE.subarray(0, 100), PAGE.subarray(100)])]) {
      const response = compress({ ...given, body }, coding);
      assert.deepEqual(response.fields.raw, [
        'Content-Type',
        'text/html',
        'ETag',
        'W/"a"',
        'Vary',
        'Origin, accept-encoding',
        'content-encoding',
        coding,
      ]);
      const coded = Buffer.concat(await (response.body as Readable).toArray());
      assert.ok(coded.length < PAGE.length / 10);
      assert.ok(decode(coded).equals(PAGE));
    }
  }
});

test('what has been written is seen although the page has not ended', async () => {
  const source = new Readable({ read() {} });
  const response = compress(page(undefined, { body: source }), 'gzip');
  const seen = (response.body as Readable).pipe(createGunzip());
  source.push('<h1>first</h1>');
  assert.equal(String((await once(seen, 'data'))[0]), '<h1>first</h1>');
  source.push('second');
  assert.equal(String((await once(seen, 'data'))[0]), 'second');
  source.push(null);
  await once(seen, 'end');
});

test('a reader that stops keeps the source from being pulled', async () => {
  let pulled = 0;
  const source = new Readable({
    read() {
      pulled++;
      this.push(Buffer.from(Array.from({ length: 16_384 }, () => Math.random() * 256)));
      if (pulled === 1_000) this.push(null);
    },
  });
  const { body } = compress(page(undefined, { body: source }), 'gzip');
  for (let turn = 0; turn < 200; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.ok(pulled < 100, `pulled ${pulled} chunks`);
  (body as Readable).destroy();
});

test('a source that fails fails the compressed body with the same error, and leaving it ends the source', async () => {
  const failing = new Readable({ read() {} });
  const body = compress(page(undefined, { body: failing }), 'gzip').body as Readable;
  const error = new Error('cut');
  failing.destroy(error);
  assert.equal((await once(body, 'error'))[0], error);
  const left = new Readable({ read() {} });
  (compress(page(undefined, { body: left }), 'br').body as Readable).destroy();
  await once(left, 'close');
});
