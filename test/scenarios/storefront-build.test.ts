import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startOrigin } from '../../examples/storefront/origin/server.ts';
import { type BuildResult, buildProject } from '../../src/artifact/build.ts';
import type { Route } from '../../src/router/table.ts';

const FOLDER = fileURLToPath(new URL('../../examples/storefront', import.meta.url));

describe('the example project', () => {
  let outDir: string;
  let built: Extract<BuildResult, { ok: true }>;
  before(async () => {
    outDir = await mkdtemp(join(tmpdir(), 'selvedge-storefront-'));
    const result = await buildProject({ dir: FOLDER, outDir });
    assert.deepEqual([...result.problems.errors, ...result.problems.warnings], []);
    assert.ok(result.ok);
    built = result;
  });
  after(() => rm(outDir, { recursive: true, force: true }));

  const route = (path: string): Route =>
    built.manifest.routes.main.routes.find(({ criteria }) => criteria?.path === path)!;

  test('renders pages in workers, stored apart by currency and prefetched by browsers', () => {
    for (const path of ['/', '/cloth/:id']) {
      const { action, cache, key } = route(path);
      assert.deepEqual(action, { kind: 'worker', reason: 'compute' });
      assert.deepEqual(cache?.edge, { maxAgeSeconds: 60, staleWhileRevalidateSeconds: 3600 });
      assert.deepEqual(cache?.browser, { maxAgeSeconds: 0, serviceWorkerSeconds: 120 });
      assert.deepEqual(key?.parts[0], {
        kind: 'cookie',
        name: 'currency',
        groups: [
          { name: 'usd', pattern: '^usd$' },
          { name: 'eur', pattern: '.*' },
        ],
      });
    }
    assert.ok(built.manifest.server);
  });

  test('proxies its API with caching, and rewrites a header', () => {
    const { action, cache, responseOps, upstreamResponseOps } = route('/api/:path*');
    assert.deepEqual(action, { kind: 'proxy', backend: 'api', path: '/:path*' });
    assert.deepEqual(cache?.edge, { maxAgeSeconds: 10, staleWhileRevalidateSeconds: 600 });
    assert.deepEqual(
      [...upstreamResponseOps, ...responseOps].map(({ op }) => op),
      ['remove-header', 'update-header'],
    );
    assert.equal(route('/api/ticker').cache?.edge, false);
    assert.equal(built.manifest.routes.backends.api?.scheme, 'http');
  });

  test('redirects without code', () => {
    assert.deepEqual(route('/products/:id.html').action, { kind: 'redirect', to: '/cloth/:id', status: 301 });
    assert.equal(route('/currency/:code(eur|usd)').action?.kind, 'redirect');
    assert.equal(route('/currency/:code(eur|usd)').responseOps[0]?.op, 'add-cookie');
  });

  test('has hashed files for ever, a service worker, and pictures that draw themselves', () => {
    const { assets } = built.manifest;
    const permanent = Object.keys(assets).filter((path) => assets[path]!.permanent);
    assert.deepEqual(
      permanent.map((path) => path.replace(/-[0-9a-f]{10}\./, '.')),
      ['assets/app.js', 'assets/site.css'],
    );
    assert.equal(assets['sw/service-worker.ts']?.type, 'text/javascript; charset=utf-8');
    assert.equal(Object.values(assets).filter(({ type }) => type.startsWith('image/svg+xml')).length, 7);
  });

  test('has pages for what is not there and for what failed', () => {
    const { routes, catches } = built.manifest.routes.main;
    assert.equal(routes.at(-1)?.criteria, null);
    assert.equal(catches[0]?.route.action?.kind, 'static');
  });
});

describe("the example's origin", () => {
  test('answers with products, their stock, and links under its own name', async () => {
    const origin = await startOrigin({ port: 0 });
    const base = `http://127.0.0.1:${origin.port}`;
    try {
      const list = await fetch(`${base}/products`);
      const { products } = (await list.json()) as { products: { id: string; image: string }[] };
      assert.equal(products.length, 6);
      assert.match(list.headers.get('link')!, /^<https:\/\/api\.warp-and-weft\.example\/products\//);
      for (const { id } of products) assert.equal((await fetch(`${base}/stock/${id}`)).status, 200);
      assert.equal((await fetch(`${base}/products/none`)).status, 404);
      assert.equal((await fetch(`${base}/lookbook?ms=1`)).status, 200);
      await assert.rejects(fetch(`${base}/broken`));
      await assert.rejects(startOrigin({ port: origin.port }), { code: 'EADDRINUSE' });
    } finally {
      await origin.close();
    }
  });

  test('sends news as events at once', async () => {
    const origin = await startOrigin({ port: 0 });
    try {
      const response = await fetch(`http://127.0.0.1:${origin.port}/ticker`);
      const { value } = await response.body!.getReader().read();
      assert.match(new TextDecoder().decode(value), /^id: 0\ndata: \{"text":"[^"]+"\}\n\n$/);
    } finally {
      await origin.close();
    }
  });
});
