/** Crashes between requests and under requests: whose they are, who notices them, and who does not. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  bodyText,
  type ComputeStage,
  callOf,
  computeStage,
  faultOf,
  routesModule,
} from '../../test/actors/project-bundle.ts';
import type { Runnable } from './types.ts';

const get = async (stage: ComputeStage, runnable: Runnable, route: string, more = {}) =>
  bodyText((await stage.compute.run(callOf(runnable, { route, ...more }))).response);

/** Handlers that leave something behind which goes off while `wait` is in the same worker. */
const LEAVING = `
  leave: async ({ params }) => { const how = params.how;
    const goOff = () => { if (how === 'exit') process.exit(9); if (how === 'reject') void Promise.reject(new Error('left behind'));
      else throw new Error('left behind') };
    globalThis.armed = () => setImmediate(goOff);
    const context = process.getBuiltinModule('node:async_hooks').AsyncLocalStorage.snapshot();
    const armed = globalThis.armed; globalThis.armed = () => context(armed);
    return text('left') },
  wait: async () => { console.log('waiting'); if (globalThis.armed) { globalThis.armed(); await new Promise(() => {}) } return text('waited') }`;

describe('what an earlier request has left behind', () => {
  for (const how of ['throw', 'reject'])
    test(`and ${how}s is no failure of a later request that can be asked again`, async () => {
      await using stage = await computeStage({ maxWorkers: 2 });
      const runnable = await stage.project({ 'routes.mjs': routesModule(LEAVING) });
      await get(stage, runnable, 'leave', { params: { how }, requestId: 'first' });
      assert.equal(await get(stage, runnable, 'wait', { requestId: 'second' }), 'waited');
      const words = await stage.logged(({ message }) => message.includes('Error: left behind'));
      assert.deepEqual([words.requestId, words.late], ['first', true], 'its last words are those of the first');
      const attempt = await stage.logged(({ message }) => message.includes('repeated on another worker'));
      assert.deepEqual([attempt.requestId, attempt.level], ['second', 40]);
    });

  test('is named in the fault of a later one that cannot be asked again', async () => {
    await using stage = await computeStage({ maxWorkers: 2 });
    const runnable = await stage.project({ 'routes.mjs': routesModule(LEAVING) });
    await get(stage, runnable, 'leave', { params: { how: 'throw' }, requestId: 'first' });
    const request = { method: 'POST', body: Buffer.from('order') };
    const fault = await faultOf(stage.compute.run(callOf(runnable, { route: 'wait', request })));
    assert.deepEqual([fault.code, fault.why, fault.evidence.leftBy], [534, 'compute.uncaught', 'first']);
  });

  test('between two requests is noticed by nobody but the log', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project({
      'routes.mjs': routesModule(
        `leave: async () => { setTimeout(() => { throw new Error('in between') }, 20); return text('left') }`,
      ),
    });
    await get(stage, runnable, 'leave', { requestId: 'first' });
    const words = await stage.logged(({ message }) => message.includes('Error: in between'));
    assert.deepEqual([words.requestId, words.late], ['first', true]);
    assert.equal(await get(stage, runnable, 'hello'), 'hello');
  });
});

describe('a worker that dies at the moment of the hand-over', () => {
  test('costs nobody an answer, whatever the method, as long as no code was reached', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project({ 'routes.mjs': routesModule(`pid: async () => text(String(process.pid))`) });
    const pids = new Set<number>();
    for (const method of ['GET', 'HEAD', 'PUT', 'GET', 'DELETE', 'GET']) {
      const pid = Number(await get(stage, runnable, 'pid'));
      pids.add(pid);
      process.kill(pid, 'SIGKILL');
      // In the same turn: nobody has noticed yet.
      const { response } = await stage.compute.run(callOf(runnable, { route: 'pid', request: { method } }));
      assert.equal(response.status, 200);
    }
    assert.equal(pids.size, 6);
  });

  test('is asked about once more only: a handler that kills its worker is a project error', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project({
      'routes.mjs': routesModule(`die: () => process.kill(process.pid, 'SIGKILL')`),
    });
    const fault = await faultOf(stage.compute.run(callOf(runnable, { route: 'die' })));
    assert.deepEqual([fault.why, fault.details], ['compute.exited', 'signal=SIGKILL']);
    assert.equal((fault.evidence.telemetry as { pc: number }).pc, 1, 'it had begun, so nobody asks again');
  });
});

describe("an app's own server that goes wrong", () => {
  const APP = `module.exports = (req, res) => { const done = () => {};
    if (req.url === '/twice') { res.end('once'); res.writeHead(200); }
    else if (req.url === '/after-end') { res.end('once'); res.write('more'); }
    else if (req.url === '/head-only') { res.writeHead(200, { 'content-length': '4' }); res.write('ab'); }
    else if (req.url === '/throw-in-body') { res.write('ab'); setTimeout(() => { throw new Error('half way') }, 20); }
    else if (req.url === '/abc') { res.statusCode = 'abc'; res.end(); }
    else if (req.url === '/99') { res.writeHead(99); res.end(); }
    else if (req.url === '/name') { res.setHeader('bad name', 'x'); res.end(); }
    else if (req.url === '/line') { res.setHeader('x', 'a\\r\\nb'); res.end(); }
    else if (req.url === '/object') { res.end({ a: 1 }); }
    else if (req.url === '/short') { res.writeHead(200, { 'content-length': '10' }); res.end('abc'); }
    else res.end('fine') }`;
  const app = { kind: 'module', entry: 'a.cjs' } as const;
  const files = { 'routes.mjs': routesModule(''), 'a.cjs': APP };
  const ask = (stage: ComputeStage, runnable: Runnable, path: string) =>
    stage.compute.run(callOf(runnable, { request: { path } }));

  for (const path of ['/twice', '/after-end'])
    test(`${path}: the first answer counts, and the next request is served`, async () => {
      await using stage = await computeStage();
      const runnable = await stage.project(files, { app });
      assert.equal(await bodyText((await ask(stage, runnable, path)).response), 'once');
      for (let count = 0; count < 3; count++)
        assert.equal(await bodyText((await ask(stage, runnable, '/')).response), 'fine');
    });

  const REFUSED = [
    ['/abc', 'compute.malformed'],
    ['/99', 'compute.malformed'],
    ['/name', 'compute.malformed'],
    ['/line', 'compute.malformed'],
    ['/object', 'compute.uncaught'],
  ] as const;
  for (const [path, why] of REFUSED)
    test(`${path} is 534`, async () => {
      await using stage = await computeStage();
      const runnable = await stage.project(files, { app });
      const fault = await faultOf(ask(stage, runnable, path));
      assert.deepEqual([fault.code, fault.why], [534, why], String(fault.evidence.message));
      assert.equal(await bodyText((await ask(stage, runnable, '/')).response), 'fine');
    });

  test('/short: fewer bytes than declared break the body', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project(files, { app });
    const { response } = await ask(stage, runnable, '/short');
    const fault = await faultOf(bodyText(response));
    assert.equal(fault.code, 534);
  });

  test('/throw-in-body: what throws after the head breaks the body with its name', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project(files, { app });
    const { response } = await ask(stage, runnable, '/throw-in-body');
    const fault = await faultOf(bodyText(response));
    assert.deepEqual([fault.why, fault.evidence.message], ['compute.uncaught', 'half way']);
  });

  test('/head-only: a body that never ends is cut at the deadline with a 539', async () => {
    await using stage = await computeStage({ limits: { responseMs: 1_200, reservedMs: 200 } });
    const runnable = await stage.project(files, { app });
    await stage.compute.prepare(runnable);
    const { response } = await ask(stage, runnable, '/head-only');
    const fault = await faultOf(bodyText(response));
    assert.deepEqual([fault.code, fault.why], [539, 'compute.timeout']);
  });
});

describe('workers that have served enough', () => {
  test('are replaced after requestsPerWorker', async () => {
    await using stage = await computeStage({ requestsPerWorker: 3 });
    const runnable = await stage.project({ 'routes.mjs': routesModule('') });
    const served: number[] = [];
    for (let count = 0; count < 7; count++)
      served.push((await stage.compute.run(callOf(runnable, { route: 'hello' }))).telemetry.worker!.wc);
    assert.deepEqual(served, [1, 2, 3, 1, 2, 3, 1]);
  });
});
