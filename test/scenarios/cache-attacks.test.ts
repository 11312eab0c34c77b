/** Attacks on caches that were published, each against a whole platform: what one client sends never reaches another. */
import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';

const ROUTES = `
  .match('/kept/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('o'); })
  .match('/assets/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('o'); })
  .match('/:path*', ({ proxy }) => proxy('o'))`;

describe('attacks on caches', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    [platform, origin] = await Promise.all([startPlatform(), pathOrigin()]);
    site = await platform.deploy('attacks', projectFiles({ o: origin.backend }, ROUTES));
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  const status =
    (code: number): RequestListener =>
    (_request, response) =>
      void response.writeHead(code).end('x');
  /** Answers with everything that it was sent, and lets it be kept. */
  const reflecting: RequestListener = (request, response) => {
    response.setHeader('cache-control', 'max-age=60');
    response.end(JSON.stringify({ url: request.url, method: request.method, headers: request.headers }));
  };

  describe('web cache deception: a personal page under a name that looks static', () => {
    const PERSONAL: RequestListener = (request, response) => {
      response.setHeader('cache-control', 'no-store');
      response.end(`account of ${request.headers.cookie}`);
    };
    for (const suffix of [
      '/logo.css',
      ';logo.css',
      '%0Alogo.css',
      '%23logo.css',
      '%3Flogo.css',
      '%2Flogo.css',
      '/..%2Flogo.css',
    ])
      test(`/account${suffix}`, async () => {
        const path = origin.on(`/account${suffix}`, PERSONAL);
        const victim = await site.ask(path, { headers: { cookie: 'u=victim' } });
        assert.equal(victim.text, 'account of u=victim');
        const attacker = await site.ask(path, { headers: { cookie: 'u=attacker' } });
        assert.equal(attacker.text, 'account of u=attacker');
      });

    test('an upstream that says private wins over a cached folder, whatever its path is resolved to', async () => {
      const path = '/assets/..%2Faccount';
      origin.on(path, (request, response) => {
        response.setHeader('cache-control', 'private');
        response.end(`account of ${request.headers.cookie}`);
      });
      await site.ask(path, { headers: { cookie: 'u=victim' } });
      assert.equal((await site.ask(path, { headers: { cookie: 'u=attacker' } })).text, 'account of u=attacker');
    });
  });

  describe('poisoning by what is not in the key', () => {
    test('X-Forwarded-Host and its kin are ours to say', async () => {
      const path = origin.on('/kept/forwarded', reflecting);
      const names = ['x-forwarded-host', 'x-forwarded-proto', 'x-host', 'x-forwarded-server', 'forwarded'];
      await site.ask(path, { headers: Object.fromEntries(names.map((name) => [name, 'evil.example'])) });
      const { headers } = (await site.ask(path)).json() as { headers: Record<string, string> };
      assert.equal(headers['x-forwarded-host'], site.host);
      assert.doesNotMatch(`${headers['x-forwarded-proto']}`, /evil/);
    });

    test('a port in Host is another key', async () => {
      const path = origin.on('/kept/port', reflecting);
      await platform.request({ host: `${site.host}:1337`, path });
      assert.doesNotMatch((await site.ask(path)).text, /1337/);
    });

    test('a parameter that is left out of the key is not seen upstream (parameter cloaking)', async () => {
      const path = origin.on('/kept/cloaked', reflecting);
      await site.ask(`${path}?selvedge_x=<script>&a=1`);
      assert.doesNotMatch((await site.ask(`${path}?a=1`)).text, /script/);
      await site.ask(`${path}?a=1;b=evil`);
      assert.doesNotMatch((await site.ask(`${path}?a=1`)).text, /evil/);
    });

    test('a GET with a body is not kept under the key of one without (fat GET)', async () => {
      const path = origin.on('/kept/fat', (request, response) => {
        let body = '';
        request.on('data', (chunk: Buffer) => (body += chunk.toString()));
        request.on('end', () => {
          response.setHeader('cache-control', 'max-age=60');
          response.end(`body: ${body}`);
        });
      });
      await site.ask(path, { body: 'q=evil' });
      assert.equal((await site.ask(path)).text, 'body: ');
    });
  });

  describe('denial of service by a cached error (CPDoS)', () => {
    test('a header that the upstream finds too large, or cannot read, breaks nothing for others', async () => {
      const path = origin.on('/kept/large', (request, response) => {
        const isBad = (request.headers['x-large'] ?? '').length > 1000 || request.headers['x-meta'] !== undefined;
        (isBad ? status(400) : status(200))(request, response);
      });
      assert.equal((await site.ask(path, { headers: { 'x-large': 'a'.repeat(2000) } })).status, 400);
      assert.equal((await site.ask(path, { headers: { 'x-meta': '\\r' } })).status, 400);
      const answers = await Promise.all([site.ask(path), site.ask(path)]);
      assert.deepEqual(
        answers.map((answer) => answer.status),
        [200, 200],
      );
    });

    test('X-HTTP-Method-Override that fails upstream is not kept', async () => {
      const path = origin.on('/kept/override', (request, response) =>
        status(request.headers['x-http-method-override'] ? 405 : 200)(request, response),
      );
      await site.ask(path, { headers: { 'x-http-method-override': 'DELETE' } });
      assert.equal((await site.ask(path)).status, 200);
    });

    test('a range that the first client asked for is not what the second gets', async () => {
      const path = origin.on('/kept/range', (request, response) => {
        assert.equal(request.headers.range, undefined);
        response.end('0123456789');
      });
      assert.equal((await site.ask(path, { headers: { range: 'bytes=0-0' } })).status, 206);
      const whole = await site.ask(path);
      assert.deepEqual([whole.status, whole.text], [200, '0123456789']);
    });
  });

  describe('answers of one user', () => {
    test('to a request with Authorization are not for others, kept or on their way', async () => {
      const path = origin.on(
        '/kept/authorized',
        (request, response) => void response.end(`for ${request.headers.authorization}`),
      );
      const as = (name: string) => site.ask(path, { headers: { authorization: name } });
      assert.deepEqual(
        (await Promise.all([as('a'), as('b')])).map(({ text }) => text),
        ['for a', 'for b'],
      );
      assert.equal((await site.ask(path)).text, 'for undefined');
    });

    test('with Set-Cookie give nobody else the cookie', async () => {
      const path = origin.on('/kept/session', (request, response) => {
        response.setHeader('set-cookie', `id=${request.headers['x-who']}`);
        response.end('page');
      });
      const as = (name: string) => site.ask(path, { headers: { 'x-who': name } });
      const answers = await Promise.all([as('a'), as('b'), as('c')]);
      assert.deepEqual(
        answers.map((answer) => answer.get('set-cookie')),
        ['id=a', 'id=b', 'id=c'],
      );
    });
  });

  describe('key confusion', () => {
    test('the case of Host makes no second key, the case of a path does', async () => {
      const path = origin.on('/kept/Case', reflecting);
      await site.ask(path);
      await platform.request({ host: site.host.toUpperCase(), path });
      assert.equal(origin.count(path), 1);
      origin.on('/kept/case', reflecting);
      assert.match((await site.ask('/kept/case')).text, /\/kept\/case/);
    });

    test('an encoded path is not taken for the plain one', async () => {
      for (const path of ['/kept/a%2Fb', '/kept/a/b', '/kept/a%2fb', '/kept/%61/b']) {
        origin.on(path, reflecting);
        assert.equal(((await site.ask(path)).json() as { url: string }).url, path);
      }
    });
  });
});
