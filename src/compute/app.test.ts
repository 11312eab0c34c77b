import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough, type Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { bodyText, callOf, computeStage, faultOf, gone, routesModule } from '../../test/actors/project-bundle.ts';
import { Fields } from '../http/fields.ts';
import type { Runnable } from './types.ts';

const ROUTES =
  routesModule(`viaApp: async ({ host, request }) => { const answer = await host.app({ ...request, url: '/inner' });
  return { ...answer, headers: [...answer.headers, 'x-via', 'app'] } }`);
const LISTENER = `(req, res) => { res.setHeader('x-app', '1'); res.end('app ' + req.method + ' ' + req.url) }`;

const moduleApp = (entry: string): Partial<Runnable> => ({ app: { kind: 'module', entry } });

describe("an app's own server", () => {
  const KINDS: readonly (readonly [story: string, file: string, source: string])[] = [
    [
      'a module that listens on PORT by itself',
      'a.mjs',
      `import h from 'node:http'; h.createServer(${LISTENER}).listen(process.env.PORT)`,
    ],
    [
      'a CommonJS module that listens on PORT',
      'a.cjs',
      `require('node:http').createServer(${LISTENER}).listen(+process.env.PORT)`,
    ],
    ['an exported request listener', 'a.cjs', `module.exports = ${LISTENER}`],
    [
      'a default function that takes the port',
      'a.mjs',
      `import h from 'node:http'; export default (port) => h.createServer(${LISTENER}).listen(port)`,
    ],
    ['an exported prod function that returns a listener', 'a.mjs', `export const prod = async (port) => ${LISTENER}`],
    ['an exported server', 'a.cjs', `module.exports = require('node:http').createServer(${LISTENER})`],
    [
      'a module that listens late and on localhost',
      'a.mjs',
      `import h from 'node:http'; setTimeout(() => h.createServer(${LISTENER}).listen(process.env.PORT, 'localhost'), 40)`,
    ],
  ];
  for (const [story, file, source] of KINDS)
    test(`may be ${story}`, async () => {
      await using stage = await computeStage();
      const runnable = await stage.project({ 'routes.mjs': ROUTES, [file]: source }, moduleApp(file));
      await stage.compute.prepare(runnable);
      const { response } = await stage.compute.run(callOf(runnable, { request: { path: '/p', query: 'q=1' } }));
      assert.equal(await bodyText(response), 'app GET /p?q=1');
      assert.equal(response.fields.get('x-app'), '1');
      assert.equal(response.fields.has('connection'), false);
    });

  test('may be a command in the bundle, and dies with its worker', async () => {
    await using stage = await computeStage();
    const source = `require('node:http').createServer((q, s) => { console.log('from the app'); s.end(String(process.pid)) }).listen(process.env.PORT)`;
    const app = { kind: 'command', command: 'node', args: ['server.js'] } as const;
    const runnable = await stage.project({ 'routes.mjs': ROUTES, 'server.js': source }, { app });
    const { response, telemetry } = await stage.compute.run(callOf(runnable, { requestId: 'r-app' }));
    const pid = Number(await bodyText(response));
    assert.ok(telemetry.worker!.wm > 0);
    assert.match((await stage.logged((line) => line.message === 'from the app')).requestId, /r-app/);
    await stage.compute.close();
    await gone(pid);
  });

  test('a command that ends or does not exist is a load failure', async () => {
    await using stage = await computeStage();
    const ends = { kind: 'command', command: 'node', args: ['-e', 'process.exit(4)'] } as const;
    const missing = { kind: 'command', command: 'no-such-program', args: [] } as const;
    const files = { 'routes.mjs': ROUTES };
    const one = await faultOf(stage.compute.prepare(await stage.project(files, { app: ends })));
    const two = await faultOf(stage.compute.prepare(await stage.project(files, { app: missing })));
    assert.deepEqual([one.why, one.details], ['compute.load-failed', 'load-failed exit code=4']);
    assert.equal(two.why, 'compute.load-failed');
    assert.match(String(two.evidence.message), /no-such-program/);
  });

  test('answers handlers through the host as well', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project(
      { 'routes.mjs': ROUTES, 'a.cjs': `module.exports = ${LISTENER}` },
      moduleApp('a.cjs'),
    );
    const { response } = await stage.compute.run(callOf(runnable, { route: 'viaApp' }));
    assert.equal(await bodyText(response), 'app GET /inner');
    assert.equal(response.fields.get('x-via'), 'app');
  });

  test('streams both ways at once: each line comes back before the next is sent', async () => {
    await using stage = await computeStage();
    const echo = `module.exports = (req, res) => { res.writeHead(200, { 'content-type': 'text/event-stream' }); res.flushHeaders(); req.pipe(res) }`;
    const runnable = await stage.project({ 'routes.mjs': ROUTES, 'a.cjs': echo }, moduleApp('a.cjs'));
    const body = new PassThrough();
    const { response } = await stage.compute.run(callOf(runnable, { request: { method: 'POST', body } }));
    const answer = response.body as Readable;
    for (const line of ['data: 1\n\n', 'data: 2\n\n']) {
      body.write(line);
      const [chunk] = await once(answer, 'data');
      assert.equal(String(chunk), line);
    }
    body.end();
    await once(answer, 'end');
  });

  test('holds back when nobody reads', async () => {
    await using stage = await computeStage({ limits: { responseBytes: 100_000_000 } });
    const source = `const block = Buffer.alloc(65536); let sent = 0;
      module.exports = (req, res) => { if (req.url === '/sent') return res.end(String(sent));
        const more = () => { while (sent < 50e6) { sent += block.length; if (!res.write(block)) return res.once('drain', more) } res.end() }; more() }`;
    const runnable = await stage.project({ 'routes.mjs': ROUTES, 'a.cjs': source }, moduleApp('a.cjs'));
    const { response } = await stage.compute.run(callOf(runnable));
    let seen = 0;
    const body = response.body as Readable;
    await once(body, 'readable');
    assert.ok(body.readableLength < 1_000_000);
    for await (const chunk of body) seen += (chunk as Buffer).length;
    assert.ok(seen >= 50e6);
  });

  test('log lines and uncaught exceptions are those of the request', async () => {
    await using stage = await computeStage({ limits: { concurrencyPerWorker: 2 }, maxWorkers: 1 });
    const source = `const waiting = []; module.exports = (req, res) => { console.log('at ' + req.url, Object.keys(req.headers).length);
      waiting.push(() => { if (req.url === '/bad') setImmediate(() => { throw new Error('boom') }); else res.end('fine') });
      if (waiting.length === 2) for (const go of waiting) go() }`;
    const runnable = await stage.project({ 'routes.mjs': ROUTES, 'a.cjs': source }, moduleApp('a.cjs'));
    await stage.compute.prepare(runnable);
    const run = (path: string) => stage.compute.run(callOf(runnable, { request: { path }, requestId: path }));
    const good = run('/good');
    const fault = await faultOf(run('/bad'));
    assert.deepEqual([fault.why, fault.evidence.message], ['compute.uncaught', 'boom']);
    await good.catch(() => {});
    assert.equal((await stage.logged((line) => line.message.startsWith('at /good'))).requestId, '/good');
    assert.match((await stage.logged((line) => line.message.startsWith('at /bad'))).message, / 2$/);
  });

  test('raw bytes that are not HTTP and impossible heads are malformed', async () => {
    await using stage = await computeStage();
    const source = `module.exports = (req, res) => { if (req.url === '/raw') return res.socket.end('NOT HTTP'); res.writeHead(42) }`;
    const runnable = await stage.project({ 'routes.mjs': ROUTES, 'a.cjs': source }, moduleApp('a.cjs'));
    for (const path of ['/raw', '/42']) {
      const fault = await faultOf(stage.compute.run(callOf(runnable, { request: { path } })));
      assert.deepEqual([fault.why, fault.code], ['compute.malformed', 534]);
    }
  });

  test('a hang-up before the head is incomplete, an exit in the body breaks the body', async () => {
    await using stage = await computeStage();
    const source = `module.exports = (req, res) => { if (req.url === '/hang') return res.socket.destroy();
      res.write('some'); setTimeout(() => process.exit(5), 20) }`;
    const runnable = await stage.project({ 'routes.mjs': ROUTES, 'a.cjs': source }, moduleApp('a.cjs'));
    const hang = await faultOf(stage.compute.run(callOf(runnable, { request: { path: '/hang' } })));
    assert.equal(hang.why, 'compute.incomplete');
    const { response } = await stage.compute.run(callOf(runnable));
    const fault = await faultOf(bodyText(response));
    assert.deepEqual([fault.why, fault.details], ['compute.exited', 'exit code=5']);
  });

  test('an idle connection that the app has closed is not an error of the next request', async () => {
    await using stage = await computeStage();
    const source = `const server = require('node:http').createServer((q, s) => { s.end('ok'); s.once('close', () => setImmediate(() => q.socket.destroy())) });
      server.listen(process.env.PORT)`;
    const runnable = await stage.project({ 'routes.mjs': ROUTES, 'a.cjs': source }, moduleApp('a.cjs'));
    for (let count = 0; count < 20; count++)
      assert.equal(
        await bodyText((await stage.compute.run(callOf(runnable, { request: { fields: new Fields() } }))).response),
        'ok',
      );
  });
});
