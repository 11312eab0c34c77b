import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Serial } from './serial.ts';

test('what is asked for while work is under way is one more run after it', async () => {
  const gates: (() => void)[] = [];
  let runs = 0;
  const serial = new Serial(async () => {
    runs++;
    await new Promise<void>((open) => gates.push(open));
  });
  const first = serial.run();
  const second = serial.run();
  const third = serial.run();
  assert.equal(runs, 1);
  gates.shift()!();
  await new Promise(setImmediate);
  assert.equal(runs, 2);
  gates.shift()!();
  await Promise.all([first, second, third]);
  assert.equal(runs, 2);
  const later = serial.run();
  gates.shift()!();
  await later;
  assert.equal(runs, 3);
});
