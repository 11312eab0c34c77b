import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { bench, FRESH, settle, stream, textOf } from '../../test/actors/cache-bench.ts';
import { ManualClock } from '../../test/actors/manual-clock.ts';
import { Fields } from '../http/fields.ts';
import type { HttpResponse } from '../http/message.ts';
import { Fault } from '../status/fault.ts';
import { createCache } from './cache.ts';

const refusedByOrigin = () => new Fault({ cause: 'upstream.connect.refused', hop: 'edge' });
const leaving = () => {
  const controller = new AbortController();
  return { signal: controller.signal, leave: () => controller.abort() };
};

describe('concurrent misses', () => {
  test('a thousand requests for one URL make one request at a real origin', async () => {
    let served = 0;
    const body = 'x'.repeat(20_000);
    const origin = createServer((_request, response) => {
      served++;
      response.writeHead(200, { 'cache-control': 'max-age=60' });
      response.write(body.slice(0, 10_000));
      setImmediate(() => response.end(body.slice(10_000)));
    }).listen(0, '127.0.0.1');
    await once(origin, 'listening');
    const { port } = origin.address() as AddressInfo;
    const clock = new ManualClock();
    const limits = { memoryBytes: 1e7, maxObjectBytes: 1e6 };
    const cache = createCache({ ...limits, clock, hop: 'edge', headerPrefix: 'x-ab' });
    const fetch = (signal: AbortSignal) =>
      new Promise<HttpResponse>((resolve, reject) => {
        const outgoing = httpRequest({ host: '127.0.0.1', port, signal }, (incoming) =>
          resolve({ status: incoming.statusCode!, fields: new Fields(incoming.rawHeaders), body: incoming }),
        );
        outgoing.on('error', reject).end();
      });
    const request = (n: number) => ({
      ...{ key: 'shop|/', method: 'GET', fields: new Fields(), requestId: `r${n}`, settings: undefined },
      ...{ bodyKey: false, surrogateKeyName: 'x-ab-surrogate-key' },
    });
    const ask = (n: number) => cache.answer(request(n), fetch, new AbortController().signal);
    const answers = await Promise.all(Array.from({ length: 1000 }, (_, n) => ask(n)));
    const texts = await Promise.all(answers.map(textOf));
    assert.equal(served, 1);
    assert.ok(texts.every((text) => text === body));
    assert.equal((await ask(1000))!.metric, 'hit');
    origin.close();
  });

  test('those who waited say so, and for how long', async () => {
    const { ask, calls, clock } = bench();
    const leader = ask();
    const waiter = ask();
    clock.advance(250);
    calls[0]!.answer('page', { ...FRESH, 'x-ab-t': 'eh=1' });
    assert.equal((await leader)!.cacheStatus, 'fwd=uri-miss; fwd-status=200; stored; ttl=59');
    assert.equal((await leader)!.coalescedMs, undefined);
    const waited = (await waiter)!;
    assert.equal(waited.cacheStatus, 'fwd=uri-miss; fwd-status=200; stored; ttl=59; collapsed');
    assert.deepEqual([waited.coalescedMs, waited.hitRequestId, waited.metric], [250, 'r1', 'cached']);
    assert.equal(waited.response.fields.has('x-ab-t'), false, 'timings belong to the fetching request');
  });

  test('a request that comes while the body flows joins and gets it from the first byte', async () => {
    const { ask, calls } = bench();
    const source = stream();
    const leader = ask();
    calls[0]!.answer(source);
    const first = await leader;
    source.write('one ');
    await settle();
    const late = await ask();
    const head = await ask({ method: 'HEAD' });
    source.end('two');
    assert.deepEqual([await textOf(first), await textOf(late), head!.response.body], ['one two', 'one two', null]);
    assert.equal(calls.length, 1);
  });

  test('the first bytes reach a waiter before the last have come', async () => {
    const { ask, calls } = bench();
    const source = stream();
    const waiting = [ask(), ask()];
    calls[0]!.answer(source);
    source.write('first');
    for (const answer of waiting) {
      const [piece] = await once((await answer)!.response.body as Readable, 'data');
      assert.equal(String(piece), 'first');
    }
    source.end();
  });

  test('a fault is shared', async () => {
    const { ask, calls } = bench();
    const waiting = [ask(), ask(), ask()];
    const fault = refusedByOrigin();
    calls[0]!.fail(fault);
    for (const answer of waiting) await assert.rejects(answer, (error) => error === fault);
    assert.equal(calls.length, 1);
    void ask().catch(() => {});
    assert.equal(calls.length, 2, 'and leaves nothing behind');
  });

  test('an error that an inner POP of ours made is shared, not stored and not remembered', async () => {
    const { ask, calls, exchange } = bench();
    const waiting = [ask(), ask()];
    calls[0]!.answer('problem', { 'x-ab-error': '536', 'cache-control': 'no-store', 'proxy-status': 'g' }, 536);
    for (const answer of waiting) {
      const { response, verdict } = (await answer)!;
      assert.deepEqual([response.status, response.fields.get('x-ab-error'), verdict.status], [536, '536', 'code']);
    }
    assert.equal((await exchange({}, 'page')).metric, 'cached');
  });

  test('an answer that may not be shared goes to one; the others fetch side by side', async () => {
    const { ask, calls } = bench();
    const waiting = Array.from({ length: 20 }, () => ask());
    calls[0]!.answer('for r1', { ...FRESH, 'set-cookie': 'id=1' });
    await settle();
    assert.equal(calls.length, 20);
    for (const call of calls.slice(1)) call.answer(`for ${call.requestId}`, { ...FRESH, 'set-cookie': 'id=x' });
    const texts = await Promise.all(waiting.map(async (answer) => textOf(await answer)));
    assert.equal(new Set(texts).size, 20);
    assert.equal((await waiting[1])!.verdict.status, 'pass');
  });

  test('requests with a credential that is not in the key never wait for each other', async () => {
    const { ask, calls } = bench();
    for (let n = 0; n < 3; n++) void ask({ headers: { authorization: `u${n}` } }).catch(() => {});
    assert.equal(calls.length, 3);
    for (let n = 0; n < 2; n++) void ask({ headers: { authorization: 'u' }, keyedHeaders: ['authorization'] });
    assert.equal(calls.length, 4);
  });
});

describe('clients that leave', () => {
  test('the one who started it: the fetch goes on for the others', async () => {
    const { ask, calls } = bench();
    const { signal, leave } = leaving();
    const leader = ask({ signal });
    const waiter = ask();
    leave();
    await assert.rejects(leader, { name: 'AbortError' });
    assert.equal(calls[0]!.signal.aborted, false);
    calls[0]!.answer('page');
    assert.equal(await textOf(await waiter), 'page');
  });

  test('the last one, before the head: the fetch is aborted, and the next request starts its own', async () => {
    const { ask, calls } = bench();
    const [one, two] = [leaving(), leaving()];
    const answers = Promise.allSettled([ask({ signal: one.signal }), ask({ signal: two.signal })]);
    one.leave();
    await settle();
    assert.equal(calls[0]!.signal.aborted, false);
    two.leave();
    for (const { status } of await answers) assert.equal(status, 'rejected');
    assert.equal(calls[0]!.signal.aborted, true);
    void ask();
    assert.equal(calls.length, 2);
  });

  test('the last one, in the body: the fetch is aborted and nothing is stored', async () => {
    const { ask, calls, cache } = bench();
    const source = stream();
    const answers = [ask(), ask()];
    calls[0]!.answer(source);
    const [first, second] = (await Promise.all(answers)).map((answer) => answer!.response.body as Readable);
    source.write('some');
    first!.destroy();
    await settle();
    assert.equal(source.destroyed, false);
    second!.destroy();
    await settle();
    assert.deepEqual([source.destroyed, calls[0]!.signal.aborted, cache.stats().entries], [true, true, 0]);
  });

  test('the last one, when most of an announced body is here: it is finished and stored', async () => {
    const { ask, calls } = bench({ finishFraction: 0.5 });
    const source = stream();
    const { signal, leave } = leaving();
    const answer = ask({ signal });
    calls[0]!.answer(source, { ...FRESH, 'content-length': '10' });
    await answer;
    source.write('123456');
    await settle();
    leave();
    await settle();
    source.end('7890');
    await settle();
    assert.equal(await textOf(await ask()), '1234567890');
    assert.equal(calls.length, 1);
  });

  test('the only one, with an answer that is not shared: its body is torn down', async () => {
    const { ask, calls } = bench();
    const source = stream();
    const { signal, leave } = leaving();
    const answer = ask({ signal });
    calls[0]!.answer(source, {});
    await answer;
    leave();
    assert.deepEqual([source.destroyed, calls[0]!.signal.aborted], [true, true]);
  });

  test('the one who started it, before an answer that was only for them: nobody else gets it', async () => {
    const { ask, calls } = bench();
    const source = stream();
    const { signal, leave } = leaving();
    void ask({ signal }).catch(() => {});
    const waiter = ask();
    leave();
    calls[0]!.answer(source, { ...FRESH, 'set-cookie': 'id=1' });
    await settle();
    assert.equal(source.destroyed, true);
    calls[1]!.answer('other', { ...FRESH, 'set-cookie': 'id=2' });
    assert.equal(await textOf(await waiter), 'other');
  });

  test('a refresh goes on although the client that caused it has left', async () => {
    const { ask, calls, exchange, clock } = bench();
    await exchange({ settings: { edge: { maxAgeSeconds: 1, staleWhileRevalidateSeconds: 60 } } }, 'old');
    clock.advance(2000);
    const { signal, leave } = leaving();
    await ask({ signal });
    leave();
    const source = stream();
    calls[1]!.answer(source);
    await settle();
    source.end('new');
    await settle();
    assert.equal(await textOf(await ask()), 'new');
  });
});

describe('bodies', () => {
  test('that break off are not stored, and every reader is told', async () => {
    const { ask, calls, cache } = bench();
    const source = stream();
    const answers = [ask(), ask()];
    calls[0]!.answer(source);
    const texts = answers.map(async (answer) => textOf(await answer));
    source.write('half');
    await settle();
    const fault = new Fault({ cause: 'upstream.body.incomplete', hop: 'edge' });
    source.destroy(fault);
    for (const text of texts) await assert.rejects(text, (error) => error === fault);
    assert.equal(cache.stats().entries, 0);
  });

  test('that are shorter than announced are a fault and not stored', async () => {
    const { ask, calls, cache } = bench();
    const answer = ask();
    calls[0]!.answer(Readable.from([Buffer.from('short')]), { ...FRESH, 'content-length': '10' });
    await assert.rejects(textOf(await answer), (error) => error instanceof Fault && error.code === 536);
    assert.equal(cache.stats().entries, 0);
  });

  test('announced as too large are passed on to each by itself', async () => {
    const { exchange, ask, calls } = bench({ maxObjectBytes: 10 });
    const fields = { ...FRESH, 'content-length': '11' };
    const answer = await exchange({}, Readable.from([Buffer.from('12345678901')]), fields);
    assert.equal(answer.verdict.status, 'pass');
    assert.match(answer.cacheStatus, /detail="the body is larger than 10 bytes"/);
    assert.equal(await textOf(answer), '12345678901');
    for (let n = 0; n < 2; n++) void ask().catch(() => {});
    assert.equal(calls.length, 3);
  });

  test('that turn out too large reach those who joined, are not stored, and the next fetch on their own', async () => {
    const { ask, calls, cache } = bench({ maxObjectBytes: 10 });
    const answers = [ask(), ask()];
    calls[0]!.answer(Readable.from([Buffer.from('12345678'), Buffer.from('90123')]));
    for (const text of await Promise.all(answers.map(async (answer) => textOf(await answer))))
      assert.equal(text, '1234567890123');
    assert.equal(cache.stats().entries, 1, 'only the mark');
    for (let n = 0; n < 2; n++) void ask().catch(() => {});
    assert.equal(calls.length, 3);
  });

  test('a range of what is too large is fetched as a range', async () => {
    const { ask, calls } = bench({ maxObjectBytes: 10 });
    const whole = stream();
    const answer = ask({ headers: { range: 'bytes=0-3' } });
    calls[0]!.answer(whole, { ...FRESH, 'content-length': '4000000000' });
    await settle();
    assert.deepEqual([whole.destroyed, calls[1]!.plan.whole], [true, false]);
    calls[1]!.answer('1234', { 'content-range': 'bytes 0-3/4000000000' }, 206);
    assert.deepEqual([(await answer)!.response.status, await textOf(await answer)], [206, '1234']);
  });

  test('a reader that reads nothing keeps neither the others nor the store waiting', async () => {
    const { ask, calls } = bench({ maxObjectBytes: 1e6 });
    const answers = [ask(), ask()];
    calls[0]!.answer(Readable.from(Array.from({ length: 50 }, () => Buffer.alloc(10_000, 'x'))));
    const [stalled, quick] = await Promise.all(answers);
    assert.equal((await textOf(quick!)).length, 500_000);
    assert.equal((await ask())!.metric, 'hit');
    assert.equal((await textOf(stalled!)).length, 500_000);
  });
});
