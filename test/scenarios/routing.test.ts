/** Routes at run time: what a routes file says is what a client gets. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { RawClient } from '../actors/raw-client.ts';

const ROUTES = `
  .requireBasicAuth({ criteria: '/secret/:path*', username: 'weaver', password: 'wéft', realm: 'the "loom"' })
  .match('/all/:path*', ({ setResponseHeader }) => setResponseHeader('x-all', '\${path} \${query:a}'))
  .match('/old/:id', ({ redirect }) => redirect('/new/:id', 301))
  .match('/old-default/:path*', ({ redirect }) => redirect('https://other.example/:path*'))
  .match('/old-query', ({ redirect }) => redirect('/new?b=2', { statusCode: 308 }))
  .match('/old-fn', ({ redirect }) => redirect('/new', { query: (query) => ({ ...query, added: '1' }) }))
  .match('/send', ({ send }) => send('<h1>hi</h1>', 418, 'Teapot'))
  .match('/send-json', ({ send, setResponseHeader }) => { setResponseHeader('content-type', 'application/json'); send('{}'); })
  .match('/secret/:path*', ({ proxy }) => proxy('o'))
  .match('/cors', ({ allowCors, proxy }) => { allowCors({ origin: ['https://a.example'], methods: ['GET', 'PUT'], headers: ['x-a'], maxAge: 60, credentials: true }); proxy('o'); })
  .match('/cors-any', ({ allowCors, proxy }) => { allowCors(); proxy('o'); })
  .match('/ops/:id', ({ cache, proxy, setRequestHeader, updateRequestHeader, removeRequestHeader, setUpstreamResponseHeader,
      updateUpstreamResponseHeader, removeUpstreamResponseHeader, setResponseHeader, updateResponseHeader, removeResponseHeader,
      addUpstreamResponseCookie, addResponseCookie, updateResponseCookie, removeResponseCookie }) => {
    setRequestHeader('x-set', '\${method} \${path} \${query:q} \${req:x-in} \${req:cookie:c} \${req:param:id}');
    updateRequestHeader('x-in', /b+/g, '-');
    removeRequestHeader('x-gone');
    setUpstreamResponseHeader('x-up', 'set');
    updateUpstreamResponseHeader('x-edit', /one/, 'two');
    removeUpstreamResponseHeader('x-server');
    setResponseHeader('x-late', 'was \${res:x-edit}');
    updateResponseHeader('x-edit', /two/, 'three');
    removeResponseHeader('x-drop');
    addResponseCookie('fresh', '\${req:param:id}', { Path: '/', HttpOnly: true });
    updateResponseCookie('theirs', /a/, 'b');
    removeResponseCookie('tracking');
    proxy('o');
  })
  .match('/kept-ops', ({ addResponseCookie, cache, proxy, setResponseHeader }) => {
    cache({ edge: { maxAgeSeconds: 60 } }); setResponseHeader('x-who', '\${req:x-who}'); addResponseCookie('seen', '\${req:x-who}'); proxy('o');
  })
  .match('/moved/:path*', ({ proxy, updatePath }) => { updatePath('/there/:path*'); proxy('o'); })
  .match('/path/:a/:rest*', ({ proxy }) => proxy('o', { path: '/p/:rest*/:a' }))
  .match({ path: '/criteria', headers: { 'x-beta': '1' }, cookies: { lang: /^d/ }, query: { page: ':page', gone: null } }, ({ send, setResponseHeader }) => { setResponseHeader('x-page', '\${req:param:page}'); send('criteria'); })
  .match({ path: '/json', body: { parse: 'json', criteria: { kind: /^cloth$/, size: { unit: 'm' } } } }, ({ send }) => send('body'))
  .get('/method', ({ send }) => send('get'))
  .post('/method', ({ send }) => send('post'))
  .match('/files/:path*', ({ serveStatic }) => serveStatic('public/:path*'))
  .match('/hashed/:path*', ({ serveStatic }) => serveStatic('hashed/:path*', { permanent: true }))
  .match('/isg/:id', ({ serveStatic }) => serveStatic('public/:id.html', { onNotFound: async ({ compute }) => { await compute((request, response) => { response.body = 'made ' + request.params.id; }); } }))
  .match('/sw.js', ({ serviceWorker }) => serviceWorker('public/worker.js'))
  .match('/app/:path*', ({ appShell }) => appShell('public/shell.html'))
  .get({ path: '/plain', protocol: /http/ }, ({ send }) => send('either'))
  .get('/listed/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 }, browser: { serviceWorkerSeconds: 60 } }); proxy('o'); })`;
const FILES = {
  'public/a.txt': 'text',
  'public/index.html': '<p>root',
  'public/dir/index.html': '<p>dir',
  'public/worker.js': 'self.x=1',
  'public/shell.html': '<p>shell',
  'public/name with space.txt': 'space',
  'hashed/app.0a1b2c3d4e.js': 'one',
  'private.txt': 'private',
};

describe('routes at run time', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    const config = { trustedProxies: ['127.0.0.1'] };
    [platform, origin] = await Promise.all([startPlatform({ config }), pathOrigin()]);
    site = await platform.deploy('routing', projectFiles({ o: origin.backend }, ROUTES, { files: FILES }));
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  test('answers that no cache was asked for say so', async () => {
    const status = async (path: string) => {
      const answer = await site.ask(path);
      return [answer.get('x-sv-caching-status'), answer.get('cache-status')];
    };
    const own = ['pass', '"edge-local"; detail="answered by the edge itself"'];
    assert.deepEqual(await status('/old/7'), own);
    assert.deepEqual(await status('/send-json'), own);
    assert.equal((await status('/send'))[0], 'code');
    assert.deepEqual(await status('/no/such/route'), ['code', undefined]);
  });

  test('redirects fill in parameters and keep the query', async () => {
    const to = async (path: string) => {
      const { status, get } = await site.ask(path);
      return [status, get('location')];
    };
    assert.deepEqual(await to('/old/7'), [301, '/new/7']);
    assert.deepEqual(await to('/old/7?a=1&b=%20'), [301, '/new/7?a=1&b=%20']);
    assert.deepEqual(await to('/old-default/x/y'), [302, 'https://other.example/x/y']);
    assert.deepEqual(await to('/old-query?a=1'), [308, '/new?b=2&a=1']);
    assert.deepEqual(await to('/old-fn?a=1'), [302, '/new?a=1&added=1']);
  });

  test('a fixed body is sent by the edge itself, with its status', async () => {
    const answer = await site.ask('/send');
    assert.deepEqual([answer.status, answer.reason, answer.text], [418, 'Teapot', '<h1>hi</h1>']);
    assert.match(answer.get('content-type')!, /^text\/html/);
    assert.equal(answer.get('x-sv-error'), undefined);
    assert.equal((await site.ask('/send-json')).get('content-type'), 'application/json');
    assert.equal((await site.ask('/send', { method: 'HEAD' })).body.length, 0);
  });

  test('credentials: none is 401 with a challenge, wrong ones are 403, right ones pass', async () => {
    const basic = (pair: string) => ({ headers: { authorization: `Basic ${Buffer.from(pair).toString('base64')}` } });
    const none = await site.ask('/secret/x');
    assert.deepEqual(
      [none.status, none.get('www-authenticate'), none.get('x-sv-error')],
      [401, 'Basic realm="the loom", charset="UTF-8"', '401'],
    );
    const wrong = await site.ask('/secret/x', basic('weaver:warp'));
    assert.deepEqual([wrong.status, wrong.get('x-sv-error')], [403, '403']);
    assert.match(wrong.get('proxy-status')!, /http_request_denied/);
    assert.equal((await site.ask('/secret/x', basic('weaver:wéft'))).status, 200);
    assert.equal((await site.ask('/%73ecret/x')).status, 401);
    assert.equal((await site.ask('/SECRET/x')).status, 401);
  });

  test('a preflight is answered by the edge, other requests get the origin that may read them', async () => {
    const asked = {
      origin: 'https://a.example',
      'access-control-request-method': 'PUT',
      'access-control-request-headers': 'x-a',
    };
    const preflight = await site.ask('/cors', { method: 'OPTIONS', headers: asked });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.get('access-control-allow-origin'), 'https://a.example');
    assert.match(preflight.get('access-control-allow-methods')!, /PUT/);
    assert.equal(preflight.get('access-control-max-age'), '60');
    assert.equal(origin.count('/cors'), 0);
    const other = await site.ask('/cors', { headers: { origin: 'https://b.example' } });
    assert.equal(other.get('access-control-allow-origin'), undefined);
    const own = await site.ask('/cors', { headers: { origin: 'https://a.example' } });
    assert.deepEqual(
      [own.get('access-control-allow-origin'), own.get('access-control-allow-credentials')],
      ['https://a.example', 'true'],
    );
    assert.match(own.get('vary')!, /origin/i);
    assert.equal(
      (await site.ask('/cors-any', { headers: { origin: 'https://c.example' } })).get('access-control-allow-origin'),
      '*',
    );
  });

  test('operations on requests, upstream answers and answers each act in their phase', async () => {
    origin.on('/ops/7', (request, response) => {
      response.writeHead(200, [
        ...[
          'x-edit',
          'one',
          'x-server',
          'x',
          'x-drop',
          '1',
          'set-cookie',
          'theirs=a; Path=/',
          'set-cookie',
          'tracking=1',
        ],
        ...['x-seen', JSON.stringify(request.headers)],
      ]);
      response.end('x');
    });
    const headers = { 'x-in': 'abba', 'x-gone': '1', cookie: 'c=3' };
    const answer = await site.ask('/ops/7?q=2', { headers });
    const seen = JSON.parse(answer.get('x-seen')!);
    assert.equal(seen['x-set'], 'GET /ops/7 2 abba 3 7');
    assert.deepEqual([seen['x-in'], seen['x-gone']], ['a-a', undefined]);
    const told = ['x-up', 'x-edit', 'x-server', 'x-late', 'x-drop'].map((name) => answer.get(name));
    assert.deepEqual(told, ['set', 'three', undefined, 'was two', undefined]);
    assert.deepEqual(answer.all('set-cookie').sort(), ['fresh=7; Path=/; HttpOnly', 'theirs=b; Path=/']);
  });

  test('operations on answers run for every client of a stored one', async () => {
    for (const who of ['one', 'two']) {
      const answer = await site.ask('/kept-ops', { headers: { 'x-who': who } });
      assert.deepEqual([answer.get('x-who'), answer.get('set-cookie')], [who, `seen=${who}`]);
    }
    assert.equal(origin.count('/kept-ops'), 1);
  });

  test('paths are rewritten with what the route has matched, escapes unchanged', async () => {
    const url = async (path: string) => (await site.ask(path)).json().url;
    assert.equal(await url('/moved/a/b?c=1'), '/there/a/b?c=1');
    assert.equal(await url('/path/x/y/z'), '/p/y/z/x');
    assert.equal(await url('/moved/a%2Fb/%C3%A9'), '/there/a%2Fb/%C3%A9');
  });

  test('headers, cookies, query, method and JSON body decide which route answers', async () => {
    const right = { 'x-beta': '1', cookie: 'lang=de' };
    const answer = await site.ask('/criteria?page=3', { headers: right });
    assert.deepEqual([answer.text, answer.get('x-page')], ['criteria', '3']);
    for (const [path, headers] of [
      ['/criteria', right],
      ['/criteria?page=3&gone=1', right],
      ['/criteria?page=3', { cookie: 'lang=de' }],
    ] as const) {
      assert.equal((await site.ask(path, { headers })).status, 404);
    }
    const post = async (body: object) =>
      (await site.ask('/json', { method: 'POST', body: JSON.stringify(body) })).status;
    assert.deepEqual([await post({ kind: 'cloth', size: { unit: 'm' } }), await post({ kind: 'cloth' })], [200, 404]);
    assert.equal((await site.ask('/method')).text, 'get');
    assert.equal((await site.ask('/method', { method: 'POST' })).text, 'post');
    assert.equal((await site.ask('/method', { method: 'PUT' })).status, 404);
  });

  test('files: directories have an index, a trailing slash does not matter, and there is no way out', async () => {
    const text = async (path: string) => (await site.ask(path)).text;
    assert.equal(await text('/files/a.txt'), 'text');
    for (const path of ['/files/dir', '/files/dir/', '/files/dir/index.html']) assert.equal(await text(path), '<p>dir');
    assert.equal(await text('/files'), '<p>root');
    assert.equal(await text('/files/name%20with%20space.txt'), 'space');
    for (const path of [
      '/files/../private.txt',
      '/files/%2e%2e/private.txt',
      '/files/..%2fprivate.txt',
      '/files/%5c..%5cprivate.txt',
      '/files//etc/passwd',
      '/files/%00',
    ]) {
      const answer = await RawClient.ask(platform.port, `GET ${path} HTTP/1.1\r\nhost: ${site.host}\r\n\r\n`);
      assert.ok(answer.status === 404 || answer.status === 400, `${path}: ${answer.status}`);
      assert.doesNotMatch(answer.text, /^private|root:/);
    }
    const file = await site.ask('/files/a.txt');
    assert.match(file.get('x-sv-components')!, /b=static/);
    assert.equal((await site.ask('/files/a.txt', { headers: { 'if-none-match': file.get('etag')! } })).status, 304);
  });

  test('hashed files are immutable and stay when the next deployment has others', async () => {
    const first = await site.ask('/hashed/app.0a1b2c3d4e.js');
    assert.equal(first.get('cache-control'), 'public, max-age=31536000, immutable');
    const { 'hashed/app.0a1b2c3d4e.js': _, ...others } = FILES;
    const files = projectFiles({ o: origin.backend }, ROUTES, {
      files: { ...others, 'hashed/app.ffffffffff.js': 'two' },
    });
    await platform.deploy('routing', files);
    assert.equal((await site.ask('/hashed/app.ffffffffff.js')).text, 'two');
    assert.equal((await site.ask('/hashed/app.0a1b2c3d4e.js')).text, 'one');
  });

  test('a page that is not there is made by code, a shell answers for a whole application', async () => {
    assert.equal((await site.ask('/isg/7')).text, 'made 7');
    assert.equal((await site.ask('/isg/shell')).text, '<p>shell');
    assert.equal((await site.ask('/app/any/where')).text, '<p>shell');
    const worker = await site.ask('/sw.js');
    assert.match(worker.get('cache-control')!, /no-cache/);
    assert.equal(worker.get('service-worker-allowed'), '/');
    assert.match(worker.get('content-type')!, /javascript/);
  });

  test('generated hosts are kept from search engines, custom domains are not', async () => {
    assert.equal((await site.ask('/method')).get('x-robots-tag'), 'noindex');
    const { url, token } = platform.control;
    const { cliHere } = await import('../actors/cli.ts');
    const place = ['--project', 'routing', '--environment', 'live', '--to', url, '--token', token];
    const live = await platform.deploy('routing', projectFiles({ o: origin.backend }, ROUTES, { files: FILES }), {
      environment: 'live',
    });
    const added = await cliHere(['domains', 'add', 'cloth.example', ...place]);
    assert.equal(added.code, 0, added.stderr);
    const answer = await platform.request({ host: 'cloth.example', path: '/method' });
    assert.deepEqual([answer.status, answer.get('x-robots-tag')], [200, undefined]);
    assert.equal((await live.ask('/method')).get('x-robots-tag'), 'noindex');
  });

  test('the cache manifest tells browsers what is worth prefetching', async () => {
    const answer = await site.ask('/__selvedge__/cache-manifest.js');
    assert.match(answer.get('content-type')!, /javascript/);
    assert.match(answer.text, /__SELVEDGE_CACHE_MANIFEST__ = \[.*"criteriaPath":"\/listed\/:path\*"/);
  });

  test('behind a trusted proxy the protocol counts: no route for HTTP is a redirect to HTTPS', async () => {
    const via = (path: string, protocol: string) =>
      site.ask(path, { headers: { 'x-forwarded-proto': protocol, 'x-forwarded-for': '192.0.2.7' } });
    const plain = await via('/method?a=1', 'http');
    assert.deepEqual([plain.status, plain.get('location')], [301, `https://${site.host}/method?a=1`]);
    assert.equal((await via('/plain', 'http')).text, 'either');
    const secure = await via('/method', 'https');
    assert.equal(secure.text, 'get');
    assert.equal((await platform.log(secure.get('x-sv-request-id')!)).ip, '192.0.2.7');
    assert.equal((await via('/nowhere', 'https')).status, 404);
    const seen = (await via('/moved/x', 'https')).json().headers;
    assert.deepEqual(
      [seen['x-forwarded-proto'], seen['x-sv-protocol'], seen['x-forwarded-for']],
      ['https', 'https', '192.0.2.7, 127.0.0.1'],
    );
  });
});
