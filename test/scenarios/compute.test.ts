/** Project code at work: handlers, transforms, streams, an app's own server, and what it says on its console. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { cliHere } from '../actors/cli.ts';
import { begin } from '../actors/client.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const BEFORE = `
import { deriveSurrogateKeysFromJson } from 'selvedge/router';
import { Timing } from 'selvedge/timing';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
const held = new Map();
`;
const ROUTES = `
  .match('/hello/:name', ({ compute }) => compute((request, response) => {
    response.setHeader('content-type', 'application/json');
    const { params, query, method, path } = request;
    response.body = JSON.stringify({ params, query, method, path, header: request.getHeader('X-Mine'), id: request.getHeader('x-request-id') });
  }))
  .match('/twice', ({ cache, compute }) => { cache({ edge: { maxAgeSeconds: 60 } }); compute((request, response) => { response.body = String(Math.random()); }); })
  .match('/json', ({ proxy }) => proxy('o', {
    path: '/data',
    transformRequest(request) { request.setHeader('x-asked', 'worker'); },
    async transformResponse(response, request) {
      const data = JSON.parse(response.body);
      response.body = JSON.stringify({ ...data, added: request.path });
      response.setHeader('x-transformed', '1');
    },
  }))
  .match('/keys', ({ proxy }) => proxy('o', { path: '/data', transformResponse: deriveSurrogateKeysFromJson((json) => ['cloth-' + json.id]) }))
  .match('/function', ({ proxy }) => proxy('o', { path: (request) => '/made/' + request.query.a }))
  .match('/inside', ({ compute, proxy }) => compute(async (request, response) => {
    await proxy('o', { path: '/data' });
    response.setHeader('x-inside', String(response.body.length));
  }))
  .match('/fetch', ({ compute }) => compute.fetch(async (request) => {
    const encoder = new TextEncoder();
    const url = new URL(request.url);
    return new Response(new ReadableStream({
      start(controller) {
        controller.enqueue(encoder.encode('first '));
        held.set(url.searchParams.get('id'), () => { controller.enqueue(encoder.encode('last')); controller.close(); });
      },
    }), { status: 201, headers: { 'content-type': 'text/plain', 'x-method': request.method } });
  }))
  .match('/release', ({ compute }) => compute((request, response) => { held.get(request.query.id)?.(); response.body = String(held.has(request.query.id)); }))
  .match('/echo', ({ compute }) => compute.fetch(async (request) => new Response(await request.text(), { headers: { 'x-length': request.headers.get('content-length') ?? 'none' } })))
  .match('/send', ({ send }) => send((request) => 'sent ' + request.path))
  .match('/throws', ({ compute }) => compute(async () => { throw new Error('out of cloth'); }))
  .match('/log', ({ compute }) => compute((request, response) => {
    console.log('a line', { of: 'objects' }); console.error('trouble'); process.stdout.write('raw\\n'); response.body = 'logged';
  }))
  .match('/timing', ({ cache, compute }) => { cache({ edge: { maxAgeSeconds: 60 } }); compute((request, response) => {
    new Timing('db').set(12.5); new Timing('open').start(); response.body = 'timed';
  }); })
  .match('/env', ({ compute }) => compute((request, response) => {
    writeFileSync(join(tmpdir(), 'mine'), 'x');
    response.body = JSON.stringify({ env: process.env });
  }))
  .match('/cookies', ({ compute }) => compute((request, response) => { response.setHeader('set-cookie', ['a=1', 'b=2']); response.body = 'x'; }))
  .match('/app/:path*', ({ renderWithApp }) => renderWithApp())
  .match('/app-transformed/:path*', ({ renderWithApp }) => renderWithApp({ path: '/app/:path*', transformResponse(response) { response.body = response.body.toUpperCase(); } }))
  .match('/fails', ({ compute }) => compute(() => { throw new Error('no'); }))
  .catch(534, ({ compute }) => compute((request, response) => { response.body = 'sorry, ' + response.statusCode; }))`;
const APP = `
import { createServer } from 'node:http';
createServer((request, response) => {
  console.log('app asked for', request.url);
  response.setHeader('content-type', 'text/html');
  response.write('<p>');
  response.end('app ' + request.url + ' on ' + (process.env.PORT ? 'a port' : 'none'));
}).listen(Number(process.env.PORT));
`;

describe('project code at work', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    const config = { branding: { headerPrefix: 'x-lab' }, compute: { workers: 4, prewarm: 2 } };
    [platform, origin] = await Promise.all([startPlatform({ config }), pathOrigin()]);
    const files = projectFiles({ o: origin.backend }, ROUTES, { before: BEFORE, files: { 'server.mjs': APP } });
    files['selvedge.config.js'] = files['selvedge.config.js']!.replace(
      "name: 'project',",
      "name: 'project', app: { entry: 'server.mjs' },",
    );
    site = await platform.deploy('code', files);
    origin.on('/data', (request, response) => {
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify({ id: 7, asked: request.headers['x-asked'] }));
    });
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  test('a handler sees the request and fills in the response', async () => {
    const answer = await site.ask('/hello/w%C3%B6rld?a=1&a=2&b=', { headers: { 'x-mine': 'yes' } });
    const { id, ...seen } = answer.json();
    assert.deepEqual(seen, {
      params: { name: 'wörld' },
      query: { a: ['1', '2'], b: '' },
      method: 'GET',
      path: '/hello/w%C3%B6rld',
      header: 'yes',
    });
    assert.equal(id, answer.get('x-lab-request-id'));
    assert.equal(answer.get('x-lab-status'), 'eh=200,ed=200,gh=200,gd=200,p=200,w=200');
    assert.match(answer.get('x-lab-components')!, /b=serverless,.*wi=[0-9a-f-]{36}/);
    assert.match(answer.get('x-lab-t')!, /pt=\d+,.*pc=1,pf=\d+,.*wm=\d+,wt=\d+,wc=\d+/);
  });

  test('what code made is cached like everything else', async () => {
    assert.equal((await site.ask('/twice')).text, (await site.ask('/twice')).text);
  });

  test('transforms change the request before and the answer after the upstream', async () => {
    const answer = await site.ask('/json', { headers: { 'accept-encoding': 'gzip' } });
    assert.deepEqual(answer.json(), { id: 7, asked: 'worker', added: '/data' });
    assert.equal(answer.get('x-transformed'), '1');
    assert.equal((await site.ask('/function?a=b')).json().url, '/made/b?a=b');
    const inside = await site.ask('/inside');
    assert.deepEqual([inside.json(), inside.get('x-inside')], [{ id: 7 }, '8']);
  });

  test("project code writes under the platform's own prefix what it may, whatever the prefix is", async () => {
    assert.equal((await site.ask('/keys')).get('x-lab-surrogate-key'), 'cloth-7');
  });

  test('a fetch-style handler streams: the first piece arrives before the last is made', async () => {
    const { response } = await begin({
      port: platform.port,
      host: site.host,
      path: '/fetch?id=1',
      method: 'POST',
      body: 'x',
    });
    assert.deepEqual([response.statusCode, response.headers['x-method']], [201, 'POST']);
    const [first] = await once(response, 'data');
    assert.equal(String(first), 'first ');
    response.destroy();
  });

  test('a fetch-style handler reads a body', async () => {
    assert.equal((await site.ask('/echo', { method: 'POST', body: 'warp' })).text, 'warp');
    assert.equal((await site.ask('/send')).text, 'sent /send');
  });

  test('cookies of a handler stay apart', async () => {
    assert.deepEqual((await site.ask('/cookies')).all('set-cookie'), ['a=1', 'b=2']);
  });

  test("the app's own server answers, streams and can be transformed", async () => {
    const answer = await site.ask('/app/page?a=1');
    assert.deepEqual([answer.text, answer.get('content-type')], ['<p>app /app/page?a=1 on a port', 'text/html']);
    assert.equal((await site.ask('/app-transformed/page')).text, '<P>APP /APP/PAGE ON A PORT');
  });

  test('what code says on its console is found by request id, over the API and on the command line', async () => {
    const id = 'console-1';
    await site.ask('/log', { headers: { 'x-request-id': id } });
    const lines = await until('three lines', async () => {
      const all = await platform.logs(id, 'server');
      return all.length >= 3 && all;
    });
    const said = lines.map(({ level, message }) => [level, message]);
    assert.deepEqual(said, [
      [30, "a line { of: 'objects' }"],
      [50, 'trouble'],
      [30, 'raw'],
    ]);
    assert.match(String(lines[0]!.fn), /^code-default-1\b/);
    assert.equal(lines[0]!.clientIp, '127.0.0.1');
    const shown = await cliHere(['logs', '--request', id, '--data', platform.data, '--json']);
    assert.equal(shown.code, 0, shown.stderr);
    assert.match(shown.stdout, /trouble/);
    assert.match(shown.stdout, new RegExp(`"rid":"${id}"`));
    await site.ask('/app/said', { headers: { 'x-request-id': 'console-2' } });
    await until("a line of the app's", async () => (await platform.logs('console-2', 'server')).length > 0);
  });

  test('what a handler throws is in the server log, with its stack and the id of the request', async () => {
    const answer = await site.ask('/throws', { headers: { 'x-request-id': 'thrown-1' } });
    assert.equal(answer.status, 534);
    const line = await until('its line', async () => (await platform.logs('thrown-1', 'server'))[0]);
    assert.equal(line.level, 50);
    assert.match(String(line.message), /^Error: out of cloth\n\s+at .*routes\.js/);
  });

  test("timings of the project's own reach the client and the log, and are not repeated by a hit", async () => {
    const answer = await site.ask('/timing');
    assert.equal(answer.get('x-lab-user-t'), 'db=12.5,open=na');
    assert.match(answer.get('server-timing')!, /db;dur=12\.5/);
    assert.equal((await platform.log(answer.get('x-lab-request-id')!)).xut, 'db=12.5,open=na');
    const hit = await site.ask('/timing');
    assert.match(hit.get('cache-status')!, /"edge-local"; hit/);
    assert.equal(hit.get('x-lab-user-t'), undefined);
    assert.doesNotMatch(hit.get('server-timing')!, /db/);
  });

  test('code sees its own variables and nothing of the platform, and has a temporary folder', async () => {
    const { env } = (await site.ask('/env')).json();
    assert.equal(env.NODE_ENV, 'production');
    assert.equal(env.SELVEDGE_ENVIRONMENT_NAME, 'default');
    assert.equal(JSON.stringify(env).includes(platform.control.token), false);
    assert.equal(env.HOME === process.env.HOME && env.HOME !== undefined, false);
  });

  test('an error route in code knows the status that failed and keeps it', async () => {
    const answer = await site.ask('/fails');
    assert.deepEqual([answer.status, answer.text, answer.get('x-lab-error')], [534, 'sorry, 534', '534']);
    assert.match(answer.get('proxy-status')!, /^"global-local";error=http_response_incomplete;details="534 uncaught"/);
  });
});
