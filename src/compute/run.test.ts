import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { bodyText, callOf, computeStage, faultOf, routesModule } from '../../test/actors/project-bundle.ts';
import { Fields } from '../http/fields.ts';
import { Fault } from '../status/fault.ts';

const HELLO = { 'routes.mjs': routesModule('') };

describe('a route handler in a worker', () => {
  test('answers, with figures of scheduler and worker', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project(HELLO);
    await stage.compute.prepare(runnable);
    const { response, telemetry } = await stage.compute.run(callOf(runnable, { route: 'hello' }));
    assert.equal(response.status, 200);
    assert.equal(await bodyText(response), 'hello');
    assert.equal(response.fields.get('content-length'), '5');
    assert.equal(telemetry.pc, 1);
    assert.equal(telemetry.worker?.wc, 1);
    assert.ok(telemetry.worker!.wm > 10);
    assert.match(telemetry.worker!.wi, /^[0-9a-f-]{36}$/);
    const again = await stage.compute.run(callOf(runnable, { route: 'hello' }));
    assert.equal(again.telemetry.worker?.wc, 2);
    assert.equal(again.telemetry.worker?.wi, telemetry.worker?.wi);
  });

  test('gets method, url, lines, body and parameters as they came', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project({
      'routes.mjs': routesModule(`echo: async ({ request, params }) => {
        const { method, url, protocol, headers, body } = request;
        return text(JSON.stringify({ method, url, protocol, headers, body: body.toString(), params }));
      }`),
    });
    const request = {
      method: 'POST',
      path: '/a%20b',
      query: 'c=d?e',
      fields: new Fields(['Host', 'shop.example', 'X-Twice', '1', 'x-twice', '2', 'Connection', 'close']),
      body: Buffer.from('content'),
    };
    const call = callOf(runnable, { route: 'echo', request, params: { id: ['1', 'é'] } });
    const seen = JSON.parse(await bodyText((await stage.compute.run(call)).response));
    assert.deepEqual(seen, {
      method: 'POST',
      url: '/a%20b?c=d?e',
      protocol: 'https',
      headers: ['Host', 'shop.example', 'X-Twice', '1', 'x-twice', '2', 'content-length', '7'],
      body: 'content',
      params: { id: ['1', 'é'] },
    });
  });

  test('keeps status, reason and repeated lines, and its own 534 is an answer', async () => {
    await using stage = await computeStage();
    const headers = `['Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'content-length', '999', 'Connection', 'close']`;
    const runnable = await stage.project({
      'routes.mjs': routesModule(
        `own: async () => text('mine', { status: 534, reason: 'My Own', headers: ${headers} })`,
      ),
    });
    const { response } = await stage.compute.run(callOf(runnable, { route: 'own' }));
    assert.equal(response.status, 534);
    assert.equal(response.reason, 'My Own');
    assert.deepEqual(response.fields.raw, ['Set-Cookie', 'a=1', 'set-cookie', 'b=2', 'content-length', '4']);
  });

  test('HEAD has the length and no body', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project(HELLO);
    const { response } = await stage.compute.run(callOf(runnable, { route: 'hello', request: { method: 'HEAD' } }));
    assert.equal(response.body, null);
    assert.equal(response.fields.get('content-length'), '5');
  });

  test('streams when it is fetch-style', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project({
      'routes.mjs': routesModule(`flow: async () => ({ status: 200, reason: '', headers: ['content-type', 'text/plain'],
        stream: new Response(new ReadableStream({ start(c) { c.enqueue(new TextEncoder().encode('one ')); setImmediate(() => {
          c.enqueue(new TextEncoder().encode('two')); c.close(); }); } })).body })`),
    });
    const { response } = await stage.compute.run(callOf(runnable, { route: 'flow' }));
    assert.equal(response.fields.has('content-length'), false);
    assert.equal(await bodyText(response), 'one two');
  });

  test('calls upstreams and assets through the platform', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project({
      'routes.mjs': routesModule(`calls: async ({ host, request }) => {
        const api = await host.proxy('api', { ...request, url: '/v1?x=1', headers: ['Accept', '*/*'], body: Buffer.from('up') });
        const file = await host.asset('dist/a.txt');
        const missing = await host.asset('dist/b.txt');
        return text([api.status, api.headers[1], api.body, file.body, missing].join(' '));
      }`),
    });
    const asked: string[] = [];
    const { response } = await stage.compute.run(
      callOf(runnable, {
        route: 'calls',
        services: {
          async proxy(backend, { path, query, body }) {
            asked.push(`${backend} ${path} ${query} ${body}`);
            return { status: 201, fields: new Fields(['x-api', 'yes']), body: Buffer.from('down') };
          },
          async asset(path) {
            const body = Buffer.from(path);
            return path === 'dist/a.txt' ? { status: 200, fields: new Fields(), body } : null;
          },
        },
      }),
    );
    assert.deepEqual(asked, ['api /v1 x=1 up']);
    assert.equal(await bodyText(response), '201 yes down dist/a.txt ');
  });

  test('a platform-managed call that fails keeps its own code, even wrapped by project code', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project({
      'routes.mjs': routesModule(`wrap: async ({ host, request }) => {
        try { await host.proxy('api', request); } catch (error) { throw new Error('my layer', { cause: error }); }
      }`),
    });
    const refused = new Fault({ cause: 'upstream.connect.refused', hop: 'compute' });
    const services = { proxy: () => Promise.reject(refused), asset: async () => null };
    const fault = await faultOf(stage.compute.run(callOf(runnable, { route: 'wrap', services })));
    assert.equal(fault.why, 'upstream.connect.refused');
    const { telemetry } = await stage.compute.run(callOf(runnable, { route: 'hello' }));
    assert.equal(telemetry.worker?.wc, 2, 'the worker is not to blame and stays');
  });

  test('sees the variables of its environment and nothing of the platform', async () => {
    process.env.PLATFORM_SECRET = 'not for projects';
    await using stage = await computeStage();
    const runnable = await stage.project(
      {
        'routes.mjs': routesModule(
          `env: async () => text(JSON.stringify({ env: process.env, cwd: process.cwd(), send: typeof process.send }))`,
        ),
      },
      { variables: { API: 'https://api.example', NODE_ENV: 'staging', SELVEDGE_ENVIRONMENT_NAME: 'forged' } },
    );
    const { response } = await stage.compute.run(callOf(runnable, { route: 'env' }));
    delete process.env.PLATFORM_SECRET;
    const { env, cwd, send } = JSON.parse(await bodyText(response));
    assert.deepEqual(
      Object.keys(env).sort(),
      [
        'API',
        'NODE_ENV',
        'PATH',
        'PWD',
        'SELVEDGE_BUILD_MODE',
        'SELVEDGE_ENVIRONMENT_NAME',
        'SELVEDGE_RUNTIME',
        'TMPDIR',
      ].filter((name) => name !== 'PWD' || 'PWD' in env),
    );
    assert.equal(env.NODE_ENV, 'staging');
    assert.equal(env.SELVEDGE_ENVIRONMENT_NAME, 'production');
    assert.equal(cwd, runnable.directory);
    assert.equal(send, 'undefined');
  });

  test('has a temporary directory of its own that goes with it', async () => {
    const stage = await computeStage();
    const runnable = await stage.project({
      'routes.mjs': routesModule(`temp: async () => {
        const { tmpdir } = await import('node:os'); const fs = await import('node:fs');
        const before = fs.readdirSync(tmpdir()); fs.writeFileSync(tmpdir() + '/x', 'x');
        return text(JSON.stringify({ dir: tmpdir(), before, mode: (fs.statSync(tmpdir()).mode & 0o777).toString(8) }));
      }`),
    });
    const both = await Promise.all([
      stage.compute.run(callOf(runnable, { route: 'temp' })),
      stage.compute.run(callOf({ ...runnable, id: 'shop-production-9' }, { route: 'temp' })),
    ]);
    const [one, two] = await Promise.all(both.map(async ({ response }) => JSON.parse(await bodyText(response))));
    assert.notEqual(one.dir, two.dir);
    assert.deepEqual([one.before, two.before, one.mode], [[], [], '700']);
    await stage.compute.close();
    assert.deepEqual(await readdir(stage.runDir), []);
    await stage[Symbol.asyncDispose]();
  });
});

describe('log lines of project code', () => {
  test('carry request, client, instance, deployment and level', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project({
      'routes.mjs': routesModule(`talk: async () => {
        console.log('seen %d', 1); console.error(new Error('bad')); process.stdout.write('raw'); process.stdout.write(' line\\n');
        (await import('node:fs')).writeSync(1, 'native\\n');
        setTimeout(() => console.warn('afterwards'), 30);
        return text('ok');
      }`),
    });
    const call = callOf(runnable, { route: 'talk', requestId: 'r-7' });
    const { telemetry } = await stage.compute.run(call);
    const late = await stage.logged((line) => line.message === 'afterwards');
    const native = await stage.logged((line) => line.message === 'native');
    assert.deepEqual([late.late, late.level, late.requestId], [true, 40, 'r-7']);
    assert.equal(native.requestId, 'r-7');
    const seen = await stage.logged((line) => line.message === 'seen 1');
    const { time, ...rest } = seen;
    const wi = telemetry.worker!.wi;
    assert.deepEqual(rest, {
      level: 30,
      message: 'seen 1',
      requestId: 'r-7',
      clientIp: '192.0.2.7',
      wi,
      fn: runnable.id,
    });
    assert.ok(time > 0);
    assert.equal((await stage.logged((line) => line.message.startsWith('Error: bad'))).level, 50);
    assert.equal((await stage.logged((line) => line.message === 'raw line')).level, 30);
  });

  test('of two requests in one worker do not mix', async () => {
    await using stage = await computeStage({ limits: { concurrencyPerWorker: 2 }, maxWorkers: 1 });
    const runnable = await stage.project({
      'routes.mjs': routesModule(`meet: async ({ request }) => {
        globalThis.waiting ??= Promise.withResolvers(); globalThis.count = (globalThis.count ?? 0) + 1;
        if (globalThis.count === 2) globalThis.waiting.resolve();
        await globalThis.waiting.promise; console.log('I am ' + request.url); return text(request.url);
      }`),
    });
    await stage.compute.prepare(runnable);
    const meet = (path: string) =>
      stage.compute.run(callOf(runnable, { route: 'meet', requestId: path, request: { path } }));
    const answers = await Promise.all([meet('/a'), meet('/b')]);
    assert.deepEqual(await Promise.all(answers.map(({ response }) => bodyText(response))), ['/a', '/b']);
    for (const path of ['/a', '/b'])
      assert.equal((await stage.logged((line) => line.message === `I am ${path}`)).requestId, path);
  });
});
