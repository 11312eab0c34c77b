/**
 * Projects written for Layer0 and Edgio, version 4 to 6, in the ways that real ones are written: deployed unmodified
 * through the command line, in front of an origin with TLS that they name by its host, and every route requested.
 * Source: the compatibility spec, sections 1 to 5.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { certificates } from '../actors/certificates.ts';
import type { Answer, Ask } from '../actors/client.ts';
import { type DnsServer, dnsServer } from '../actors/dns-server.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { type TlsPeer, tlsOrigin } from '../actors/tls-peer.ts';
import { until } from '../actors/until.ts';

/** The certificate's name; resolved by a name server that knows nothing else. */
const ORIGIN = 'shop.test';

const folder = mkdtempSync(join(tmpdir(), 'sv-projects-'));
let platform: Platform;
let origin: TlsPeer;
let dns: DnsServer;

before(async () => {
  const { good, ca } = await certificates();
  const caFile = join(folder, 'ca.pem');
  writeFileSync(caFile, ca);
  [origin, dns] = await Promise.all([tlsOrigin(good, answerAsOrigin), dnsServer({ [ORIGIN]: { A: ['127.0.0.1'] } })]);
  platform = await startPlatform({ config: { upstream: { caFile }, dns: { servers: [dns.address] } } });
});
after(async () => {
  await platform?.stop();
  await Promise.all([origin?.close(), dns?.close()]);
  rmSync(folder, { recursive: true, force: true });
});

/** JSON that says what was asked; HTML where a browser asks; private and with a cookie, as shops answer. */
const answerAsOrigin: Parameters<typeof tlsOrigin>[1] = (request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const { method, url, headers } = request;
    const told = { method, url, headers, body: Buffer.concat(chunks).toString() };
    const html = `<html><head></head><body><a href="https://${ORIGIN}/x">${method} ${url}</a></body></html>`;
    const wantsHtml = /html/.test(headers.accept ?? '');
    response.setHeader('content-type', wantsHtml ? 'text/html; charset=utf-8' : 'application/json');
    response.setHeader('cache-control', 'private, max-age=30');
    response.setHeader('set-cookie', 'visitor=1; Path=/');
    if (url!.startsWith('/moved')) response.writeHead(302, { location: `https://${ORIGIN}/target` });
    response.end(wantsHtml ? html : JSON.stringify(told));
  });
};

/** `backends` of a configuration, as it is written in its file. */
const backends = (...names: string[]): string =>
  names.map((name) => `${name}: { domainOrIp: '${ORIGIN}', hostHeader: '${ORIGIN}', port: ${origin.port} }`).join(', ');

/** What an answer says of who made it and what became of it. */
function summary(answer: Answer) {
  const { status, text, get } = answer;
  const made = /(?:^|,)b=(\w+)/.exec(get('x-sv-components') ?? '')?.[1] ?? 'none';
  const cache = /cache;desc="([^"]+)"/.exec(get('server-timing') ?? '')?.[1];
  return { status, text, made, cache, caching: get('x-sv-caching-status'), get };
}

async function visit(site: Site, path: string, more: Omit<Ask, 'path' | 'host' | 'port'> = {}) {
  return summary(await site.ask(path, more));
}

/** The answer must be one to store; later ones come from the edge's store and are the same. */
async function stored(site: Site, path: string, more: Omit<Ask, 'path' | 'host' | 'port'> = {}) {
  const first = await visit(site, path, more);
  assert.equal(first.caching, 'ok', path);
  const hit = await until(`${path} in the edge's store`, async () => {
    const again = await visit(site, path, more);
    return again.cache === 'HIT-L1' ? again : undefined;
  });
  assert.deepEqual([hit.status, hit.text], [first.status, first.text], path);
  return first;
}

const GRAPHQL = (operationName: string): Omit<Ask, 'path' | 'host' | 'port'> => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ operationName, query: `query ${operationName} { id }`, variables: {} }),
});

describe('a project deploys unmodified and serves every route', () => {
  test('serverless functions of version 6: typed modules, a parameter, a compressed body, a fallback', async () => {
    const site = await platform.deploy('functions', {
      'edgio.config.js': `module.exports = { name: 'functions' }`,
      'routes.ts': `import { Router } from "@edgio/core/router";
        import hello from "./functions/hello";
        import log from "./functions/log";
        export default new Router()
          .get("/hello/:name", ({ compute, cache }) => {
            cache({ edge: { maxAgeSeconds: 60 * 60, staleWhileRevalidateSeconds: 60 * 60 * 24 * 365 } });
            compute(hello);
          })
          .post("/log", ({ compute }) => compute(log))
          .fallback(({ compute }) => compute((req, res) => { res.body = JSON.stringify({ url: req.url }); }));`,
      'functions/hello.ts': `import Request from "@edgio/core/router/Request";
        import Response from "@edgio/core/router/Response";
        export default function hello(req: Request, res: Response) {
          res.setHeader("content-type", "application/json");
          res.body = JSON.stringify({ message: \`hello \${req.params?.name}\` });
        }`,
      'functions/log.ts': `import { gunzipSync } from "zlib";
        export default (req, res) => { res.statusCode = 201; res.body = gunzipSync(req.rawBody).toString(); };`,
    });
    const hello = await stored(site, '/hello/weaver');
    assert.deepEqual([hello.made, hello.text], ['serverless', '{"message":"hello weaver"}']);
    const body = gzipSync('{"hello":"world"}');
    const log = await visit(site, '/log', { method: 'POST', body, headers: { 'content-encoding': 'gzip' } });
    assert.deepEqual([log.status, log.text], [201, '{"hello":"world"}']);
    assert.equal((await visit(site, '/hello/a/b')).text, '{"url":"/hello/a/b"}');
    assert.equal((await visit(site, '/log')).text, '{"url":"/log"}');
  });

  test('a version 4 shop in CommonJS: layer0.config.js, backends, an API, an image service, a switch by build', async () => {
    const site = await platform.deploy('spa', {
      'package.json': `{ "name": "spa" }`,
      'layer0.config.js': `module.exports = { routes: './layer0/routes.js', backends: { ${backends('api', 'image')} } }`,
      'layer0/cache.js': `
        exports.API = ({ cache, proxy, removeUpstreamResponseHeader }) => {
          removeUpstreamResponseHeader('set-cookie')
          cache({ edge: { maxAgeSeconds: 86400, forcePrivateCaching: true }, browser: { serviceWorkerSeconds: 86400 } })
          proxy('api', { path: ':path*' })
        }
        exports.IMAGE = ({ cache, proxy }) => {
          cache({ edge: { maxAgeSeconds: 3600, forcePrivateCaching: true }, browser: { maxAgeSeconds: 0 } })
          proxy('image', { path: '/' })
        }
        exports.PAGE = ({ cache }) => cache({ edge: { maxAgeSeconds: 86400 }, browser: { serviceWorkerSeconds: 60 } })`,
      'layer0/routes.js': `
        const { Router } = require('@layer0/core/router')
        const { isProductionBuild } = require('@layer0/core/environment')
        const { API, IMAGE, PAGE } = require('./cache')
        const router = new Router()
        router.noIndexPermalink()
        router.match('/__xdn__/:path*', ({ redirect }) => redirect('/__layer0__/:path*', 301))
        router.match('/l0-api/:path*', API)
        router.match('/l0-opt', IMAGE)
        router.match('/service-worker.js', ({ serviceWorker }) => serviceWorker('dist/service-worker.js'))
        if (isProductionBuild()) {
          ['/', '/product/:path'].forEach((path) => router.match(path, PAGE))
          router.static('dist')
          router.fallback(({ serveStatic }) => { serveStatic('dist/index.html') })
        } else {
          router.fallback(({ renderWithApp }) => renderWithApp())
        }
        module.exports = router`,
      'dist/index.html': '<p>shell',
      'dist/js/app.js': 'app()',
      'dist/service-worker.js': 'self.x = 1',
    });
    const old = await visit(site, '/__xdn__/a/b?c=1');
    assert.deepEqual([old.status, old.get('location')], [301, '/__layer0__/a/b?c=1']);
    const api = await stored(site, '/l0-api/products/red%20cloth?page=2');
    const asked = JSON.parse(api.text);
    assert.deepEqual([asked.url, asked.headers.host], ['/products/red%20cloth?page=2', ORIGIN]);
    assert.deepEqual([api.get('set-cookie'), api.get('x-sw-cache-control')], [undefined, 'max-age=86400']);
    const image = await visit(site, '/l0-opt?img=a.png&width=20');
    assert.equal(JSON.parse(image.text).url, '/?img=a.png&width=20');
    assert.deepEqual([image.caching, image.get('cache-control')], ['set-cookie', 'max-age=0']);
    const worker = await visit(site, '/service-worker.js');
    assert.deepEqual([worker.text, worker.get('cache-control'), worker.made], ['self.x = 1', 'no-cache', 'static']);
    for (const path of ['/', '/product/cloth']) assert.equal((await stored(site, path)).text, '<p>shell');
    assert.equal((await visit(site, '/js/app.js')).text, 'app()');
    const rest = await visit(site, '/any/where');
    assert.deepEqual([rest.text, rest.made, rest.caching], ['<p>shell', 'static', 'no-max-age']);
    assert.equal(rest.get('x-robots-tag'), 'noindex');
  });

  test('a static application with an app shell, and module.exports beside import', async () => {
    const site = await platform.deploy('shell', {
      'package.json': `{ "name": "shell", "type": "module" }`,
      'edgio.config.cjs': 'module.exports = {}',
      'routes.js': `import { Router } from '@edgio/core/router'
        const router = new Router()
          .prerender([{ path: '/' }])
          .match('/robots.txt', ({ serveStatic }) => { serveStatic('./dist/robots.txt') })
          .match('/assets/:path*', ({ cache, serveStatic }) => {
            cache({ edge: { maxAgeSeconds: 78840000, forcePrivateCaching: true }, browser: { maxAgeSeconds: 0, serviceWorkerSeconds: 86400 } })
            serveStatic('dist/assets/:path*')
          })
          .fallback(({ appShell, cache }) => { cache({ edge: { maxAgeSeconds: 60 }, browser: false }); appShell('dist/index.html') })
        module.exports = router`,
      'dist/robots.txt': 'User-agent: *',
      'dist/assets/css/site.css': 'a {}',
      'dist/index.html': '<p>ember',
    });
    assert.equal((await visit(site, '/robots.txt')).text, 'User-agent: *');
    const css = await stored(site, '/assets/css/site.css');
    assert.deepEqual([css.get('cache-control'), css.get('x-sw-cache-control')], ['max-age=0', 'max-age=86400']);
    assert.match(css.get('content-type')!, /^text\/css/);
    const missing = await visit(site, '/assets/none.css');
    assert.deepEqual([missing.status, missing.get('x-sv-error')], [404, '404']);
    const page = await visit(site, '/some/page');
    assert.deepEqual([page.text, page.get('cache-control')], ['<p>ember', 'no-cache, no-store, max-age=0']);
  });

  test('a site in front of an old one: handlers from modules, edited HTML, rewritten redirects, a proxied rest', async () => {
    const site = await platform.deploy('cdn', {
      'edgio.config.js': `module.exports = { routes: './src/routes.ts', backends: { ${backends('origin')} } }`,
      'src/routes.ts': `import { Router } from '@edgio/core/router'
        import routeHandler from './route-handler'
        export default new Router()
          .get('/', routeHandler)
          .get('/post/:path*', routeHandler)
          .match('/moved', ({ proxy, updateResponseHeader }) => {
            updateResponseHeader('location', /https:\\/\\/${ORIGIN}\\//gi, '/')
            proxy('origin')
          })
          .match('/main.js', ({ serveStatic, cache }) => { cache({ edge: { maxAgeSeconds: 60 } }); return serveStatic('dist/browser.js') })
          .fallback(({ proxy }) => { proxy('origin') })`,
      'src/route-handler.ts': `import { RouteHandler } from '@edgio/core/router/Router'
        import responseBodyToString from '@edgio/core/utils/responseBodyToString'
        const handler: RouteHandler = async ({ cache, removeUpstreamResponseHeader, proxy }) => {
          cache({ edge: { maxAgeSeconds: 3600, forcePrivateCaching: true }, browser: { maxAgeSeconds: 0 } })
          removeUpstreamResponseHeader('set-cookie')
          proxy('origin', {
            transformResponse: (res, req) => {
              res.body = responseBodyToString(res).replace('</head>', '<script src="/main.js"></script></head>').replace(/https:\\/\\/${ORIGIN}/g, '')
              res.setHeader('x-edited', req.path)
            }
          })
        }
        export default handler`,
      'dist/browser.js': 'install()',
    });
    const html = { headers: { accept: 'text/html' } };
    for (const path of ['/', '/post/a/b']) {
      const page = await stored(site, path, html);
      assert.match(page.text, /<script src="\/main.js"><\/script><\/head>.*href="\/x">GET /);
      assert.deepEqual([page.made, page.get('x-edited'), page.get('set-cookie')], ['serverless', path, undefined]);
    }
    const moved = await visit(site, '/moved');
    assert.deepEqual([moved.status, moved.get('location')], [302, '/target']);
    assert.equal((await stored(site, '/main.js')).text, 'install()');
    const rest = await visit(site, '/cart?id=1', { method: 'PUT', body: 'cloth' });
    const asked = JSON.parse(rest.text);
    assert.deepEqual([asked.method, asked.url, asked.body], ['PUT', '/cart?id=1', 'cloth']);
    assert.deepEqual([rest.caching, rest.get('set-cookie')], ['method', 'visitor=1; Path=/']);
  });

  test('a framework plugin used between own routes, with the application as a server of its own', async () => {
    const site = await platform.deploy('framework', {
      'package.json': `{ "name": "framework" }`,
      'edgio.config.js': `module.exports = { connector: './edgio', backends: { ${backends('api')} } }`,
      'edgio/build.js': `const { DeploymentBuilder } = require('@edgio/core/deploy')
        const { join } = require('path')
        module.exports = async function build() {
          const builder = new DeploymentBuilder(process.cwd())
          builder.clearPreviousBuildOutput()
          await builder.exec('mkdir -p out/_static && echo "one()" > out/_static/app.0a1b2c3d4e.js && echo page > out/about.html')
          builder.addJSAsset(join(process.cwd(), 'server.js'), 'server.js')
          await builder.build()
        }`,
      'edgio/prod.js': `const { createServer } = require('http')
        module.exports = (port) => new Promise((done) => createServer(require('../server.js')).listen(port, done))`,
      'server.js': `module.exports = (request, response) => {
          if (request.url.startsWith('/missing')) response.statusCode = 404
          response.setHeader('cache-control', 'private')
          response.end('app ' + request.method + ' ' + request.url + ' ' + (request.headers['x-mark'] || ''))
        }`,
      'plugin.js': `import { PluginBase } from '@edgio/core/plugins'
        import { BACKENDS } from '@edgio/core/constants'
        export default class Routes extends PluginBase {
          prefix = '/'
          onRegister(router) {
            router.group('framework', (group) => {
              group.static('out/_static', { paths: (file) => '/_static/' + file, handler: () => ({ cache }) => cache({ edge: { maxAgeSeconds: 315360000 }, browser: { maxAgeSeconds: 315360000 } }) })
              group.match('/about', ({ serveStatic }) => serveStatic('out/about.html'))
              group.match('/ssr/:id', ({ proxy }) => proxy(BACKENDS.js, { path: this.prefix + 'rendered/:id' }))
            })
            router.fallback(({ renderWithApp, removeUpstreamResponseHeader, cache }) => {
              removeUpstreamResponseHeader('cache-control')
              cache({ browser: false })
              renderWithApp()
            })
          }
        }
        export const frameworkRoutes = new Routes()`,
      'routes.js': `import { Router } from '@edgio/core'
        import { frameworkRoutes } from './plugin'
        export default new Router()
          .match('/:path*', ({ setRequestHeader }) => setRequestHeader('x-mark', 'own'))
          .match('/cached/:path*', ({ cache }) => cache({ edge: { maxAgeSeconds: 60, forcePrivateCaching: true } }))
          .use(frameworkRoutes)
          .match('/late', ({ send }) => send('after the plugin'))`,
    });
    const script = await stored(site, '/_static/app.0a1b2c3d4e.js');
    assert.deepEqual([script.text.trim(), script.get('cache-control')], ['one()', 'max-age=315360000']);
    assert.equal((await visit(site, '/about')).text.trim(), 'page');
    assert.equal((await visit(site, '/ssr/7')).text, 'app GET /rendered/7 own');
    const page = await visit(site, '/page?a=1', { method: 'POST', body: '' });
    assert.deepEqual([page.text, page.made], ['app POST /page?a=1 own', 'serverless']);
    assert.equal(page.get('cache-control'), 'no-cache, no-store, max-age=0');
    assert.equal((await stored(site, '/cached/x')).text, 'app GET /cached/x own');
    const missing = await visit(site, '/missing');
    assert.deepEqual([missing.status, missing.caching, missing.get('x-sv-error')], [404, 'code', undefined]);
    assert.equal((await visit(site, '/late')).text, 'after the plugin');
  });

  test('GraphQL by operation name, each with its own settings, the body as part of the key', async () => {
    const site = await platform.deploy('graphql', {
      'edgio.config.js': `module.exports = { backends: { ${backends('graphql')} } }`,
      'routes.js': `const { Router } = require('@edgio/core/router')
        module.exports = new Router()
          .graphqlOperation('GetMissions', ({ proxy, cache, removeUpstreamResponseHeader }) => {
            removeUpstreamResponseHeader('set-cookie')
            removeUpstreamResponseHeader('cache-control')
            cache({ edge: { maxAgeSeconds: 3600, staleWhileRevalidateSeconds: 86400 } })
            proxy('graphql')
          })
          .graphqlOperation({ path: '/api/graph', name: /^Get/ }, ({ proxy }) => proxy('graphql', { path: '/graphql' }))
          .post('/graphql', ({ send }) => send('any other operation', 202))`,
    });
    const missions = await stored(site, '/graphql', GRAPHQL('GetMissions'));
    assert.equal(JSON.parse(JSON.parse(missions.text).body).operationName, 'GetMissions');
    const other = { ...GRAPHQL('GetMissions'), body: GRAPHQL('GetMissions').body!.toString().replace('id', 'id name') };
    assert.match((await stored(site, '/graphql', other)).text, /id name/);
    assert.equal(JSON.parse((await visit(site, '/api/graph', GRAPHQL('GetRockets'))).text).url, '/graphql');
    assert.equal((await visit(site, '/api/graph', GRAPHQL('SetRockets'))).status, 404);
    assert.equal((await visit(site, '/graphql', GRAPHQL('GetRockets'))).status, 202);
  });

  test('keys by cookie group, device and chosen parameters, and what upstream then sees', async () => {
    const site = await platform.deploy('keys', {
      'layer0.config.js': `module.exports = { backends: { ${backends('origin')} } }`,
      'routes.js': `import { Router, CustomCacheKey } from '@layer0/core/router'
        const base = new CustomCacheKey().excludeAllQueryParametersExcept('page')
        export default new Router()
          .match('/:path*', ({ removeUpstreamResponseHeader }) => removeUpstreamResponseHeader('set-cookie'))
          .get('/list/:path*', ({ cache, proxy }) => {
            cache({ edge: { maxAgeSeconds: 60, forcePrivateCaching: true }, key: base.clone().addCookie('currency', ({ group }) => { group('west').byPattern('^(eur|usd)$'); group('rest').byPattern('.*') }).addDevice() })
            proxy('origin')
          })`,
    });
    const ask = (query: string, currency: string) => ({
      path: `/list/a?${query}`,
      headers: { cookie: `currency=${currency}` },
    });
    const first = await stored(site, ask('page=1&utm=x', 'eur').path, { headers: ask('', 'eur').headers });
    assert.equal(JSON.parse(first.text).url, '/list/a?page=1');
    assert.equal(JSON.parse(first.text).headers['x-sv-original-qs'], 'page=1&utm=x');
    const same = await visit(site, '/list/a?utm=y&page=1', { headers: ask('', 'usd').headers });
    assert.deepEqual([same.cache, same.text], ['HIT-L1', first.text]);
    const phone =
      'Mozilla/5.0 (iPhone; CPU iPhone OS 15_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148 Safari/604.1';
    for (const headers of [{ cookie: 'currency=jpy' }, { ...ask('', 'eur').headers, 'user-agent': phone }])
      assert.equal((await visit(site, '/list/a?page=1', { headers })).cache, 'MISS');
    assert.equal((await visit(site, '/list/a?page=2', { headers: ask('', 'eur').headers })).cache, 'MISS');
  });

  test('compute that awaits a proxy, pages made when missing, error routes and criteria', async () => {
    const site = await platform.deploy('mixed', {
      'edgio.config.js': `module.exports = { backends: { ${backends('commerce')} } }`,
      'routes.ts': `import { Router } from '@edgio/core/router';
        const CACHE_API = { browser: { maxAgeSeconds: 0 }, edge: { maxAgeSeconds: 60, forcePrivateCaching: true } };
        export default new Router()
          .match('/occ/:path*', ({ cache, proxy, removeRequestHeader, removeUpstreamResponseHeader, compute }) => {
            removeUpstreamResponseHeader('set-cookie');
            compute(async () => {
              removeRequestHeader('origin');
              await proxy('commerce', { path: '/v2/:path*' });
            });
            cache(CACHE_API);
          })
          .get('/', ({ redirect }) => redirect('/home/'))
          .get('/products/:product', ({ serveStatic, cache, compute }) => {
            cache({ edge: { maxAgeSeconds: 60, staleWhileRevalidateSeconds: 1 }, browser: false });
            serveStatic('dist/products/:product/index.html', {
              onNotFound: () => compute((req, res) => { res.body = 'made ' + req.params.product; }),
            });
          })
          .match({ path: '/beta', headers: { 'x-beta': /^(on|1)$/ }, cookies: { shut: null }, query: { to: ':to' } }, ({ send, setResponseHeader }) => {
            setResponseHeader('x-to', '\${req:param:to}');
            send('beta');
          })
          .match('/gone/:path*', ({ serveStatic }) => serveStatic('dist/gone/:path*'))
          .get('/teapot', ({ send }) => send('short and stout', 418, 'I am a teapot'))
          .catch(/^4/, ({ serveStatic }) => { serveStatic('dist/404.html'); });`,
      'dist/products/linen/index.html': 'built linen',
      'dist/gone/a.txt': 'not gone',
      'dist/404.html': '<p>sorry',
    });
    const api = await stored(site, '/occ/users/7?x=1', { headers: { origin: 'https://a.example' } });
    const asked = JSON.parse(api.text);
    assert.deepEqual([asked.url, asked.headers.origin, api.made], ['/v2/users/7?x=1', undefined, 'serverless']);
    assert.equal(api.get('cache-control'), 'max-age=0');
    const home = await visit(site, '/?a=1');
    assert.deepEqual([home.status, home.get('location')], [302, '/home/?a=1']);
    const built = await stored(site, '/products/linen');
    const made = await stored(site, '/products/wool');
    assert.deepEqual(
      [built.text, built.made, made.text, made.made],
      ['built linen', 'static', 'made wool', 'serverless'],
    );
    const beta = await visit(site, '/beta?to=all', { headers: { 'X-Beta': 'on' } });
    assert.deepEqual([beta.text, beta.get('x-to')], ['beta', 'all']);
    const shut = await visit(site, '/beta?to=all', { headers: { 'X-Beta': 'on', cookie: 'shut=1' } });
    assert.deepEqual([shut.status, shut.text], [404, '<p>sorry']);
    assert.equal((await visit(site, '/gone/a.txt')).text, 'not gone');
    const gone = await visit(site, '/gone/b.txt');
    assert.deepEqual([gone.status, gone.text, gone.get('x-sv-error')], [404, '<p>sorry', '404']);
    const teapot = await visit(site, '/teapot');
    assert.equal(teapot.status, 418);
  });
});
