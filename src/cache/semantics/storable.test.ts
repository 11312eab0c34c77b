import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Fields } from '../../http/fields.ts';
import { judge, type StoreQuestion } from './storable.ts';

const NOW = Date.UTC(2026, 0, 15, 12);
type Change = Partial<Omit<StoreQuestion, 'fields' | 'requestFields'>> & {
  fields?: Record<string, string>;
  requestFields?: Record<string, string>;
};

function ask(change: Change = {}) {
  return judge({
    method: 'GET',
    bodyKey: false,
    keyedHeaders: [],
    settings: undefined,
    status: 200,
    times: { requestedAtMs: NOW, respondedAtMs: NOW },
    bodyBytes: undefined,
    maxObjectBytes: 1000,
    ...change,
    requestFields: Fields.from(Object.entries(change.requestFields ?? {})),
    fields: Fields.from(Object.entries(change.fields ?? { 'cache-control': 'max-age=60' })),
  });
}
const cached = (maxAgeSeconds: number, forcePrivateCaching = false) => ({
  edge: { maxAgeSeconds, forcePrivateCaching },
});

describe('each row of the table refuses with its word', () => {
  const rows: Record<string, [Change, string]> = {
    'POST without body key': [{ method: 'POST' }, 'method'],
    'POST with body key': [{ method: 'POST', bodyKey: true }, 'ok'],
    HEAD: [{ method: 'HEAD' }, 'ok'],
    'status 404, whatever cache() says': [{ status: 404, settings: cached(60) }, 'code'],
    'status 500': [{ status: 500 }, 'code'],
    'status 301': [{ status: 301 }, 'ok'],
    'status 206': [{ status: 206 }, 'pass'],
    'status 304': [{ status: 304 }, 'pass'],
    'set-cookie, also with forcePrivateCaching': [
      { fields: { 'set-cookie': 'a=b' }, settings: cached(60, true) },
      'set-cookie',
    ],
    'set-cookie, where the project shares it': [
      {
        fields: { 'set-cookie': 'a=b', 'cache-control': 'max-age=9' },
        settings: { edge: { forceSetCookieCaching: true } },
      },
      'ok',
    ],
    'set-cookie2': [{ fields: { 'set-cookie2': 'a=b', 'cache-control': 'max-age=9' } }, 'set-cookie'],
    'set-cookie that is left out': [
      { fields: { 'set-cookie': 'a=b', 'cache-control': 'max-age=9, private="Set-Cookie"' } },
      'ok',
    ],
    'status 404, where the project stores it': [{ status: 404, settings: { cacheableStatusCodes: [404, 410] } }, 'ok'],
    'status 500, where the project stores 404': [{ status: 500, settings: { cacheableStatusCodes: [404] } }, 'code'],
    'private for some fields': [{ fields: { 'cache-control': 'private="x-user", max-age=9' } }, 'ok'],
    'no-store for those who do not understand the status': [
      { fields: { 'cache-control': 'no-store, must-understand, max-age=9' } },
      'ok',
    ],
    'no-store and a status that is not understood': [
      {
        status: 599,
        settings: { cacheableStatusCodes: [599] },
        fields: { 'cache-control': 'no-store, must-understand, max-age=9' },
      },
      'private',
    ],
    'no lifetime from anybody': [{ fields: {} }, 'no-max-age'],
    'max-age=0': [{ fields: { 'cache-control': 'max-age=0' } }, 'no-max-age'],
    'no-cache': [{ fields: { 'cache-control': 'no-cache, max-age=60' } }, 'no-max-age'],
    'stale on arrival': [{ fields: { 'cache-control': 'max-age=60', age: '60' } }, 'no-max-age'],
    'cache() with a lifetime of 0 over the upstream': [{ settings: cached(0) }, 'no-max-age'],
    private: [{ fields: { 'cache-control': 'private, max-age=60' } }, 'private'],
    'private with cache()': [{ fields: { 'cache-control': 'private' }, settings: cached(60) }, 'private'],
    'no-store with cache()': [{ fields: { 'cache-control': 'no-store' }, settings: cached(60) }, 'private'],
    'private with forcePrivateCaching': [{ fields: { 'cache-control': 'private' }, settings: cached(60, true) }, 'ok'],
    'edge: false': [{ settings: { edge: false } }, 'disabled'],
    'vary: *': [{ fields: { 'cache-control': 'max-age=60', vary: 'accept, *' } }, 'pass'],
    'an event stream': [{ fields: { 'content-type': 'Text/Event-Stream' }, settings: cached(60) }, 'pass'],
    'a body over the object limit': [{ bodyBytes: 1001 }, 'pass'],
    'a body at the object limit': [{ bodyBytes: 1000 }, 'ok'],
  };
  for (const [name, [change, status]] of Object.entries(rows))
    test(`${name}: ${status}`, () => {
      const verdict = ask(change);
      assert.equal(verdict.status, status);
      assert.notEqual(verdict.reason, '');
    });
});

describe('Authorization', () => {
  const authorized = (change: Change) => ask({ requestFields: { authorization: 'Bearer x' }, ...change }).status;
  test('a response to it is private, also with cache()', () => {
    assert.equal(authorized({}), 'private');
    assert.equal(authorized({ settings: cached(60) }), 'private');
  });
  for (const directive of ['public, max-age=60', 's-maxage=60', 'max-age=60, must-revalidate'])
    test(`${directive} shares it`, () => assert.equal(authorized({ fields: { 'cache-control': directive } }), 'ok'));
  test('the header in the key shares it among those who send the same', () =>
    assert.equal(authorized({ keyedHeaders: ['authorization'] }), 'ok'));
});

describe('the lifetime', () => {
  test('of the upstream counts from generation', () => {
    assert.equal(ask({ fields: { 'cache-control': 's-maxage=60', age: '20' } }).ttlMs, 40_000);
  });
  test('of cache() wins over max-age=0, no-cache and age, and counts from arrival', () => {
    const verdict = ask({ fields: { 'cache-control': 'max-age=0, no-cache', age: '999' }, settings: cached(60) });
    assert.equal(verdict.ttlMs, 60_000);
  });
  test('is bounded by what our own next POP has left', () => {
    assert.equal(ask({ settings: cached(60), nextHopTtlMs: 7000 }).ttlMs, 7000);
  });
  test('may be given by Expires and by CDN-Cache-Control', () => {
    assert.equal(ask({ fields: { expires: new Date(NOW + 5000).toUTCString() } }).ttlMs, 5000);
    assert.equal(ask({ fields: { 'cache-control': 'no-store', 'cdn-cache-control': 'max-age=9' } }).ttlMs, 9000);
  });
  test('stale-while-revalidate comes from cache(), else from the upstream', () => {
    const fields = { 'cache-control': 'max-age=60, stale-while-revalidate=5' };
    assert.equal(ask({ fields }).staleWhileRevalidateMs, 5000);
    assert.equal(ask({ fields, settings: { edge: { staleWhileRevalidateSeconds: 9 } } }).staleWhileRevalidateMs, 9000);
  });
});
