import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { bench, FRESH, settle, textOf } from '../../test/actors/cache-bench.ts';
import type { Purge, PurgeKind } from '../artifact/purge.ts';
import { joinKey } from './key-text.ts';
import { PurgeTable } from './purges.ts';

const keyOf = (path: string, query = '', host = 'shop.example') => joinKey(['s', 'https', host, path, query, '', 'x']);
const purge = (sequence: number, kind: PurgeKind, value = '', soft = false): Purge => ({
  ...{ sequence, space: 's', kind, value, soft },
});

function verdictOf(purges: readonly Purge[], stamp: { key?: string; sequence?: number; tags?: readonly string[] }) {
  const table = new PurgeTable();
  table.add(purges, 0);
  return table.verdict('s', { key: keyOf('/a'), sequence: 5, tags: [], ...stamp })?.kind;
}

describe('a purge covers', () => {
  const rows: Record<string, [pattern: string, path: string, query: string, covered: boolean]> = {
    'the path that it names': ['/a', '/a', '', true],
    'it with every query': ['/a', '/a', 'x=1', true],
    'nothing below it': ['/a', '/a/b', '', false],
    'all below with a wildcard': ['/a/*', '/a/b/c', 'x=1', true],
    'and not what only begins like it': ['/a/*', '/ab', '', false],
    'a wildcard in the middle': ['/a/*/c', '/a/b/b/c', '', true],
    'a wildcard that would have to overlap': ['/ab*bc', '/abc', '', false],
    'an ending': ['*.jpg', '/x/y.jpg', 'v=1', true],
    everything: ['*', '/x', 'v=1', true],
    'a query that it names, in any order': ['/a?y=2&x=1', '/a', 'x=1&y=2', true],
    'no other query': ['/a?x=1', '/a', 'x=1&y=2', false],
    'no query': ['/a?', '/a', 'x=1', false],
    'queries with a wildcard': ['/a?*y=*', '/a', 'x=1&y=2', true],
    'its host': ['https://shop.example/a', '/a', '', true],
    'no other host': ['http://other.example/a', '/a', '', false],
    'hosts with a wildcard': ['http://*.example/*', '/a', '', true],
  };
  for (const [name, [pattern, path, query, covered]] of Object.entries(rows))
    test(name, () => {
      const verdict = verdictOf([purge(9, 'path', pattern)], { key: keyOf(path, query) });
      assert.equal(verdict, covered ? 'gone' : undefined);
    });

  test('variants of a response like the response', () => {
    assert.equal(verdictOf([purge(9, 'path', '/a')], { key: `${keyOf('/a', 'x=1')}\n[["accept","|"]]` }), 'gone');
  });

  test('what has its surrogate key, and as long as the keys are unknown anything', () => {
    assert.equal(verdictOf([purge(9, 'key', 'red')], { tags: ['blue', 'red'] }), 'gone');
    assert.equal(verdictOf([purge(9, 'key', 'red')], { tags: ['blue'] }), undefined);
    const table = new PurgeTable();
    table.add([purge(9, 'key', 'red')], 0);
    assert.equal(table.verdict('s', { key: keyOf('/a'), sequence: 5, tags: null })?.kind, 'gone');
  });

  test('what was begun before it and nothing else', () => {
    assert.equal(verdictOf([purge(9, 'all')], { sequence: 8 }), 'gone');
    assert.equal(verdictOf([purge(9, 'all')], { sequence: 9 }), undefined);
  });

  test('softly, unless it is purged hard as well, in either order', () => {
    assert.equal(verdictOf([purge(9, 'all', '', true)], {}), 'stale');
    assert.equal(verdictOf([purge(8, 'path', '/a'), purge(9, 'path', '/a', true)], {}), 'gone');
    assert.equal(verdictOf([purge(8, 'all', '', true), purge(9, 'path', '/a')], {}), 'gone');
    assert.equal(verdictOf([purge(4, 'path', '/a'), purge(9, 'path', '/a', true)], {}), 'stale');
  });

  test('nothing in another space', () => {
    const table = new PurgeTable();
    table.add([purge(9, 'all')], 0);
    assert.equal(table.verdict('other', { key: keyOf('/a'), sequence: 5, tags: [] }), undefined);
  });
});

test('what one purge of a list covers is covered by the table of them, and hardly more', () => {
  const value = fc.constantFrom(
    ...['/a', '/b', '/*', '/a?q=1', 'http://shop.example/b', 'red', 'blue'].map((text) => text),
  );
  const order = fc.tuple(value, fc.boolean());
  fc.assert(
    fc.property(
      fc.array(order, { maxLength: 30 }),
      fc.nat(30),
      fc.constantFrom('/a', '/b'),
      (orders, sequence, path) => {
        const purges = orders.map(([text, soft], at) =>
          purge(at + 1, /^(?:\/|http)/.test(text) ? 'path' : 'key', text, soft),
        );
        const stamp = { key: keyOf(path), sequence, tags: ['red'] };
        const alone = purges.map((one) => verdictOf([one], stamp));
        const expected = alone.includes('gone') ? 'gone' : alone.includes('stale') ? 'stale' : undefined;
        assert.equal(verdictOf(purges, stamp), expected);
      },
    ),
  );
});

test('more names than are kept purge more than was asked for, never less', () => {
  const table = new PurgeTable();
  for (let n = 1; n <= 20_001; n++) table.add([purge(n, 'key', `k${n}`)], n);
  const verdict = (sequence: number, tag: string) =>
    table.verdict('s', { key: keyOf('/a'), sequence, tags: [tag] })?.kind;
  assert.equal(verdict(1, 'k2'), 'gone');
  assert.equal(verdict(1, 'k20001'), 'gone');
  assert.equal(verdict(1, 'none'), 'gone');
  assert.equal(verdict(20_000, 'k20001'), 'gone');
  assert.equal(verdict(20_000, 'k19999'), undefined);
});

describe('the cache', () => {
  const SPACE = 'shop';
  const path = '/';
  const key = joinKey([SPACE, 'https', 'shop.example', path, '', '', 'default']);
  const all = (sequence: number, soft = false): Purge[] => [{ sequence, space: SPACE, kind: 'all', value: '', soft }];
  const byKey = (sequence: number, value: string): Purge[] => [
    { sequence, space: SPACE, kind: 'key', value, soft: false },
  ];
  const TAGGED = { ...FRESH, 'x-ab-surrogate-key': 'red blue' };

  test('fetches anew what was purged, and keeps the rest', async () => {
    const { cache, calls, exchange } = bench();
    await exchange({ key }, 'one', TAGGED);
    await cache.purge(byKey(7, 'green'), 7);
    assert.equal((await exchange({ key }, 'no')).metric, 'hit');
    await cache.purge(byKey(8, 'blue'), 8);
    assert.equal(await textOf(await exchange({ key }, 'two', TAGGED)), 'two');
    assert.equal((await exchange({ key }, 'no')).metric, 'hit');
    assert.equal(calls.length, 2);
  });

  test('asks whether a softly purged response is still good', async () => {
    const { cache, clock, calls, ask } = bench();
    const first = ask({ key });
    await settle();
    calls[0]!.answer('one', { ...FRESH, etag: '"1"' });
    await first;
    await cache.purge(all(clock.nowMs(), true), clock.nowMs());
    const second = ask({ key });
    await settle();
    assert.equal(calls[1]!.plan.ifNoneMatch, '"1"');
    calls[1]!.answer(null, { etag: '"1"', ...FRESH }, 304);
    assert.equal(await textOf(await second), 'one');
    assert.equal((await ask({ key }))!.metric, 'hit');
  });

  test('serves softly purged responses stale for as long as they allow', async () => {
    const { cache, clock, calls, ask, exchange } = bench();
    const settings = { edge: { maxAgeSeconds: 60, staleWhileRevalidateSeconds: 30 } };
    await exchange({ key, settings }, 'one');
    await cache.purge(all(clock.nowMs(), true), clock.nowMs());
    clock.advance(29_000);
    const stale = await ask({ key, settings });
    assert.equal(stale!.stale, true);
    await settle();
    calls[1]!.answer('two');
    await settle();
    assert.equal(await textOf(await ask({ key, settings })), 'two');
  });

  test('never serves what was on its way when it was purged, and lets nobody new wait for it', async () => {
    const { cache, calls, ask } = bench();
    const early = ask({ key });
    await settle();
    await cache.purge(byKey(8, 'red'), 8);
    const late = ask({ key });
    await settle();
    assert.equal(calls.length, 2);
    calls[1]!.answer('new', TAGGED);
    assert.equal(await textOf(await late), 'new');
    calls[0]!.answer('old', TAGGED);
    assert.equal(await textOf(await early), 'old');
    assert.equal(await textOf(await ask({ key })), 'new');
  });

  test('knows of the POP behind it what that did not know', async () => {
    const { cache, calls, ask } = bench();
    await cache.purge(all(8), 8);
    const first = ask({ key });
    await settle();
    calls[0]!.answer('old', FRESH, 200, { purgeSequence: 7 });
    assert.equal((await first)!.purgeSequence, 7);
    const second = ask({ key });
    await settle();
    assert.equal(calls.length, 2, 'a copy that was fetched before the purge is not used again');
    calls[1]!.answer('new', FRESH, 200, { purgeSequence: 8 });
    assert.equal(await textOf(await second), 'new');
    assert.equal((await ask({ key }))!.metric, 'hit');
  });

  test('takes as long for one purge whatever it covers', async () => {
    const { cache, exchange, ask } = bench({ memoryBytes: 1e9 });
    const many = Array.from({ length: 2000 }, (_, n) => joinKey([SPACE, 'https', 'h', `/${n}`, '', '', 'default']));
    for (const one of many) await exchange({ key: one }, 'x', TAGGED);
    const { entries } = cache.stats();
    await cache.purge(byKey(8, 'red'), 8);
    assert.equal(cache.stats().entries, entries, 'nothing was touched');
    for (const one of many.slice(0, 5)) assert.equal(await ask({ key: one, lookupOnly: true }), null);
  });
});
