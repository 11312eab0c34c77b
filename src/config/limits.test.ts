import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CAUSE_LIMITS } from '../status/cause-texts.ts';
import { CAUSES, type Cause } from '../status/causes.ts';
import { LIMITS, type LimitKey, limitRow } from './limits.ts';

test('the limit that a cause names exists, and its breach has the code of the cause', () => {
  for (const [cause, key] of Object.entries(CAUSE_LIMITS)) {
    assert.ok(key in LIMITS, `${cause}: no limit ${key}`);
    const { code, breach } = limitRow(key as LimitKey);
    assert.ok(code === CAUSES[cause as Cause].code || breach, `${cause}: ${key} breaches with ${code}`);
  }
});

test('a limit whose breach is an answer is named by a cause', () => {
  const named = new Set(Object.values(CAUSE_LIMITS));
  const unnamed = Object.keys(LIMITS).filter((key) => limitRow(key as LimitKey).code && !named.has(key));
  // A pool's size shows as its waiting time, a slow start as the request's own time, a drain as readiness.
  assert.deepEqual(unnamed, ['upstream.poolSize', 'pop.poolSize', 'compute.loadMs', 'drainMs']);
});
