/** Environments share one machine: whoever hangs, hangs alone. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  bodyText,
  type ComputeStage,
  callOf,
  computeStage,
  faultOf,
  routesModule,
} from '../../test/actors/project-bundle.ts';
import { type Holder, mayStart, mayTake } from './shares.ts';
import type { Runnable } from './types.ts';

const FILES = { 'routes.mjs': routesModule(`hang: () => { console.log('hanging'); return new Promise(() => {}) }`) };
const hello = async (stage: ComputeStage, runnable: Runnable) =>
  bodyText((await stage.compute.run(callOf(runnable, { route: 'hello' }))).response);
/** Requests that nobody answers, and a way to end them. */
function hanging(stage: ComputeStage, runnable: Runnable, count: number) {
  const leaving = new AbortController();
  const { signal } = leaving;
  const faults: Promise<unknown>[] = Array.from({ length: count }, () =>
    stage.compute.run(callOf(runnable, { route: 'hang', signal })).catch((error: unknown) => error),
  );
  return { faults, leave: () => leaving.abort(new Error('left')) };
}

describe('an environment whose requests all hang', () => {
  test('neither takes the worker of another one nor its place in the queue', async () => {
    await using stage = await computeStage({ maxWorkers: 4, limits: { queueDepth: 20 } });
    const [hung, well] = [await stage.project(FILES), await stage.project(FILES)];
    await Promise.all([stage.compute.prepare(hung), stage.compute.prepare(well)]);
    await hello(stage, well);
    const { faults, leave } = hanging(stage, hung, 60);
    const refused = await faultOf(Promise.race(faults).then((fault) => Promise.reject(fault)));
    assert.deepEqual([refused.code, refused.details], [541, 'queue-full']);
    assert.equal(refused.evidence.waitingHere, 20);
    for (let count = 0; count < 20; count++) assert.equal(await hello(stage, well), 'hello');
    const many = await Promise.all(Array.from({ length: 8 }, () => hello(stage, well)));
    assert.equal(many.length, 8, 'its requests find room in the full queue');
    leave();
    await Promise.all(faults);
  });

  test('leaves room for an environment that comes later', async () => {
    await using stage = await computeStage({ maxWorkers: 4 });
    const [hung, later, latest] = [await stage.project(FILES), await stage.project(FILES), await stage.project(FILES)];
    await Promise.all([stage.compute.prepare(hung), stage.compute.prepare(later)]);
    const { faults, leave } = hanging(stage, hung, 20);
    await stage.logged(({ message }) => message === 'hanging');
    assert.equal(await hello(stage, later), 'hello');
    assert.equal(await hello(stage, latest), 'hello');
    leave();
    await Promise.all(faults);
  });

  test('alone on a machine has all of it', async () => {
    await using stage = await computeStage({ maxWorkers: 3 });
    const alone = await stage.project(FILES);
    const { faults, leave } = hanging(stage, alone, 3);
    while (stage.logs.filter(({ message }) => message === 'hanging').length < 3)
      await new Promise((resolve) => setTimeout(resolve, 5));
    leave();
    await Promise.all(faults);
  });
});

describe('shares', () => {
  const holder = fc.record({ workers: fc.nat(6), active: fc.boolean() });
  const holders = fc
    .array(holder, { minLength: 1, maxLength: 6 })
    .map((list) => new Map(list.map((one, at) => [`e${at}`, one])));

  test('whoever has none may start one while any is free', () => {
    fc.assert(
      fc.property(holders, fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 20 }), (known, most, free) => {
        const all = new Map<string, Holder>([...known, ['new', { workers: 0, active: true }]]);
        assert.ok(mayStart('new', all, most, Math.min(free, most)));
      }),
    );
  });

  test('one that has its share never takes the last process from an active one below its own', () => {
    fc.assert(
      fc.property(holders, fc.integer({ min: 2, max: 20 }), (known, most) => {
        const share = Math.floor(most / (known.size + 1));
        fc.pre(share >= 1 && [...known.values()].some(({ active, workers }) => active && workers < share));
        const all = new Map<string, Holder>([...known, ['greedy', { workers: share, active: true }]]);
        assert.equal(mayStart('greedy', all, most, 1), false);
      }),
    );
  });

  test('taking idle processes comes to an end', () => {
    fc.assert(
      fc.property(fc.nat(20), fc.nat(20), (one, other) => {
        assert.ok(!(one > 0 && other > 0 && mayTake(one, other) && mayTake(other - 1, one + 1)));
      }),
    );
  });
});
