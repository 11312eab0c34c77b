import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { bench, FRESH, settle, textOf } from '../../test/actors/cache-bench.ts';
import { Fault } from '../status/fault.ts';
import { joinKey } from './key-text.ts';

const refusedByOrigin = () => new Fault({ cause: 'upstream.connect.refused', hop: 'edge' });
const SWR = { 'cache-control': 'max-age=60, stale-while-revalidate=30' };

describe('a stored response', () => {
  test('answers the next request without a fetch, with its age and what is left of its life', async () => {
    const { exchange, calls, clock } = bench();
    const first = await exchange({}, 'page');
    assert.equal(first.metric, 'cached');
    assert.equal(first.cacheStatus, 'fwd=uri-miss; fwd-status=200; stored; ttl=60');
    assert.equal(first.hitRequestId, undefined);
    clock.advance(7500);
    const second = await exchange({}, 'other');
    assert.equal(await textOf(second), 'page');
    assert.deepEqual(
      [second.metric, second.cacheStatus, second.ageSeconds, second.ttlSeconds, second.stale, second.hitRequestId],
      ['hit', 'hit; ttl=52', 7, 52, false, 'r1'],
    );
    assert.equal(second.verdict.status, 'ok');
    assert.equal(calls.length, 1);
  });

  test('keeps no per-request field, and a hit may be changed without changing it', async () => {
    const { exchange } = bench();
    const fields = { ...FRESH, 'x-ab-t': 'eh=1', 'proxy-status': 'x', 'x-ab-surrogate-key': 'a b', etag: '"1"' };
    const first = await exchange({}, 'page', fields);
    assert.equal(first.response.fields.get('x-ab-t'), 'eh=1', 'the fetching request sees what was fetched');
    const hit = await exchange({}, '');
    assert.equal(hit.response.fields.has('x-ab-t') || hit.response.fields.has('proxy-status'), false);
    assert.equal(hit.response.fields.get('x-ab-surrogate-key'), 'a b');
    assert.equal(hit.response.fields.get('content-length'), '4');
    assert.ok(hit.response.fields.has('date'));
    hit.response.fields.set('etag', 'changed');
    assert.equal((await exchange({}, '')).response.fields.get('etag'), '"1"');
  });

  test('is fetched anew once its life is over', async () => {
    const { exchange, clock } = bench();
    await exchange({}, 'old');
    clock.advance(60_000);
    const answer = await exchange({}, 'new');
    assert.equal(await textOf(answer), 'new');
    assert.equal(answer.cacheStatus, 'fwd=stale; fwd-status=200; stored; ttl=60');
  });

  test('counts the age that it arrived with', async () => {
    const { exchange, clock } = bench();
    const first = await exchange({}, 'page', { ...FRESH, age: '50' });
    assert.deepEqual([first.ageSeconds, first.ttlSeconds], [50, 10]);
    clock.advance(9000);
    assert.equal((await exchange({}, '')).ageSeconds, 59);
    clock.advance(1000);
    assert.equal((await exchange({}, 'new')).metric, 'cached');
  });

  test('lives no longer than our next POP says', async () => {
    const { exchange, clock } = bench({ nextHopTtlMs: () => 5000 });
    await exchange({ settings: { edge: { maxAgeSeconds: 60 } } }, 'page');
    clock.advance(5000);
    assert.equal((await exchange({}, 'new')).metric, 'cached');
  });

  test('answers HEAD without a body', async () => {
    const { exchange, calls } = bench();
    await exchange({}, 'page');
    const head = await exchange({ method: 'HEAD' }, '');
    assert.deepEqual([head.metric, head.response.body, head.response.fields.get('content-length')], ['hit', null, '4']);
    assert.equal(calls.length, 1);
  });

  test('goes with its space, and an answer that was on its way is not stored in the new one', async () => {
    const { cache, exchange, ask, calls } = bench();
    await exchange({ path: '/a' }, 'old');
    const onItsWay = ask({ path: '/b' });
    cache.dropSpace('shop');
    const newcomer = ask({ path: '/b' });
    assert.equal(calls.length, 3, 'the newcomer does not wait for the old answer');
    calls[1]!.answer('old');
    assert.equal((await onItsWay)!.cacheStatus.includes('stored'), false);
    calls[2]!.answer('new');
    await newcomer;
    assert.equal(await textOf(await exchange({ path: '/b' }, '')), 'new');
    assert.equal((await exchange({ path: '/a' }, 'new')).metric, 'cached');
    assert.equal(cache.stats().entries, 2);
  });
});

describe('what is not stored', () => {
  const rows = [
    ['no lifetime', {}, 200, 'no-max-age', 'pass', 'fwd=uri-miss; fwd-status=200; detail=no-max-age'],
    ['private', { 'cache-control': 'private, max-age=9' }, 200, 'private', 'pass', 'detail=private'],
    ['status 404', FRESH, 404, 'code', 'miss', 'fwd=uri-miss; fwd-status=404; detail=code'],
    ['set-cookie', { ...FRESH, 'set-cookie': 'a=b' }, 200, 'set-cookie', 'miss', 'detail=set-cookie'],
    ['vary: *', { ...FRESH, vary: '*' }, 200, 'pass', 'pass', 'detail="vary: *"'],
    ['a wrong content-length', { ...FRESH, 'content-length': '9' }, 200, 'pass', 'pass', 'disagrees'],
  ] as const;
  for (const [name, fields, status, word, metric, cacheStatus] of rows)
    test(`${name}: ${word}, ${metric}`, async () => {
      const { exchange, calls } = bench();
      const answer = await exchange({}, 'x', fields, status);
      assert.deepEqual([answer.verdict.status, answer.metric], [word, metric]);
      assert.ok(answer.cacheStatus.includes(cacheStatus), answer.cacheStatus);
      assert.equal(await textOf(answer), 'x');
      await exchange({}, 'y', fields, status);
      assert.equal(calls.length, 2);
    });

  test('an announced body that did not come', async () => {
    const { exchange } = bench();
    const answer = await exchange({}, null, { ...FRESH, 'content-length': '9' });
    assert.equal(answer.verdict.status, 'pass');
  });

  test('what bypasses the cache is not looked up and is forwarded as it came', async () => {
    const { exchange, calls } = bench();
    await exchange({}, 'stored');
    const bypass = { status: 'debug', reason: 'asked for' } as const;
    const debug = await exchange({ bypass }, 'fetched');
    assert.equal(await textOf(debug), 'fetched');
    assert.equal(debug.cacheStatus, 'fwd=bypass; fwd-status=200; detail=debug');
    assert.deepEqual(calls[1]!.plan, { whole: false });
    const disabled = await exchange({ settings: { edge: false } }, '');
    assert.deepEqual([disabled.verdict.status, disabled.metric], ['disabled', 'pass']);
    const post = await exchange({ method: 'POST' }, '');
    assert.equal(post.cacheStatus, 'fwd=method; fwd-status=200; detail=method');
  });

  test('a body route stores its POST', async () => {
    const { exchange, calls } = bench();
    const post = { method: 'POST', bodyKey: true, settings: { edge: { maxAgeSeconds: 60 } } };
    await exchange(post, 'result', {});
    assert.equal((await exchange(post, '')).metric, 'hit');
    assert.equal(calls.length, 1);
  });

  test('a HEAD that finds nothing goes up as HEAD and leaves nothing behind', async () => {
    const { exchange, calls } = bench();
    const head = await exchange({ method: 'HEAD' }, null);
    assert.equal(calls[0]!.plan.whole, false);
    assert.equal(head.verdict.status, 'pass');
    assert.equal((await exchange({}, 'page')).metric, 'cached');
  });
});

describe('hit-for-pass', () => {
  test('after set-cookie or an error status nothing is stored for its time, then again', async () => {
    const { exchange, clock, calls } = bench({ hitForPassSeconds: 120 });
    await exchange({}, '', FRESH, 500);
    const passed = await exchange({ headers: { range: 'bytes=0-1' } }, 'good');
    assert.deepEqual([passed.verdict.status, passed.metric], ['pass', 'pass']);
    assert.equal(passed.cacheStatus, 'fwd=bypass; fwd-status=200; detail="hit-for-pass after: status 500"');
    assert.equal(calls[1]!.plan.whole, false);
    clock.advance(120_000);
    assert.equal((await exchange({}, 'good')).metric, 'cached');
  });

  test('requests that came meanwhile do not wait for each other', async () => {
    const { exchange, ask, calls } = bench();
    await exchange({}, '', { ...FRESH, 'set-cookie': 'a=b' });
    for (let n = 0; n < 5; n++) void ask().catch(() => {});
    await settle();
    assert.equal(calls.length, 6);
  });

  test('other refusals keep their word and end with the first storable answer', async () => {
    const { exchange } = bench();
    await exchange({}, '', {});
    assert.equal((await exchange({}, '', {})).verdict.status, 'no-max-age');
    assert.equal((await exchange({}, 'page')).metric, 'cached');
    assert.equal((await exchange({}, '')).metric, 'hit');
  });

  test('conditions and ranges of clients then reach the upstream, which alone can answer them', async () => {
    const { exchange, calls } = bench();
    await exchange({ headers: { 'if-none-match': '"1"' } }, '', {});
    assert.equal(calls[0]!.plan.whole, true, 'a fill asks for everything');
    const checked = await exchange({ headers: { 'if-none-match': '"1"' } }, null, {}, 304);
    assert.equal(calls[1]!.plan.whole, false);
    assert.deepEqual([checked.response.status, checked.verdict.status], [304, 'no-max-age']);
  });

  test('the credential of one client does not switch caching off for the others', async () => {
    const { exchange } = bench();
    const own = await exchange({ headers: { authorization: 'x' } }, 'mine', { ...FRESH });
    assert.equal(own.verdict.status, 'private');
    assert.equal((await exchange({}, 'public')).metric, 'cached');
    assert.equal((await exchange({ headers: { authorization: 'x' } }, '')).metric, 'hit');
  });
});

describe('stale while revalidate', () => {
  test('the stored response is served at once and one refresh replaces it', async () => {
    const { exchange, ask, calls, clock } = bench();
    await exchange({}, 'old', SWR);
    clock.advance(65_500);
    const answers = await Promise.all([ask(), ask(), ask()]);
    for (const answer of answers) {
      assert.equal(await textOf(answer), 'old');
      assert.deepEqual([answer!.metric, answer!.stale, answer!.cacheStatus], ['hit', true, 'hit; ttl=-6']);
    }
    assert.equal(calls.length, 2);
    calls[1]!.answer('new', SWR);
    await settle();
    const fresh = await ask();
    assert.equal(await textOf(fresh), 'new');
    assert.deepEqual([fresh!.stale, fresh!.hitRequestId], [false, 'r2']);
  });

  test('a refresh that fails keeps the stored response till its window ends, and pauses', async () => {
    const faults: number[] = [];
    const { exchange, ask, calls, clock } = bench({ onRefreshFault: (fault) => faults.push(fault.code) });
    await exchange({}, 'old', SWR);
    clock.advance(61_000);
    await ask();
    calls[1]!.fail(refusedByOrigin());
    await settle();
    assert.deepEqual(faults, [531]);
    assert.equal(await textOf(await ask()), 'old');
    assert.equal(calls.length, 2, 'no refresh during the pause');
    clock.advance(1000);
    await ask();
    calls[2]!.answer('overloaded', {}, 503);
    await settle();
    clock.advance(27_999);
    assert.equal(await textOf(await ask()), 'old');
    calls[3]!.fail(refusedByOrigin());
    await settle();
    clock.advance(1);
    const last = ask();
    await settle();
    calls[4]!.fail(refusedByOrigin());
    await assert.rejects(last, Fault);
  });

  test('a refresh that brings something personal ends it', async () => {
    const { exchange, ask, calls, clock } = bench();
    await exchange({}, 'old', SWR);
    clock.advance(61_000);
    await ask();
    calls[1]!.answer('mine', { ...SWR, 'set-cookie': 'a=b' });
    await settle();
    assert.equal((await exchange({}, 'theirs')).verdict.status, 'pass');
  });

  test('the window of cache() counts over the upstream', async () => {
    const { exchange, clock } = bench();
    await exchange({ settings: { edge: { maxAgeSeconds: 1, staleWhileRevalidateSeconds: 5 } } }, 'old', {});
    clock.advance(5999);
    assert.equal((await exchange({}, '')).stale, true);
  });
});

describe('a prefetch', () => {
  test('gets what is stored, stale or not, and never causes a fetch', async () => {
    const { exchange, ask, calls, clock } = bench();
    assert.equal(await ask({ lookupOnly: true }), null);
    assert.equal(await ask({ lookupOnly: true, settings: { edge: false } }), null);
    await exchange({}, 'page', SWR);
    clock.advance(70_000);
    assert.equal(await textOf(await ask({ lookupOnly: true })), 'page');
    clock.advance(20_000);
    assert.equal(await ask({ lookupOnly: true }), null);
    assert.equal(calls.length, 1);
  });
});

describe('what clients may ask for', () => {
  test('no-cache and no-store do not reach the origin', async () => {
    const { exchange, calls } = bench();
    await exchange({ headers: { 'cache-control': 'no-store' } }, 'page');
    await exchange({ headers: { 'cache-control': 'no-cache', pragma: 'no-cache' } }, '');
    assert.equal(calls.length, 1);
  });
  test('only-if-cached gets a stored response or 504', async () => {
    const { exchange, ask } = bench();
    const headers = { 'cache-control': 'only-if-cached' };
    await assert.rejects(ask({ headers }), (error) => error instanceof Fault && error.code === 504);
    await exchange({}, 'page');
    assert.equal((await ask({ headers }))!.metric, 'hit');
  });
});

describe('validation', () => {
  const TAGGED = { ...FRESH, etag: '"1"', 'last-modified': 'Sun, 06 Nov 1994 08:49:37 GMT' };

  test('an expired response with validators is checked, and a 304 gives it a new life', async () => {
    const { exchange, calls, clock } = bench();
    await exchange({}, 'page', { ...TAGGED, 'x-a': 'old' });
    clock.advance(100_000);
    const checked = await exchange({}, null, { ...FRESH, etag: 'W/"1"', 'x-a': 'new', 'x-ab-t': 'eh=2' }, 304);
    assert.deepEqual(calls[1]!.plan, { whole: true, ifNoneMatch: '"1"', ifModifiedSince: TAGGED['last-modified'] });
    assert.deepEqual([checked.response.status, await textOf(checked), checked.metric], [200, 'page', 'cached']);
    assert.equal(checked.cacheStatus, 'fwd=stale; fwd-status=304; stored; ttl=60');
    const hit = await exchange({}, '');
    assert.deepEqual([hit.metric, hit.ageSeconds, hit.response.fields.get('x-a')], ['hit', 0, 'new']);
    assert.equal(hit.response.fields.has('x-ab-t'), false);
  });

  test('a 304 about another entity is not believed', async () => {
    const { exchange, ask, calls, clock } = bench();
    await exchange({}, 'page', TAGGED);
    clock.advance(100_000);
    const answer = ask();
    await settle();
    calls[1]!.answer(null, { etag: '"2"' }, 304);
    await settle();
    assert.deepEqual(calls[2]!.plan, { whole: true });
    calls[2]!.answer('new');
    assert.equal(await textOf(await answer), 'new');
  });

  test('a 304 that forbids storing ends the stored response', async () => {
    const { exchange, clock } = bench();
    await exchange({}, 'page', TAGGED);
    clock.advance(100_000);
    const answer = await exchange({}, null, { 'cache-control': 'private, max-age=60', etag: '"1"' }, 304);
    assert.deepEqual([answer.response.status, await textOf(answer), answer.verdict.status], [200, 'page', 'private']);
    assert.equal((await exchange({}, 'x', {})).metric, 'pass');
  });

  test('a refresh is conditional as well', async () => {
    const { exchange, ask, calls, clock } = bench();
    await exchange({}, 'page', { ...TAGGED, ...SWR });
    clock.advance(61_000);
    await ask();
    assert.equal(calls[1]!.plan.ifNoneMatch, '"1"');
    calls[1]!.answer(null, { ...SWR, etag: '"1"' }, 304);
    await settle();
    assert.equal((await ask())!.stale, false);
  });
});

describe('variants', () => {
  const BY_COOKIE = { ...FRESH, vary: 'Accept-Encoding, Cookie' };
  const as = (cookie: string) => ({ headers: { cookie } });

  test('a response that varies on Cookie is only for who sends the same', async () => {
    const { exchange, calls } = bench();
    await exchange(as('u=1'), 'one', BY_COOKIE);
    const other = await exchange(as('u=2'), 'two', BY_COOKIE);
    assert.equal(await textOf(other), 'two');
    assert.equal(other.cacheStatus, 'fwd=vary-miss; fwd-status=200; stored; ttl=60');
    assert.equal(await textOf(await exchange(as('u=1'), '')), 'one');
    assert.equal(await textOf(await exchange({}, 'none', BY_COOKIE)), 'none');
    assert.equal(calls.length, 3);
  });

  test('what the key covers makes no variants', async () => {
    const { exchange, calls } = bench();
    const request = (lang: string) => ({ headers: { 'x-lang': lang }, keyedHeaders: ['x-lang'] });
    await exchange(request('de'), 'page', { ...FRESH, vary: 'X-Lang' });
    await exchange(request('at'), '');
    assert.equal(calls.length, 1);
  });

  test('who waited for another variant gets its own, again with one fetch per variant', async () => {
    const { ask, calls } = bench();
    const ones = Array.from({ length: 5 }, () => ask(as('u=1')));
    const twos = Array.from({ length: 5 }, () => ask(as('u=2')));
    assert.equal(calls.length, 1);
    calls[0]!.answer('one', BY_COOKIE);
    for (const one of ones) assert.equal(await textOf(await one), 'one');
    await settle();
    assert.equal(calls.length, 2);
    calls[1]!.answer('two', BY_COOKIE);
    for (const two of twos) assert.equal(await textOf(await two), 'two');
  });
});

test('close lets go of everything', async () => {
  const { cache, exchange, ask, calls } = bench();
  await exchange({}, 'page');
  const waiting = ask({ key: joinKey(['shop', '/other']) });
  cache.close();
  await assert.rejects(waiting);
  assert.equal(calls[1]!.signal.aborted, true);
  assert.deepEqual(cache.stats(), { bytes: 0, entries: 0 });
});
