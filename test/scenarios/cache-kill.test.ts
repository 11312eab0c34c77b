/**
 * Processes that share a store are killed while they write, again and again: what the survivors and the successors
 * answer is always what was stored. `SELVEDGE_KILLS` makes it longer.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Seen } from '../actors/cache-writer-main.ts';
import { until } from '../actors/until.ts';

const WRITER = fileURLToPath(new URL('../actors/cache-writer-main.ts', import.meta.url));
const KILLS = Number(process.env.SELVEDGE_KILLS ?? 12);
const PROCESSES = 3;
const KEYS = 150;

test(`a store outlives ${KILLS} kills under load, and every body is whole`, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sv-kill-'));
  const total = { answers: 0, hits: 0 };
  const wrong: string[] = [];
  function begin(): { child: ChildProcess; answers: number } {
    const child = fork(WRITER, [folder, String(KEYS)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const writer = { child, answers: 0 };
    child.on('message', (seen: Seen) => {
      writer.answers += seen.answers;
      total.answers += seen.answers;
      total.hits += seen.hits;
      if (seen.wrong !== undefined) wrong.push(seen.wrong);
    });
    return writer;
  }
  const writers = Array.from({ length: PROCESSES }, begin);
  try {
    for (let kills = 0; kills < KILLS; kills++) {
      const at = kills % PROCESSES;
      // at any moment of its life, from the first write on
      const enough = 16 + Math.floor(Math.random() * 300);
      await until(
        'it to be at work',
        () => writers[at]!.answers >= enough || writers[at]!.child.exitCode !== null,
        60_000,
      );
      assert.equal(writers[at]!.child.exitCode, null, 'it does not end by itself');
      writers[at]!.child.kill('SIGKILL');
      await once(writers[at]!.child, 'exit');
      writers[at] = begin();
      assert.deepEqual(wrong, [], `after ${kills + 1} kills`);
    }
    await until('the last ones to be at work', () => writers.every(({ answers }) => answers > 0));
  } finally {
    for (const { child } of writers) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    const stores = readdirSync(folder).filter((name) => /^[0-9]+$/.test(name));
    rmSync(folder, { recursive: true, force: true });
    assert.deepEqual(stores, ['1'], 'no store was set aside');
  }
  assert.ok(total.hits > 0);
  t.diagnostic(`${KILLS} kills, ${total.answers} answers checked, ${total.hits} of them hits`);
});
