/** What is stored, under which key, for how long, and what is said about it, through both levels of a real platform. */
import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const ROUTES = `
  .match('/all/:path*', ({ setResponseHeader }) => setResponseHeader('x-all', '1'))
  .match('/key/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('o'); })
  .match('/query-none', ({ cache, proxy }) => {
    cache({ edge: { maxAgeSeconds: 60 }, key: new CustomCacheKey().excludeAllQueryParameters() }); proxy('o'); })
  .match('/query-some', ({ cache, proxy }) => {
    cache({ edge: { maxAgeSeconds: 60 }, key: new CustomCacheKey().excludeQueryParameters('utm', 'gclid') }); proxy('o'); })
  .match('/query-only', ({ cache, proxy }) => {
    cache({ edge: { maxAgeSeconds: 60 }, key: new CustomCacheKey().excludeAllQueryParametersExcept('id') }); proxy('o'); })
  .match('/cookie', ({ cache, proxy }) => {
    cache({ edge: { maxAgeSeconds: 60 }, key: new CustomCacheKey().addCookie('lang') }); proxy('o'); })
  .match('/groups', ({ cache, proxy }) => {
    const key = new CustomCacheKey().addHeader('x-country', (groups) => { groups.group('na').byPattern('^(us|ca)$').group('rest').byPattern('.*'); });
    cache({ edge: { maxAgeSeconds: 60 }, key }); proxy('o'); })
  .match('/device', ({ cache, proxy }) => {
    cache({ edge: { maxAgeSeconds: 60 }, key: new CustomCacheKey().addDevice() }); proxy('o'); })
  .match('/auth-keyed', ({ cache, proxy }) => {
    cache({ edge: { maxAgeSeconds: 60 }, key: new CustomCacheKey().addHeader('authorization') }); proxy('o'); })
  .match('/swr', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 1, staleWhileRevalidateSeconds: 60 } }); proxy('o'); })
  .match('/short', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 1 } }); proxy('o'); })
  .match('/private-forced', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60, forcePrivateCaching: true } }); proxy('o'); })
  .match('/cookie-removed', ({ cache, proxy, removeUpstreamResponseHeader }) => {
    cache({ edge: { maxAgeSeconds: 60 } }); removeUpstreamResponseHeader('set-cookie'); proxy('o'); })
  .match('/never', ({ cache, proxy }) => { cache({ edge: false }); proxy('o'); })
  .match('/browser', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 }, browser: { maxAgeSeconds: 7, serviceWorkerSeconds: 9 } }); proxy('o'); })
  .match('/browser-off', ({ cache, proxy }) => { cache({ browser: false }); proxy('o'); })
  .match('/merged', ({ cache }) => cache({ edge: { maxAgeSeconds: 60 } }))
  .match('/merged', ({ cache, proxy }) => { cache({ browser: { maxAgeSeconds: 3 } }); proxy('o'); })
  .post('/search', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('o'); })
  .graphqlOperation('GetCloth', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('o'); })
  .match('/:path*', ({ proxy }) => proxy('o'))`;

describe('caching', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    const config = { limits: { 'cache.hitForPassSeconds': 1, 'cache.keyBodyBytes': 100 } };
    [platform, origin] = await Promise.all([startPlatform({ config: unflatten(config) }), pathOrigin()]);
    site = await platform.deploy('caching', projectFiles({ o: origin.backend }, ROUTES));
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  const verdict = async (path: string, more: Parameters<Site['ask']>[1] = {}) =>
    (await site.ask(path, more)).get('x-sv-caching-status');
  /** Requests that reach the origin for these, one after the other. */
  const fetches = async (path: string, ...asks: readonly (Parameters<Site['ask']>[1] & { query?: string })[]) => {
    const before = origin.count(path);
    for (const { query, ...more } of asks) await site.ask(`${path}${query ?? ''}`, more);
    return origin.count(path) - before;
  };
  const headers = (name: string, value: string) => ({ headers: { [name]: value } });

  test('by default the key is host, path and sorted query', async () => {
    assert.equal(await fetches('/key/a', { query: '?b=2&a=1' }, { query: '?a=1&b=2' }, { query: '?a=1&b=3' }), 2);
    assert.equal(await fetches('/key/A'), 0);
    assert.equal(await fetches('/key/cased', {}), 1);
    assert.equal(await fetches('/key/Cased', {}), 1);
    await platform.request({ host: site.permalink, path: '/key/cased' });
    assert.equal(origin.count('/key/cased'), 2);
    assert.equal(
      await fetches('/key/many', headers('cookie', 'a=1'), headers('cookie', 'a=2'), headers('user-agent', 'x')),
      1,
    );
  });

  test("the platform's own parameters neither count nor reach the upstream", async () => {
    const first = await site.ask('/key/owned?a=1&selvedge_dt_pf=1');
    assert.equal(first.json().url, '/key/owned?a=1');
    assert.equal(await fetches('/key/owned', { query: '?a=1' }), 0);
  });

  test('query parameters that a custom key leaves out are not sent, and the original query is told', async () => {
    assert.equal(await fetches('/query-none', { query: '?a=1' }, { query: '?a=2' }, {}), 1);
    assert.equal(
      await fetches('/query-some', { query: '?utm=1&id=1' }, { query: '?id=1&gclid=2' }, { query: '?id=2' }),
      2,
    );
    const seen = (await site.ask('/query-only?utm=1&id=7')).json();
    assert.equal(seen.url, '/query-only?id=7');
    assert.equal(seen.headers['x-sv-original-qs'], 'utm=1&id=7');
  });

  test('cookies, header groups and the device split the key', async () => {
    const lang = (value: string) => headers('cookie', `x=${value}; lang=${value}`);
    assert.equal(await fetches('/cookie', lang('de'), lang('fr'), headers('cookie', 'y=1; lang=de'), {}), 3);
    const country = (value: string) => headers('x-country', value);
    assert.equal(await fetches('/groups', country('us'), country('ca'), country('de'), country('fr')), 2);
    const phone =
      'Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 Version/17.0 Mobile/15E148 Safari/604.1';
    assert.equal(await fetches('/device', headers('user-agent', phone), headers('user-agent', 'curl/8'), {}), 2);
  });

  test('a lifetime comes from the upstream where the route gives none, and from the route where it does', async () => {
    const say =
      (control: string): RequestListener =>
      (_request, response) => {
        response.setHeader('cache-control', control);
        response.end('x');
      };
    origin.on('/up', say('max-age=60'));
    assert.equal(await fetches('/up', {}, {}), 1);
    origin.on('/shared', say('max-age=0, s-maxage=60'));
    assert.equal(await fetches('/shared', {}, {}), 1);
    origin.on('/zero', say('max-age=0'));
    assert.equal(await verdict('/zero'), 'no-max-age');
    origin.on('/key/zero', say('no-cache, max-age=0'));
    assert.equal(await fetches('/key/zero', {}, {}), 1);
    origin.on('/none', (_request, response) => void response.end('x'));
    assert.equal(await verdict('/none'), 'no-max-age');
  });

  const REFUSALS: readonly [path: string, status: string, listener: RequestListener][] = [
    ['/key/set-cookie', 'set-cookie', (_, response) => void response.setHeader('set-cookie', 'a=1').end('x')],
    ['/key/private', 'private', (_, response) => void response.setHeader('cache-control', 'private').end('x')],
    ['/key/no-store', 'private', (_, response) => void response.setHeader('cache-control', 'no-store').end('x')],
    ['/key/missing', 'code', (_, response) => void response.writeHead(404).end('x')],
    ['/key/broken', 'code', (_, response) => void response.writeHead(500).end('x')],
    ['/never', 'disabled', (_, response) => void response.end('x')],
  ];
  for (const [path, status, listener] of REFUSALS) {
    test(`${path} is not stored, and the verdict is ${status}`, async () => {
      origin.on(path, listener);
      const first = await site.ask(path);
      assert.equal(first.get('x-sv-caching-status'), status);
      assert.match(first.get('cache-status')!, new RegExp(`"edge-local"; fwd=.*detail=${status}`));
      await site.ask(path);
      assert.equal(origin.count(path), 2);
    });
  }

  test('a route can make storable what the upstream did not mean to be', async () => {
    origin.on(
      '/private-forced',
      (_, response) => void response.setHeader('cache-control', 'private, max-age=5').end('x'),
    );
    assert.equal(await fetches('/private-forced', {}, {}), 1);
    origin.on('/cookie-removed', (_, response) => void response.setHeader('set-cookie', 'a=1').end('x'));
    assert.equal(await fetches('/cookie-removed', {}, {}), 1);
  });

  test('methods that change things are never answered from a store', async () => {
    assert.equal(await verdict('/key/m', { method: 'PUT', body: 'x' }), 'method');
    assert.equal(await fetches('/key/m', { method: 'POST', body: 'x' }, { method: 'POST', body: 'x' }), 2);
    assert.equal(await fetches('/key/m', { method: 'DELETE' }, { method: 'OPTIONS' }), 2);
  });

  test('what was asked with Authorization is stored only when the answer is public or the key has it', async () => {
    const one = headers('authorization', 'Bearer 1');
    assert.equal(await verdict('/key/auth', one), 'private');
    assert.equal(await fetches('/key/auth', one), 1);
    origin.on('/key/auth-public', (_, response) => void response.setHeader('cache-control', 'public').end('x'));
    assert.equal(await fetches('/key/auth-public', one, headers('authorization', 'Bearer 2')), 1);
    assert.equal(await fetches('/auth-keyed', one, one, headers('authorization', 'Bearer 2')), 2);
  });

  test('a stale answer is served at once while it is made anew', async () => {
    let version = 0;
    origin.on('/swr', (_, response) => void response.end(`v${++version}`));
    assert.equal((await site.ask('/swr')).text, 'v1');
    const stale = await until('a stale answer', async () => {
      const answer = await site.ask('/swr');
      return /; hit; ttl=-/.test(answer.get('cache-status')!) && answer;
    });
    assert.equal((await platform.log(stale.get('x-sv-request-id')!)).stl, 1);
    const fresh = await until('the new version', async () => {
      const answer = await site.ask('/swr');
      return answer.text !== stale.text && answer;
    });
    assert.ok(Number(fresh.text.slice(1)) > Number(stale.text.slice(1)), `${stale.text}, then ${fresh.text}`);
  });

  test('without a stale window, what has run out is fetched before it is answered', async () => {
    let version = 0;
    origin.on('/short', (_, response) => void response.end(`v${++version}`));
    await site.ask('/short');
    const next = await until('the next version', async () => {
      const answer = await site.ask('/short');
      return answer.text === 'v2' && answer;
    });
    assert.match(next.get('cache-status')!, /"edge-local"; fwd=stale/);
  });

  test('a revalidated answer is kept without being sent again', async () => {
    const seen: (string | undefined)[] = [];
    origin.on('/revalidated', (request, response) => {
      seen.push(request.headers['if-none-match']);
      response.setHeader('etag', '"v1"').setHeader('cache-control', 'max-age=1');
      if (request.headers['if-none-match'] === '"v1"') response.writeHead(304).end();
      else response.end('whole');
    });
    await site.ask('/revalidated');
    await until('a revalidation', async () => (await site.ask('/revalidated')).text === 'whole' && seen.length > 1);
    assert.deepEqual(seen.slice(0, 2), [undefined, '"v1"']);
  });

  test('what a client has already, or asks a missing part of, is stored for the others all the same', async () => {
    for (const [path, more, status] of [
      ['/key/has-it', headers('if-none-match', '"v1"'), 304],
      ['/key/beyond', headers('range', 'bytes=9999999-'), 416],
    ] as const) {
      origin.on(path, (_request, response) => {
        response.setHeader('etag', '"v1"').setHeader('content-length', 100_001).write('x'.repeat(100_000));
        setImmediate(() => response.end('y'));
      });
      assert.equal((await site.ask(path, more)).status, status);
      await until('the entry', async () => (await site.ask(path)).get('x-sv-hit-request-id') !== undefined);
      assert.equal(origin.count(path), 1, path);
    }
  });

  test('browsers are told what the route says, and an error page nothing of it', async () => {
    const answer = await site.ask('/browser');
    assert.equal(answer.get('cache-control'), 'max-age=7');
    assert.equal(answer.get('x-sw-cache-control'), 'max-age=9');
    assert.equal((await site.ask('/browser-off')).get('cache-control'), 'no-cache, no-store, max-age=0');
    const merged = await site.ask('/merged');
    assert.deepEqual([merged.get('cache-control'), merged.get('x-sv-caching-status')], ['max-age=3', 'ok']);
  });

  test('bodies of POST join the key, up to their limit', async () => {
    const post = (body: string) => ({ method: 'POST', body, headers: { 'content-type': 'application/json' } });
    assert.equal(await fetches('/search', post('{"a":1}'), post('{"a":1}'), post('{"a":2}')), 2);
    assert.equal((await site.ask('/search', post('{"a":1}'))).json().body, '{"a":1}');
    assert.equal(await verdict('/search', post('x'.repeat(100))), 'ok');
    assert.equal(await verdict('/search', post('x'.repeat(101))), 'body-too-big');
    assert.equal((await site.ask('/search', post('y'.repeat(5_000)))).json().body.length, 5_000);
  });

  test('a GraphQL operation is cached by its body, another operation is not', async () => {
    const post = (operationName: string, id: number) => ({
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ operationName, query: `query ${operationName} { cloth }`, variables: { id } }),
    });
    assert.equal(await fetches('/graphql', post('GetCloth', 1), post('GetCloth', 1), post('GetCloth', 2)), 2);
    assert.equal(await fetches('/graphql', post('SetCloth', 1), post('SetCloth', 1)), 2);
  });

  test('a prefetch is answered from a store or with 412, and never reaches the origin', async () => {
    const miss = await site.ask('/key/pre?selvedge_prefetch=1');
    assert.equal(miss.status, 412);
    assert.equal(miss.get('x-sv-error'), '412');
    assert.match(
      miss.get('proxy-status')!,
      /^"edge-local";error=http_request_error;status-code=412;details="412 prefetch-not-cached"$/,
    );
    assert.equal((await site.ask('/other?selvedge_prefetch=1')).status, 412);
    assert.equal(origin.count('/key/pre') + origin.count('/other'), 0);
    await site.ask('/key/pre');
    const hit = await site.ask('/key/pre?selvedge_prefetch=1');
    assert.equal(hit.status, 200);
    assert.equal(origin.count('/key/pre'), 1);
    assert.equal((await platform.log(hit.get('x-sv-request-id')!)).pre, 1);
  });

  test('a prefetch that carries a body finds what the POST stored; otherwise a body in a query is content', async () => {
    const body = '{"prefetched":1}';
    const query = (text: string) =>
      new URLSearchParams({ pref_selvedge_method: 'POST', pref_selvedge_body: text }).toString();
    const headers = { 'content-type': 'application/json' };
    assert.equal((await site.ask(`/search?selvedge_prefetch=1&${query(body)}`)).status, 412);
    await site.ask('/search', { method: 'POST', body, headers });
    const found = await site.ask(`/search?selvedge_prefetch=1&${query(body)}`);
    assert.deepEqual([found.status, found.json().body], [200, body]);
    assert.equal((await site.ask(`/search?selvedge_prefetch=1&${query('{}')}`)).status, 412);
    assert.equal(await fetches('/key/carried', { query: `?${query('1')}` }, { query: `?${query('2')}` }), 2);
    assert.equal((await site.ask(`/key/carried?${query('1')}`)).json().method, 'GET');
  });

  test('a deployment begins with an empty cache', async () => {
    const place = { environment: 'staging' };
    const files = projectFiles({ o: origin.backend }, ROUTES);
    const staged = await platform.deploy('caching', files, place);
    await staged.ask('/key/deployed');
    await staged.ask('/key/deployed');
    assert.equal(origin.count('/key/deployed'), 1);
    await platform.deploy('caching', files, place);
    await staged.ask('/key/deployed');
    assert.equal(origin.count('/key/deployed'), 2);
  });
});

/** `{ 'cache.hitForPassSeconds': 1 }` → `{ cache: { hitForPassSeconds: 1 } }`, as a configuration file says it. */
function unflatten({ limits }: { limits: Record<string, number> }): Record<string, unknown> {
  const tree: Record<string, Record<string, number>> = {};
  for (const [path, value] of Object.entries(limits)) {
    const [group, name] = path.split('.') as [string, string];
    tree[group] = { ...tree[group], [name]: value };
  }
  return { limits: tree };
}
