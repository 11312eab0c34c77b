/**
 * What the cache costs as it grows: memory and disk of a stored 1 KB response, a hit from memory and from the disk,
 * a purge, at 10^3 to 10^6 responses. `node --expose-gc bench/cache/store.ts [most]`; no peer, because these are
 * costs of one process.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { createCache } from '../../src/cache/cache.ts';
import { DiskTier } from '../../src/cache/disk/disk-tier.ts';
import { joinKey } from '../../src/cache/key-text.ts';
import type { CacheRequest } from '../../src/cache/types.ts';
import { Fields } from '../../src/http/fields.ts';

const GB = 1024 ** 3;
const HITS = 50_000;
const most = Number(process.argv[2] ?? 1_000_000);

const keyOf = (n: number) =>
  joinKey(['shop', 'https', 'shop.example', `/some/path/of/a/product/${n}`, '', '', 'default']);
const requestOf = (n: number): CacheRequest => ({
  ...{ key: keyOf(n), method: 'GET', fields: new Fields(), requestId: `r${n}`, settings: undefined, bodyKey: false },
  surrogateKeyName: 'x-sv-surrogate-key',
});
const respond = async () => ({
  status: 200,
  fields: Fields.from([
    ['cache-control', 'public, max-age=86400'],
    ['content-type', 'text/html; charset=utf-8'],
    ['etag', '"5f3c6c2e-400"'],
    ['last-modified', 'Mon, 12 Jan 2026 10:00:00 GMT'],
    ['content-length', '1024'],
    ['x-sv-surrogate-key', 'all product'],
  ]),
  body: Buffer.allocUnsafeSlow(1024),
});
const used = () => {
  globalThis.gc?.();
  globalThis.gc?.();
  return process.memoryUsage().rss;
};

async function measure(count: number, withDisk: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'selvedge-bench-'));
  const disk = withDisk
    ? new DiskTier({ clock: systemClock, folder, maxBytes: 64 * GB, report: (message) => console.error(message) })
    : undefined;
  const cache = createCache({
    ...{ clock: systemClock, hop: 'edge', headerPrefix: 'x-sv', maxObjectBytes: GB, maxEntries: 2_000_000 },
    memoryBytes: withDisk ? 1_000_000 : 16 * GB,
    ...(disk ? { disk } : {}),
  });
  const { signal } = new AbortController();
  const ask = (n: number) => cache.answer(requestOf(n), respond, signal);
  const before = used();
  let from = performance.now();
  for (let n = 0; n < count; n++) {
    await ask(n);
    if (disk && n % 5_000 === 4_999) await disk.flushed();
  }
  await disk?.flushed();
  const fillUs = ((performance.now() - from) * 1000) / count;
  const memory = (used() - before) / count;
  // in an order of their own, so that no hit profits of the one before
  const order = Array.from({ length: HITS }, (_, n) => (n * 7_919_317) % count);
  from = performance.now();
  let hits = 0;
  for (const n of order) if ((await ask(n))!.metric === 'hit') hits++;
  const hitUs = ((performance.now() - from) * 1000) / HITS;
  from = performance.now();
  await cache.purge([{ sequence: Date.now(), space: 'shop', kind: 'key', value: 'product', soft: false }], Date.now());
  const purgeMs = performance.now() - from;
  const gone = (await cache.answer({ ...requestOf(1), lookupOnly: true }, respond, signal)) === null;
  const stats = disk?.stats();
  const cells = [withDisk ? 'disk' : 'memory', count, hitUs.toFixed(1), `${((hits / HITS) * 100).toFixed(0)} %`];
  const costs = [fillUs.toFixed(0), memory.toFixed(0), stats ? (stats.bytes / count).toFixed(0) : '-'];
  console.log(`| ${[...cells, ...costs, purgeMs.toFixed(2), gone ? 'all' : 'NOT'].join(' | ')} |`);
  cache.close();
  await disk?.close();
  rmSync(folder, { recursive: true, force: true });
}

console.log(
  '| tier | responses | hit, µs | hits | fill, µs | resident bytes each | disk bytes each | purge of all by one key, ms | gone |',
);
console.log(`| --- ${'| --- '.repeat(8)}|`);
for (const withDisk of [false, true])
  for (let count = 1_000; count <= most; count *= 10) await measure(count, withDisk);
