/** A 539 says what the request was waiting for, with evidence, and never mistakes a busy machine for a blocked loop. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { build } from 'esbuild';
import { type ComputeStage, callOf, computeStage, faultOf, routesModule } from '../../test/actors/project-bundle.ts';
import type { Fault } from '../status/fault.ts';
import type { OpenRequest, PendingTimer } from './ipc.ts';
import type { Runnable } from './types.ts';

const QUICK = { limits: { responseMs: 1_500, reservedMs: 200 } };

/** Takes connections and says nothing. */
async function silentServer(): Promise<Server & { readonly port: number }> {
  const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return Object.assign(server, { port: (server.address() as { port: number }).port });
}

async function lateFault(stage: ComputeStage, runnable: Runnable, route: string): Promise<Fault> {
  await stage.compute.prepare(runnable);
  const fault = await faultOf(stage.compute.run(callOf(runnable, { route, requestId: `late-${route}` })));
  assert.equal(fault.code, 539, `${fault.message}: ${String(fault.evidence.summary)}`);
  assert.equal(fault.evidence.limit, 'compute.responseMs');
  return fault;
}

const openCall = (fault: Fault): OpenRequest => (fault.evidence.open as OpenRequest[])[0]!;

describe('a request that waits for an upstream', () => {
  let stage: ComputeStage;
  let silent: Awaited<ReturnType<typeof silentServer>>;
  before(async () => {
    [stage, silent] = await Promise.all([computeStage(QUICK), silentServer()]);
  });
  after(async () => {
    await stage?.[Symbol.asyncDispose]();
    silent?.close();
  });

  const STORIES: readonly (readonly [
    client: string,
    handler: (port: number) => string,
    expected: { method?: string; path?: string; phase: string; details?: string; acts?: string },
  ])[] = [
    [
      'fetch',
      (port) =>
        `async () => { await fetch('http://127.0.0.1:${port}/v1/items?page=2', { method: 'POST', body: 'x' }) }`,
      { method: 'POST', path: '/v1/items?page=2', phase: 'head' },
    ],
    [
      'node:http',
      (port) => `() => new Promise(async (resolve) => { const http = await import('node:http');
        http.get('http://127.0.0.1:${port}/stock', resolve) })`,
      { method: 'GET', path: '/stock', phase: 'head' },
    ],
    [
      'node:https before the handshake is done',
      (port) => `() => new Promise(async (resolve) => { const https = await import('node:https');
        https.get('https://127.0.0.1:${port}/secure', resolve) })`,
      { method: 'GET', path: '/secure', phase: 'tls', details: 'upstream-blocked' },
    ],
    [
      'a request that is never sent',
      (port) => `() => new Promise(async (resolve) => { const http = await import('node:http');
        http.request('http://127.0.0.1:${port}/forgotten', { method: 'POST' }, resolve) })`,
      { method: 'POST', path: '/forgotten', phase: 'unsent', acts: 'project' },
    ],
    [
      'an agent without a free connection',
      (port) => `() => new Promise(async (resolve) => { const http = await import('node:http');
        const agent = new http.Agent({ maxSockets: 0.5 }); agent.maxSockets = 0;
        http.get('http://127.0.0.1:${port}/queued', { agent }, resolve) })`,
      { method: 'GET', path: '/queued', phase: 'queue', acts: 'project' },
    ],
    [
      'node:http2',
      (port) => `() => new Promise(async (resolve) => { const http2 = await import('node:http2');
        http2.connect('http://127.0.0.1:${port}').request({ ':path': '/two' }).on('response', resolve) })`,
      { method: 'GET', path: '/two', phase: 'head' },
    ],
    [
      'a database on a socket of its own',
      (port) => `() => new Promise(async (resolve) => { const net = await import('node:net');
        const socket = new net.Socket(); socket.connect(${port}, '127.0.0.1', () => socket.write('SELECT 1')); socket.on('data', resolve) })`,
      { phase: 'head' },
    ],
  ];
  for (const [client, handler, { method, path, phase, details = 'upstream-slow', acts = 'upstream' }] of STORIES)
    test(`by ${client}: which, since when, in which phase, from where`, async () => {
      const runnable = await stage.project({ 'routes.mjs': routesModule(`slow: ${handler(silent.port)}`) });
      const fault = await lateFault(stage, runnable, 'slow');
      const call = openCall(fault);
      assert.deepEqual([fault.details, fault.acts], [details, acts], String(fault.evidence.summary));
      assert.deepEqual([call.method, call.path, call.phase], [method, path, phase]);
      assert.match(call.host, /127\.0\.0\.1/);
      assert.ok(call.elapsedMs > 500);
      assert.match(call.from!, /^routes\.mjs:\d+:\d+$/);
      const line = await stage.logged((one) => one.message.startsWith('539') && one.fn === runnable.id);
      assert.ok(line.message.includes(String(fault.evidence.summary)));
      assert.deepEqual([line.requestId, line.level], ['late-slow', 50]);
    });

  test('through the platform: the backend, and from where', async () => {
    const services = { proxy: () => new Promise<never>(() => {}), asset: async () => null };
    const runnable = await stage.project({
      'routes.mjs': routesModule(
        `slow: async ({ host, request }) => host.proxy('api', { ...request, url: '/managed' })`,
      ),
    });
    await stage.compute.prepare(runnable);
    const fault = await faultOf(stage.compute.run(callOf(runnable, { route: 'slow', services })));
    assert.deepEqual([fault.details, fault.acts, fault.evidence.upstream], ['upstream-slow', 'upstream', 'api']);
    assert.deepEqual([openCall(fault).kind, openCall(fault).path], ['platform', '/managed']);
    assert.match(openCall(fault).from!, /^routes\.mjs:\d+:\d+$/);
  });

  test('again and again, each answered: the project asks too often', async () => {
    const { createServer: createHttp } = await import('node:http');
    const quick = createHttp((_, response) => setTimeout(() => response.end('ok'), 100)).listen(0, '127.0.0.1');
    await new Promise((resolve) => quick.once('listening', resolve));
    const { port } = quick.address() as { port: number };
    const runnable = await stage.project({
      'routes.mjs': routesModule(
        `slow: async () => { for (;;) await (await fetch('http://127.0.0.1:${port}/n')).text() }`,
      ),
    });
    const fault = await lateFault(stage, runnable, 'slow');
    assert.deepEqual([fault.details, fault.acts], ['upstream-slow', 'project'], String(fault.evidence.summary));
    assert.ok(Number(fault.evidence.calls) > 1);
    quick.close();
  });

  test('is not blamed for what another request of the same worker waits for', async () => {
    await using shared = await computeStage({
      limits: { responseMs: 1_500, reservedMs: 200, concurrencyPerWorker: 2 },
      maxWorkers: 1,
    });
    const runnable = await shared.project({
      'routes.mjs': routesModule(`slow: () => fetch('http://127.0.0.1:${silent.port}/').then(() => text('')),
        never: () => new Promise(() => {})`),
    });
    await shared.compute.prepare(runnable);
    const slow = shared.compute.run(callOf(runnable, { route: 'slow' })).catch(() => {});
    const fault = await faultOf(shared.compute.run(callOf(runnable, { route: 'never' })));
    await slow;
    if (fault.why === 'compute.timeout') assert.equal(fault.details, 'never-answered');
  });
});

describe('a request that waits for nothing outside', () => {
  const handlers = `sleeping: async () => { await new Promise((done) => setTimeout(done, 60_000)) },
    promised: async () => { const { setTimeout: sleep } = await import('node:timers/promises'); await sleep(60_000) },
    never: () => new Promise(() => {}),
    lingering: () => new Promise(async () => { (await import('node:net')).createServer().listen(0, '127.0.0.1'); process.stdin.on('data', () => {}) }),
    computing: async () => { for (;;) { let sum = 0; for (let at = 0; at < 2e6; at++) sum += at; await new Promise(setImmediate) } }`;
  let stage: ComputeStage;
  let runnable: Runnable;
  before(async () => {
    stage = await computeStage(QUICK);
    runnable = await stage.project({ 'routes.mjs': routesModule(handlers) });
  });
  after(() => stage?.[Symbol.asyncDispose]());

  for (const route of ['sleeping', 'promised'])
    test(`sleeps in a timer (${route}): until when, from where`, async () => {
      const fault = await lateFault(stage, runnable, route);
      const [timer] = fault.evidence.timers as PendingTimer[];
      assert.deepEqual([fault.details, fault.acts, timer!.delayMs], ['sleeping', 'project', 60_000]);
      assert.ok(timer!.dueInMs > 50_000 && timer!.dueInMs < 60_000);
      assert.match(timer!.from!, /^routes\.mjs:\d+:\d+$/);
    });

  test('has nothing pending at all: a missing await or callback', async () => {
    const fault = await lateFault(stage, runnable, 'never');
    assert.deepEqual([fault.details, fault.acts, fault.evidence.resources], ['never-answered', 'project', {}]);
    assert.match(String(fault.evidence.summary), /no pending work is left.*missing await/);
  });

  test('computes in small steps: the loop turns, and still it is the project', async () => {
    const fault = await lateFault(stage, runnable, 'computing');
    // On a machine that gave it no processor, time passed without computing.
    assert.ok(['cpu-bound', 'never-answered'].includes(fault.details!), `${fault.details}`);
    assert.equal(fault.acts, 'project');
  });
});

describe('a blocked event loop', () => {
  test('is shown with the stack of that moment, in lines of the source', async () => {
    await using stage = await computeStage(QUICK);
    const runnable = await stage.project({});
    await mkdir(join(runnable.directory, 'src'));
    await writeFile(
      join(runnable.directory, 'src', 'sums.ts'),
      `export interface Sum { readonly total: number }

export function addForEver(sum: Sum): never {
  let { total } = sum;
  for (;;) total += Math.sqrt(total);
}
`,
    );
    await writeFile(
      join(runnable.directory, 'routes.ts'),
      `import { addForEver } from './src/sums.ts';
interface Options { readonly routeId: string }
const handlers: Record<string, () => unknown> = {
  endless: () => addForEver({ total: 1 }),
};
export default { [Symbol.for('selvedge.router.v1')]: { run: ({ routeId }: Options) => handlers[routeId]!() } };
`,
    );
    await build({
      absWorkingDir: runnable.directory,
      entryPoints: ['routes.ts'],
      outfile: 'routes.mjs',
      bundle: true,
      format: 'esm',
      platform: 'node',
      sourcemap: 'linked',
      minify: true,
      logLevel: 'silent',
    });
    const fault = await lateFault(stage, runnable, 'endless');
    const blocked = fault.evidence.blocked as { how: string; from: string; stack: string };
    assert.deepEqual([fault.details, fault.acts, blocked.how], ['loop-blocked', 'project', 'busy']);
    assert.match(blocked.from, /^src\/sums\.ts:5:\d+$/);
    assert.match(blocked.stack, /src\/sums\.ts:5:\d+[\s\S]*routes\.ts:4:\d+/);
    const line = await stage.logged(({ message }) => message.startsWith('539'));
    assert.match(line.message, /src\/sums\.ts:5/);
    assert.ok(!stage.logs.some(({ message }) => message.includes('ws://')), "the inspector's lines stay inside");
  });

  test('by a system call that does not return is told apart from one that computes', async () => {
    await using stage = await computeStage(QUICK);
    const runnable = await stage.project({
      'routes.mjs': routesModule(`waits: () => { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0) }`),
    });
    const fault = await lateFault(stage, runnable, 'waits');
    assert.deepEqual([fault.details, fault.acts], ['loop-blocked', 'project']);
    assert.equal((fault.evidence.blocked as { how: string }).how, 'in-native-wait');
  });
});

describe('a bundle that loads for too long', () => {
  test('has a limit of its own, and the cold start says where it was', async () => {
    const silent = await silentServer();
    await using stage = await computeStage({ limits: { loadMs: 1_500 } });
    const waiting = await stage.project({ 'routes.mjs': `await fetch('http://127.0.0.1:${silent.port}/config')` });
    const looping = await stage.project({ 'routes.mjs': 'for (;;);' });
    const [wait, loop] = await Promise.all([
      faultOf(stage.compute.prepare(waiting)),
      faultOf(stage.compute.run(callOf(looping, { route: 'x' }))),
    ]);
    for (const fault of [wait, loop]) {
      assert.deepEqual([fault.code, fault.details, fault.evidence.limit], [539, 'cold-start', 'compute.loadMs']);
      assert.equal((fault.evidence.coldStart as { phase: string }).phase, 'load');
    }
    assert.equal(openCall(wait).path, '/config');
    assert.match(String(loop.evidence.summary), /still being loaded.*event loop was blocked/);
    silent.close();
  });

  test('longer than one request has, is ready for the next one', async () => {
    await using stage = await computeStage({ limits: { responseMs: 600, reservedMs: 100 } });
    const runnable = await stage.project({
      'routes.mjs': `const { existsSync } = await import('node:fs');
        while (!existsSync('go')) await new Promise((done) => setTimeout(done, 10));
        ${routesModule('')}`,
    });
    const fault = await faultOf(stage.compute.run(callOf(runnable, { route: 'hello' })));
    assert.deepEqual([fault.code, fault.details], [539, 'cold-start']);
    await writeFile(join(runnable.directory, 'go'), '');
    await stage.compute.prepare(runnable);
    const { telemetry } = await stage.compute.run(callOf(runnable, { route: 'hello' }));
    assert.equal(telemetry.worker!.wc, 2, 'the same worker');
  });
});

describe('on a machine that is far too busy', () => {
  test('waiting for an upstream stays what it is, ten times at once', async () => {
    const silent = await silentServer();
    const spinners = Array.from({ length: 4 * availableParallelism() }, () =>
      spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' }),
    );
    try {
      await using stage = await computeStage({ limits: { responseMs: 4_000, reservedMs: 100 }, maxWorkers: 10 });
      const runnable = await stage.project({
        'routes.mjs': routesModule(`slow: () => fetch('http://127.0.0.1:${silent.port}/')`),
      });
      await stage.compute.prepare(runnable);
      const runs = Array.from({ length: 10 }, () => faultOf(stage.compute.run(callOf(runnable, { route: 'slow' }))));
      for (const fault of await Promise.all(runs)) {
        assert.equal(fault.code, 539);
        assert.notEqual(fault.details, 'loop-blocked', String(fault.evidence.summary));
        assert.notEqual(fault.details, 'never-answered', String(fault.evidence.summary));
      }
    } finally {
      for (const spinner of spinners) spinner.kill('SIGKILL');
      silent.close();
    }
  });
});
