import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { ENTRY_OVERHEAD_BYTES, MemoryStore } from './store.ts';

/** A store for `count` values of 100 bytes under keys of one character. */
const storeFor = (count: number) =>
  new MemoryStore<string>({ maxBytes: count * (101 + ENTRY_OVERHEAD_BYTES), maxEntries: 1000 });
const put = (store: MemoryStore<string>, key: string, space = 's') => store.set(store.space(space), key, key, 100);

describe('the memory tier', () => {
  test('gives back what was put, until it is replaced or deleted', () => {
    const store = storeFor(3);
    put(store, 'a');
    store.set(store.space('s'), 'a', 'new', 10);
    assert.equal(store.get('a'), 'new');
    assert.equal(store.entries, 1);
    assert.equal(store.bytes, 11 + ENTRY_OVERHEAD_BYTES);
    store.delete('a');
    assert.equal(store.get('a'), undefined);
    assert.equal(store.bytes, 0);
  });

  test('tells who holds an entry when it is gone: replaced, deleted, evicted, its space dropped', () => {
    const store = storeFor(3);
    for (const [name, end] of Object.entries({
      replaced: () => put(store, 'a'),
      deleted: () => store.delete('a'),
      evicted: () => ['b', 'c', 'd', 'e'].forEach((key) => void put(store, key)),
      dropped: () => store.dropSpace('s'),
    })) {
      put(store, 'a');
      const held = store.held('a')!;
      assert.equal(held.alive, true);
      end();
      assert.equal(held.alive, false, name);
    }
    assert.equal(store.held('a'), undefined);
  });

  test('tells who holds an entry to ask again when it is doubted, until it is confirmed', () => {
    const store = storeFor(3);
    put(store, 'a');
    const held = store.held('a')!;
    store.doubtAll();
    assert.equal(held.alive, false);
    assert.equal(store.get('a'), 'a');
    store.confirm('a');
    assert.equal(held.alive, true);
  });

  test('spares what somebody says to have used', () => {
    const store = storeFor(2);
    for (const key of 'ab') put(store, key);
    store.held('a')!.used = true;
    put(store, 'c');
    assert.deepEqual([store.get('a'), store.get('b')], ['a', undefined]);
  });

  test('refuses what is larger than itself and keeps what it had', () => {
    const store = storeFor(1);
    put(store, 'a');
    assert.equal(store.set(store.space('s'), 'b', 'b', 101), false);
    assert.equal(store.get('a'), 'a');
  });

  test('spares what was used when it makes room', () => {
    const store = storeFor(3);
    for (const key of 'abc') put(store, key);
    store.get('a');
    put(store, 'd');
    assert.deepEqual(
      [...'abcd'].filter((key) => store.get(key)),
      ['a', 'c', 'd'],
    );
  });

  test('stays below its bound and counts exactly, whatever is done to it', () => {
    const step = fc.tuple(
      fc.constantFrom('put', 'get', 'delete', 'drop'),
      fc.integer({ min: 0, max: 9 }),
      fc.integer({ min: 0, max: 300 }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const store = new MemoryStore<number>({ maxBytes: 2000, maxEntries: 4 });
        for (const [action, key, bytes] of steps) {
          const space = store.space(`s${key % 2}`);
          if (action === 'put') store.set(space, String(key), key, bytes);
          if (action === 'get') assert.ok([undefined, key].includes(store.get(String(key))));
          if (action === 'delete') store.delete(String(key));
          if (action === 'drop') store.dropSpace(space.name);
          assert.ok(store.bytes >= 0 && store.bytes <= 2000 && store.entries <= 4);
        }
        const live = Array.from({ length: 10 }, (_, key) => store.get(String(key))).filter(
          (value) => value !== undefined,
        );
        assert.equal(live.length, store.entries);
        store.clear();
        assert.deepEqual([store.bytes, store.entries], [0, 0]);
      }),
    );
  });
});

describe('a dropped space', () => {
  test('is gone at once, other spaces stay, and it can be filled anew', () => {
    const store = storeFor(10);
    put(store, 'a', 'old');
    put(store, 'b', 'other');
    store.dropSpace('old');
    assert.equal(store.get('a'), undefined);
    assert.equal(store.get('b'), 'b');
    assert.equal(store.entries, 1);
    put(store, 'a', 'old');
    assert.equal(store.get('a'), 'a');
  });

  test('refuses a write that was begun before', () => {
    const store = storeFor(10);
    const begun = store.space('s');
    store.dropSpace('s');
    assert.equal(store.set(begun, 'a', 'a', 1), false);
    assert.equal(store.get('a'), undefined);
  });

  test('gives its memory back with the next writes, before anything alive is evicted', () => {
    const store = storeFor(100);
    put(store, 'x', 'live');
    for (let key = 0; key < 90; key++) put(store, String.fromCharCode(200 + key), 'old');
    store.dropSpace('old');
    put(store, 'y', 'live');
    put(store, 'z', 'live');
    assert.equal(store.bytes, 3 * (101 + ENTRY_OVERHEAD_BYTES));
    assert.equal(store.get('x'), 'x');
  });
});

test('the bytes that are counted are the bytes that are used', () => {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc') as () => void;
  const used = () => {
    gc();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const store = new MemoryStore<Buffer>({ maxBytes: 1e9, maxEntries: 1e6 });
  const before = used();
  for (let n = 0; n < 20_000; n++) {
    const key = Buffer.from(`shop|https|shop.example|/some/path/of/a/product/${n}|||default`).toString('latin1');
    store.set(store.space('shop'), key, Buffer.allocUnsafeSlow(1000), 1000 + 200);
  }
  const ratio = store.bytes / (used() - before);
  assert.ok(ratio > 0.8 && ratio < 1.25, `counted ${ratio.toFixed(2)} of what is used`);
});
