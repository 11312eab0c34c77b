/**
 * Nothing is misattributed: thousands of randomly drawn faults, many at once, through edge, link, global POP,
 * upstreams and project code, while the POPs' event loops are late now and then. Whatever comes back is compared with
 * the injected truth. `SELVEDGE_SEED` repeats a run, `SELVEDGE_DRAWS` makes a longer one.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Lab, openLab } from '../../src/lab/lab.ts';
import { DRAWN_CASES, DRAWN_PARTS, type Draw, drawOne, randomFrom } from './random-draw.ts';

const SEED = Number(process.env.SELVEDGE_SEED ?? Date.now() % 1_000_000);
const DRAWS = Number(process.env.SELVEDGE_DRAWS ?? 1_500);
const AT_ONCE = 60;
const RAMP_MS = 50;
/** The times of the platform are longer than in the lab: here a busy machine must not be a fault of its own. */
const PATIENCE = 8;

describe(`${DRAWS} random faults, seed ${SEED}`, () => {
  let lab: Lab;
  before(async () => {
    lab = await openLab({ cases: DRAWN_CASES, parts: DRAWN_PARTS, patience: PATIENCE });
  });
  after(() => lab?.close());

  test('each is told as what it was, by whom it was seen, and nothing else is told', async (t) => {
    const random = randomFrom(SEED);
    const draws = Array.from({ length: DRAWS }, () => drawOne(random));
    const counts = new Map<string, number>();
    const wrong: string[] = [];
    await using _late = lateLoops(popsOf(lab));
    const play = async (number: number): Promise<void> => {
      const draw = draws[number]!;
      counts.set(draw.kind, (counts.get(draw.kind) ?? 0) + 1);
      wrong.push(...(await playOne(draw, lab, number)));
    };
    const numbers = [...draws.keys()];
    const waiting = numbers.filter((number) => draws[number]!.waits);
    const others = numbers.filter((number) => !draws[number]!.waits);
    // What only waits does so beside the others, which keep the platform busy meanwhile.
    const lane = async (_: unknown, at: number): Promise<void> => {
      // Not all in one moment: that would be a test of the machine.
      await new Promise((resolve) => setTimeout(resolve, at * RAMP_MS));
      for (let number = others.shift(); number !== undefined; number = others.shift()) await play(number);
    };
    await Promise.all([...waiting.map(play), ...Array.from({ length: AT_ONCE }, lane)]);
    for (const [kind, count] of counts) t.diagnostic(`${count} × ${kind}`);
    assert.deepEqual(wrong.slice(0, 20), [], `${wrong.length} of ${DRAWS} differ from the truth (seed ${SEED})`);
  });
});

async function playOne(draw: Draw, lab: Lab, number: number): Promise<string[]> {
  const differences = await draw.run(lab, number);
  return differences.length === 0 ? [] : [`${number} ${draw.kind} ${draw.name}: ${differences.join('; ')}`];
}

/** Processes of the edge and the global POP. */
function popsOf(lab: Lab): readonly number[] {
  const { pid } = lab.worlds.get('main')!.process;
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => parentOf(one) === pid);
}

function parentOf(pid: number): number | undefined {
  try {
    return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
  } catch {
    return undefined;
  }
}

const EVERY_MS = 1_500;
const LATE_MS = 350;

/** Now and then a process gets no time while answers of names, connects and origins come in. */
function lateLoops(pids: readonly number[]): AsyncDisposable {
  let stopped: number | undefined;
  let turn = 0;
  const resume = (): void => {
    if (stopped !== undefined) process.kill(stopped, 'SIGCONT');
    stopped = undefined;
  };
  const timer = setInterval(() => {
    stopped = pids[turn++ % pids.length];
    if (stopped === undefined) return;
    process.kill(stopped, 'SIGSTOP');
    setTimeout(resume, LATE_MS);
  }, EVERY_MS);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      resume();
    },
  };
}
