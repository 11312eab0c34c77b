import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type CacheManifest, shouldPrefetch, spaRoutes } from './manifest.ts';

const cacheOptions = (edge: number, worker?: number) => ({
  edge: { maxAgeSeconds: edge },
  browser: { serviceWorkerSeconds: worker },
});
const ask = (manifest: CacheManifest, url: string): boolean =>
  shouldPrefetch(manifest, new URL(url, 'https://shop.example'));

describe('which links are worth prefetching', () => {
  test('those that edge and service worker both keep', () => {
    const manifest = [{ route: '^/p/[^/]+$', cacheOptions: cacheOptions(60, 30), returnsResponse: true }];
    assert.equal(ask(manifest, '/p/1'), true);
    assert.equal(ask(manifest, '/P/1'), true);
    assert.equal(ask(manifest, '/q/1'), false);
    assert.equal(ask([{ route: '^/$', cacheOptions: cacheOptions(60), returnsResponse: true }], '/'), false);
    assert.equal(
      ask([{ route: '^/$', cacheOptions: { edge: false, browser: {} }, returnsResponse: true }], '/'),
      false,
    );
  });

  test('settings of several routes add up until one sends', () => {
    const early = { route: '^/.*$', cacheOptions: { browser: { serviceWorkerSeconds: 60 } }, returnsResponse: false };
    const sender = { route: '^/a$', cacheOptions: { edge: { maxAgeSeconds: 60 } }, returnsResponse: true };
    const late = { route: '^/b$', cacheOptions: cacheOptions(60, 60), returnsResponse: true };
    assert.equal(ask([early, sender], '/a'), true);
    assert.equal(ask([sender, early], '/a'), false);
    assert.equal(ask([{ ...late, cacheOptions: { browser: false } }, late], '/b'), false);
  });

  test('routes for other methods and other parameters do not count', () => {
    const route = { route: '^/s$', cacheOptions: cacheOptions(9, 9), returnsResponse: true };
    assert.equal(ask([{ ...route, method: 'POST' }], '/s'), false);
    const withQuery = [{ ...route, query: { q: { pattern: '^a', flags: 'g' }, x: { absent: true as const } } }];
    assert.equal(ask(withQuery, '/s?q=abc'), true);
    assert.equal(ask(withQuery, '/s?q=abc'), true);
    assert.equal(ask(withQuery, '/s?q=cba'), false);
    assert.equal(ask(withQuery, '/s?q=abc&x=1'), false);
  });

  test('application routes are told apart', () => {
    const spa = { route: '^/app(?:/.*)?$', cacheOptions: { browser: { spa: true } } };
    assert.equal(spaRoutes([spa, { route: '^/$' }]).length, 1);
    assert.match('/app/x', spaRoutes([spa])[0]!);
  });
});
