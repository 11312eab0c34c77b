import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  bodyText,
  callOf,
  computeStage,
  faultOf,
  gone,
  isAlive,
  routesModule,
} from '../../test/actors/project-bundle.ts';

/** `hold` announces itself and answers when the file `go` appears next to the bundle. */
const HOLDING = {
  'routes.mjs':
    routesModule(`hold: async ({ params }) => { const fs = await import('node:fs'); console.log('holding ' + (params.n ?? ''));
    await new Promise((resolve) => { const look = () => fs.existsSync('go') ? resolve() : setTimeout(look, 5); look() });
    console.log('done ' + (params.n ?? '')); return text(String(process.pid)) }`),
};
const letGo = async ({ directory }: { directory: string }) =>
  (await import('node:fs/promises')).writeFile(`${directory}/go`, '');

describe('the queue', () => {
  test('gives up after scheduleMs: 541 queue-timeout, while who holds the worker is served', async () => {
    await using stage = await computeStage({ maxWorkers: 1, limits: { scheduleMs: 150 } });
    const runnable = await stage.project(HOLDING);
    await stage.compute.prepare(runnable);
    const holder = stage.compute.run(callOf(runnable, { route: 'hold' }));
    const fault = await faultOf(stage.compute.run(callOf(runnable, { route: 'hello' })));
    assert.deepEqual([fault.code, fault.details, fault.acts], [541, 'queue-timeout', 'capacity']);
    assert.deepEqual([fault.evidence.limit, fault.evidence.value], ['compute.scheduleMs', 150]);
    await letGo(runnable);
    assert.equal((await holder).response.status, 200);
  });

  test('is bounded: one more than queueDepth is 541 queue-full at once', async () => {
    await using stage = await computeStage({ maxWorkers: 1, limits: { queueDepth: 2 } });
    const runnable = await stage.project(HOLDING);
    const holder = stage.compute.run(callOf(runnable, { route: 'hold' }));
    const waiting = [1, 2].map(() => stage.compute.run(callOf(runnable, { route: 'hello' })));
    const fault = await faultOf(stage.compute.run(callOf(runnable, { route: 'hello' })));
    assert.equal(fault.details, 'queue-full');
    await letGo(runnable);
    await holder;
    for (const { telemetry } of await Promise.all(waiting)) assert.equal(telemetry.pc, 2, 'queued and resubmitted');
  });

  test('is left by who gives up, without a fault', async () => {
    await using stage = await computeStage({ maxWorkers: 1 });
    const runnable = await stage.project(HOLDING);
    const holder = stage.compute.run(callOf(runnable, { route: 'hold' }));
    const leaving = new AbortController();
    const waiting = stage.compute.run(callOf(runnable, { route: 'hello', signal: leaving.signal }));
    leaving.abort(new Error('the client left'));
    await assert.rejects(waiting, { message: 'the client left' });
    await letGo(runnable);
    await holder;
  });

  test('serves production first', async () => {
    await using stage = await computeStage({ maxWorkers: 1 });
    const runnable = await stage.project(HOLDING);
    const order: string[] = [];
    const holder = stage.compute.run(callOf(runnable, { route: 'hold' }));
    const staging = await stage.project(HOLDING, { production: false });
    const later = stage.compute.run(callOf(staging, { route: 'hello' })).then(() => order.push('staging'));
    const first = stage.compute.run(callOf(runnable, { route: 'hello' })).then(() => order.push('production'));
    await letGo(runnable);
    await Promise.all([holder, later, first]);
    assert.deepEqual(order, ['production', 'staging']);
  });
});

describe('workers', () => {
  test('serve one request at a time each; another one is started beside a busy one', async () => {
    await using stage = await computeStage({ maxWorkers: 2 });
    const runnable = await stage.project(HOLDING);
    await stage.compute.prepare(runnable);
    const runs = [1, 2].map((n) => stage.compute.run(callOf(runnable, { route: 'hold', params: { n: `${n}` } })));
    await Promise.all([1, 2].map((n) => stage.logged((line) => line.message === `holding ${n}`)));
    await letGo(runnable);
    const [one, two] = await Promise.all(runs);
    assert.notEqual(await bodyText(one!.response), await bodyText(two!.response));
  });

  test('are taken from an idle deployment when processes are scarce', async () => {
    await using stage = await computeStage({ maxWorkers: 1 });
    const [one, two] = [await stage.project(HOLDING), await stage.project(HOLDING)];
    for (const runnable of [one, two, one])
      assert.equal(await bodyText((await stage.compute.run(callOf(runnable, { route: 'hello' }))).response), 'hello');
  });

  test('of a new deployment come before those that others only keep ready', async () => {
    await using stage = await computeStage({ maxWorkers: 1, limits: { scheduleMs: 10_000 } });
    for (const number of [1, 2, 3]) {
      const runnable = await stage.project({ 'routes.mjs': routesModule(`hello: () => text('${number}')`) });
      await stage.compute.prepare(runnable);
      const { response } = await stage.compute.run(callOf(runnable, { route: 'hello' }));
      assert.equal(await bodyText(response), String(number));
    }
  });

  test('go round when several deployments want the only process at once', async () => {
    await using stage = await computeStage({ maxWorkers: 1 });
    const runnables = await Promise.all([1, 2, 3, 4].map(() => stage.project(HOLDING)));
    await Promise.all(runnables.map((runnable) => stage.compute.prepare(runnable)));
    const answers = runnables.map((runnable) => stage.compute.run(callOf(runnable, { route: 'hello' })));
    for (const { response } of await Promise.all(answers)) assert.equal(response.status, 200);
  });

  test('are never shared between two states of an environment', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project({
      'routes.mjs': routesModule(`show: async () => text(process.env.SHOWN ?? 'none')`),
    });
    const show = async (variables: Record<string, string>) =>
      bodyText((await stage.compute.run(callOf({ ...runnable, variables }, { route: 'show' }))).response);
    assert.deepEqual([await show({}), await show({ SHOWN: 'new' }), await show({})], ['none', 'new', 'none']);
  });

  test('above the prewarmed number stop after idleMs', async () => {
    await using stage = await computeStage({ idleMs: 40 });
    const runnable = await stage.project(HOLDING);
    await letGo(runnable);
    const { response } = await stage.compute.run(callOf(runnable, { route: 'hold' }));
    const pid = Number(await bodyText(response));
    await gone(pid);
    await stage.compute.prepare(runnable);
    const before = await stage.compute.run(callOf(runnable, { route: 'hello' }));
    assert.equal(before.telemetry.pq, 0);
  });

  test('whose client left are free again when the handler ends, and not before', async () => {
    await using stage = await computeStage({ maxWorkers: 1 });
    const runnable = await stage.project(HOLDING);
    const leaving = new AbortController();
    const left = stage.compute.run(callOf(runnable, { route: 'hold', signal: leaving.signal }));
    await stage.logged((line) => line.message.startsWith('holding'));
    leaving.abort(new Error('the client left'));
    await assert.rejects(left, { message: 'the client left' });
    const next = stage.compute.run(callOf(runnable, { route: 'hello' }));
    await letGo(runnable);
    const { telemetry } = await next;
    assert.equal(telemetry.worker?.wc, 2, 'the same worker');
    assert.ok(stage.logs.some((line) => line.message.startsWith('done')));
  });

  test('whose abandoned handler never ends are reclaimed at the deadline', async () => {
    await using stage = await computeStage({ maxWorkers: 1, limits: { responseMs: 2_500, reservedMs: 100 } });
    const runnable = await stage.project(HOLDING);
    await stage.compute.prepare(runnable);
    const leaving = new AbortController();
    const left = stage.compute.run(callOf(runnable, { route: 'hold', signal: leaving.signal }));
    await stage.logged((line) => line.message.startsWith('holding'));
    leaving.abort();
    await assert.rejects(left);
    assert.equal((await stage.compute.run(callOf(runnable, { route: 'hello' }))).telemetry.worker?.wc, 1);
  });
});

describe('the end', () => {
  test('release stops the workers of a deployment, which starts again when asked', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project(HOLDING);
    await letGo(runnable);
    const pid = Number(await bodyText((await stage.compute.run(callOf(runnable, { route: 'hold' }))).response));
    stage.compute.release(runnable.id);
    await gone(pid);
    assert.equal((await stage.compute.run(callOf(runnable, { route: 'hello' }))).response.status, 200);
  });

  test('close ends what runs as 545 draining and leaves no process and no file', async () => {
    const stage = await computeStage();
    const runnable = await stage.project(HOLDING);
    const running = faultOf(stage.compute.run(callOf(runnable, { route: 'hold' })));
    await stage.logged((line) => line.message.startsWith('holding'));
    await stage.compute.close();
    assert.equal((await running).why, 'platform.draining');
    assert.equal((await faultOf(stage.compute.run(callOf(runnable, { route: 'hello' })))).why, 'platform.draining');
    assert.deepEqual(await readdir(stage.runDir), []);
    await stage[Symbol.asyncDispose]();
  });

  test('a platform that dies by SIGKILL leaves no process and no file, not even a worker in a loop', async () => {
    const actor = fileURLToPath(new URL('../../test/actors/compute-process-main.ts', import.meta.url));
    const platform = spawn(process.execPath, [actor], { stdio: ['ignore', 'pipe', 'inherit'] });
    const [line] = (await once(createInterface(platform.stdout), 'line')) as [string];
    const { pids, runDir } = JSON.parse(line) as { pids: number[]; runDir: string };
    assert.ok(pids.length >= 3 && pids.every(isAlive));
    platform.kill('SIGKILL');
    await gone(...pids);
    while ((await readdir(runDir)).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await (await import('node:fs/promises')).rm(dirname(runDir), { recursive: true });
  });
});
