/** What a plain shared cache does beyond storing and expiring (RFC 9111, RFC 5861), as a POP asks it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Ask, bench, FRESH, settle, textOf } from '../../test/actors/cache-bench.ts';
import { Fault } from '../status/fault.ts';
import { joinKey, urlKeyOf } from './key-text.ts';

const refused = () => new Fault({ cause: 'upstream.connect.refused', hop: 'edge' });
const keyOf = (path: string, accepted = 'identity') =>
  joinKey(['shop', 'https', 'shop.test', path, '', accepted, 'default']);
const at = (path: string, more: Ask = {}): Ask => ({ key: keyOf(path), ...more });

describe('a next hop that fails', () => {
  const BRIDGED = { 'cache-control': 'max-age=60, stale-if-error=600' };

  test('is bridged with the stored response for everybody who waits, and left alone for a moment', async () => {
    const { exchange, ask, calls, clock } = bench();
    await exchange({}, 'old', BRIDGED);
    clock.advance(61_000);
    const waiting = [ask(), ask()];
    await settle();
    calls[1]!.fail(refused());
    for (const answer of await Promise.all(waiting)) {
      assert.equal(await textOf(answer), 'old');
      assert.equal(answer!.cacheStatus, 'fwd=stale; fwd-status=531; ttl=-1; detail=stale-if-error');
      assert.ok(answer!.bridged instanceof Fault && answer!.stale);
    }
    assert.equal((await ask())!.metric, 'hit');
    assert.equal(calls.length, 2);
    clock.advance(1000);
    assert.equal(await textOf(await exchange({}, 'new')), 'new');
  });

  test('is bridged when it answers 503, but not 404', async () => {
    const { exchange, clock } = bench();
    await exchange({}, 'old', BRIDGED);
    clock.advance(61_000);
    const answer = await exchange({}, 'overloaded', {}, 503);
    assert.deepEqual([await textOf(answer), answer.bridged], ['old', { status: 503 }]);
    clock.advance(1000);
    assert.equal(await textOf(await exchange({}, 'gone', {}, 404)), 'gone');
  });

  test('is not bridged beyond the window, nor against must-revalidate, nor without leave', async () => {
    const { ask, exchange, calls, clock } = bench();
    const settings = { edge: { staleIfErrorSeconds: 10 } };
    const strict = { 'cache-control': 'max-age=60, must-revalidate' };
    await exchange({ path: '/window', settings }, 'old');
    await exchange({ path: '/strict', settings }, 'old', strict);
    await exchange({ path: '/plain' }, 'old');
    clock.advance(69_000);
    for (const path of ['/strict', '/plain']) {
      const answer = ask({ path, settings });
      await settle();
      calls.at(-1)!.fail(refused());
      await assert.rejects(answer, Fault);
    }
    assert.equal(await textOf(await exchange({ path: '/window', settings }, '', {}, 503)), 'old');
    clock.advance(1000);
    assert.equal((await exchange({ path: '/window', settings }, 'x', {}, 503)).response.status, 503);
  });
});

describe('a response that may not be used unasked', () => {
  const TAGGED = { 'cache-control': 'no-cache', etag: '"1"' };

  test('is kept for its body, and every use is asked of the next hop', async () => {
    const { exchange, calls } = bench();
    const first = await exchange({}, 'page', TAGGED);
    assert.deepEqual([first.verdict.status, first.metric], ['no-max-age', 'pass']);
    const second = await exchange({}, null, { etag: '"1"' }, 304);
    assert.equal(calls[1]!.plan.ifNoneMatch, '"1"');
    assert.equal(await textOf(second), 'page');
    assert.match(second.cacheStatus, /^fwd=stale; fwd-status=304; stored/);
  });

  test('is nobody else’s who waited for it', async () => {
    const { ask, calls } = bench();
    const [one, two] = [ask(), ask()];
    await settle();
    calls[0]!.answer('for one', TAGGED);
    await settle();
    assert.equal(calls.length, 2);
    assert.equal(calls[1]!.plan.ifNoneMatch, '"1"');
    calls[1]!.answer('for two', { ...TAGGED, etag: '"2"' });
    assert.deepEqual([await textOf(await one), await textOf(await two)], ['for one', 'for two']);
  });

  test('is not kept when the request had a cookie, unless it is public', async () => {
    const { exchange, calls } = bench();
    const headers = { cookie: 'u=1' };
    await exchange({ path: '/own', headers }, 'page', TAGGED);
    await exchange({ path: '/own' }, 'page', TAGGED);
    assert.equal(calls[1]!.plan.ifNoneMatch, undefined);
    await exchange({ path: '/all', headers }, 'page', { ...TAGGED, 'cache-control': 'public, no-cache' });
    await exchange({ path: '/all' }, 'page', TAGGED);
    assert.equal(calls[3]!.plan.ifNoneMatch, '"1"');
  });
});

test('fields that the upstream wants unshared are left out of what is stored', async () => {
  const { exchange } = bench();
  const fields = {
    'cache-control': 'max-age=60, private="x-user", no-cache="set-cookie"',
    'x-user': 'a',
    'x-all': 'b',
  };
  const first = await exchange({}, 'page', { ...fields, 'set-cookie': 'u=1' });
  assert.equal(first.response.fields.get('x-user'), 'a');
  const { fields: seen } = (await exchange({}, '')).response;
  assert.deepEqual([seen.has('x-user'), seen.has('set-cookie'), seen.get('x-all')], [false, false, 'b']);
});

describe('directives of requests, where the project wants them obeyed', () => {
  const settings = { edge: { obeyRequestDirectives: true } };
  const asking = (value: string, name = 'cache-control'): Ask => ({ settings, headers: { [name]: value } });

  test('ask for something fresher than what is stored', async () => {
    const { exchange, clock } = bench();
    for (const [value, name] of [
      ['no-cache', 'cache-control'],
      ['max-age=5', 'cache-control'],
      ['min-fresh=55', 'cache-control'],
      ['no-cache', 'pragma'],
    ] as const) {
      await exchange({ settings }, 'old');
      clock.advance(6000);
      const answer = await exchange(asking(value, name), 'new');
      assert.match(answer.cacheStatus, /^fwd=request;/, value);
      assert.equal(await textOf(await exchange({ settings }, '')), 'new');
    }
    assert.equal((await exchange(asking('max-age=60, min-fresh=5'), '')).metric, 'hit');
  });

  test('take something stale, within limits and not against the upstream', async () => {
    const { exchange, clock } = bench();
    const strict = { 'cache-control': 'max-age=60, must-revalidate' };
    await exchange({ settings, path: '/strict' }, 'old', strict);
    await exchange({ settings }, 'old');
    clock.advance(70_000);
    assert.equal((await exchange(asking('max-stale=10'), '')).metric, 'hit');
    assert.equal((await exchange(asking('max-stale'), '')).metric, 'hit');
    assert.equal((await exchange({ ...asking('max-stale'), path: '/strict' }, '', strict)).metric, 'cached');
    assert.equal((await exchange(asking('max-stale=9'), 'new')).metric, 'cached');
  });

  test('keep an answer out of the store', async () => {
    const { exchange, calls } = bench();
    const answer = await exchange(asking('no-store'), 'page');
    assert.match(answer.cacheStatus, /^fwd=request; .*detail="the request said no-store"/);
    await exchange({ settings }, 'page');
    assert.equal(calls.length, 2);
  });
});

describe('a URL that an unsafe request has changed', () => {
  const { urlKey } = urlKeyOf(keyOf('/cart'));

  test('is fetched anew, in all its variants, and stored again', async () => {
    const { cache, exchange, clock } = bench();
    const german = { ...at('/cart'), headers: { 'x-lang': 'de' } };
    await exchange(german, 'old', { ...FRESH, vary: 'x-lang' });
    await exchange(at('/cart', { key: keyOf('/cart', 'gzip') }), 'old');
    await exchange(at('/other'), 'other');
    clock.advance(1);
    cache.invalidate([urlKey]);
    clock.advance(1);
    assert.equal(await textOf(await exchange(german, 'new', { ...FRESH, vary: 'x-lang' })), 'new');
    assert.equal(await textOf(await exchange(at('/cart', { key: keyOf('/cart', 'gzip') }), 'new')), 'new');
    assert.equal((await exchange(german, '')).metric, 'hit');
    assert.equal((await exchange(at('/other'), '')).metric, 'hit');
  });

  test('is not answered by a fetch that was begun before, which nobody keeps', async () => {
    const { cache, ask, calls, clock } = bench();
    const before = ask(at('/cart'));
    await settle();
    clock.advance(1);
    cache.invalidate([urlKey]);
    clock.advance(1);
    const after = ask(at('/cart'));
    await settle();
    assert.equal(calls.length, 2);
    calls[1]!.answer('new');
    calls[0]!.answer('old');
    assert.deepEqual([await textOf(await before), await textOf(await after)], ['old', 'new']);
  });

  test('is validated where it lies under more than its URL, and takes nobody’s place', async () => {
    const { cache, exchange, calls, clock } = bench();
    const fields = { 'cache-control': 'max-age=60, stale-if-error=600', etag: '"1"' };
    const key = joinKey(['shop', 'https', 'shop.test', '/cart', '', 'gzip', 'default', 'device', 'tablet']);
    await exchange({ key }, 'old', fields);
    clock.advance(1);
    cache.invalidate([urlKey]);
    clock.advance(1);
    assert.equal((await exchange({ key }, 'x', {}, 503)).response.status, 503);
    assert.equal(calls[1]!.plan.ifNoneMatch, '"1"');
  });

  test('keeps what answers to bodies', async () => {
    const { cache, exchange, clock } = bench();
    const key = joinKey([
      'shop',
      'https',
      'shop.test',
      '/cart',
      '',
      'identity',
      'default',
      'method',
      'POST',
      'body',
      '0',
    ]);
    const question: Ask = { key, method: 'POST', bodyKey: true };
    await exchange(question, 'found');
    clock.advance(1);
    cache.invalidate([urlKey]);
    assert.equal((await exchange(question, '')).metric, 'hit');
  });
});

describe('what was stored for a client that takes other codings', () => {
  const as = (accepted: string): Ask => at('/', { key: keyOf('/', accepted) });

  test('will do when it is plain whoever asks', async () => {
    const { exchange, calls } = bench();
    await exchange(as('br, gzip'), 'page');
    assert.equal(await textOf(await exchange(as('identity'), '')), 'page');
    assert.equal(calls.length, 1);
  });

  test('will do when it is in a coding that this one takes', async () => {
    const { exchange, calls } = bench();
    await exchange(as('br, gzip'), 'zipped', { ...FRESH, 'content-encoding': 'gzip', vary: 'accept-encoding' });
    assert.equal(await textOf(await exchange(as('gzip'), '')), 'zipped');
    const plain = { ...FRESH, vary: 'accept-encoding' };
    assert.equal(await textOf(await exchange(as('identity'), 'plain', plain)), 'plain');
    assert.equal(await textOf(await exchange(as('br'), 'brotli')), 'brotli');
    assert.equal(calls.length, 3);
  });

  test('will not when this one would be sent less', async () => {
    const { exchange } = bench();
    await exchange(as('identity'), 'plain', { ...FRESH, vary: 'Accept-Encoding' });
    assert.equal(await textOf(await exchange(as('gzip'), 'zipped')), 'zipped');
  });
});

describe('variants', () => {
  const BY_LANGUAGE = { ...FRESH, vary: 'accept-language' };
  const wanting = (language: string): Ask => ({ headers: { 'accept-language': language } });

  test('are the same for values that mean the same', async () => {
    const { exchange, calls } = bench();
    await exchange(wanting('en, de;q=0.5'), 'page', BY_LANGUAGE);
    for (const same of ['EN,de;q=0.5', 'de;q=0.5 , en;q=1.0', 'de;q=0.50,en'])
      assert.equal((await exchange(wanting(same), '')).metric, 'hit', same);
    await exchange(wanting('de, en;q=0.5'), 'page', BY_LANGUAGE);
    assert.equal(calls.length, 2);
  });

  test('are chosen by the language that is wanted most', async () => {
    const { exchange, calls } = bench();
    await exchange(wanting('en, de'), 'deutsch', { ...BY_LANGUAGE, 'content-language': 'de' });
    assert.equal(await textOf(await exchange(wanting('fr;q=0.5, de'), '')), 'deutsch');
    await exchange(wanting('fr, de;q=0.5'), 'français', { ...BY_LANGUAGE, 'content-language': 'fr' });
    assert.equal(calls.length, 2);
  });

  test('with a header that identifies people are for exactly who sends it', async () => {
    const { exchange, calls } = bench();
    const as = (cookie: string): Ask => ({ headers: { cookie } });
    await exchange(as('a=1, 2'), 'page', { ...FRESH, vary: 'cookie' });
    await exchange(as('a=1,2'), 'page', { ...FRESH, vary: 'cookie' });
    assert.equal(calls.length, 2);
  });

  test('of one URL are so many and no more, the oldest go', async () => {
    const { cache, exchange, calls } = bench();
    const as = (agent: number): Ask => ({ headers: { 'user-agent': String(agent) } });
    for (let agent = 0; agent < 150; agent++) await exchange(as(agent), 'page', { ...FRESH, vary: 'user-agent' });
    assert.equal(cache.stats().entries, 101);
    assert.equal((await exchange(as(149), '')).metric, 'hit');
    await exchange(as(0), 'page', { ...FRESH, vary: 'user-agent' });
    assert.equal(calls.length, 151);
  });
});
