import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DEFAULT_LIMITS } from './limits.ts';
import { OVERRIDABLE, overrideProblem, withOverrides } from './overrides.ts';

describe('limits of an environment', () => {
  test('take the place of the installation’s, and no other does', () => {
    const limits = withOverrides(DEFAULT_LIMITS, { 'response.headerCount': 90, 'response.headerFieldBytes': 'off' });
    assert.equal(limits['response.headerCount'], 90);
    assert.equal(limits['response.headerFieldBytes'], Number.POSITIVE_INFINITY);
    assert.equal(limits['request.headerCount'], 70);
    assert.equal(withOverrides(DEFAULT_LIMITS, undefined), DEFAULT_LIMITS);
  });

  test('leave away what is none, for an older or newer platform may have set it', () => {
    assert.equal(
      withOverrides(DEFAULT_LIMITS, { 'made.up': 1, 'compute.responseMs': -1, nestedRequests: 9 }),
      DEFAULT_LIMITS,
    );
  });

  test('keep what is reserved within what it is a part of', () => {
    const limits = withOverrides(DEFAULT_LIMITS, { 'compute.responseMs': 400 });
    assert.deepEqual([limits['compute.responseMs'], limits['compute.reservedMs']], [400, 100]);
  });

  test('say what is wrong with a value', () => {
    assert.match(overrideProblem('made.up', 1)!, /is no limit; an environment may set .*response\.headerCount/);
    assert.match(overrideProblem('nestedRequests', 1)!, /whole installation/);
    assert.match(overrideProblem('response.headerCount', 'many')!, /^must be a whole number \(lines\)/);
    for (const key of OVERRIDABLE)
      assert.equal(overrideProblem(key, DEFAULT_LIMITS[key] === Infinity ? 'off' : DEFAULT_LIMITS[key]), undefined);
  });
});
