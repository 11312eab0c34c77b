/** The lab as a conformance suite: every case of every code, provoked for real, beside what the cause table says. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { codeOf, nameOf } from '../../src/lab/case.ts';
import { CASES } from '../../src/lab/cases/index.ts';
import { type Lab, openLab, type Played } from '../../src/lab/lab.ts';
import { CODES } from '../../src/status/catalogue.ts';
import { CAUSES } from '../../src/status/causes.ts';

describe('the lab', () => {
  let lab: Lab;
  const played = new Map<string, Promise<Played>>();
  before(async () => {
    lab = await openLab();
    // All at once, as `selvedge lab` does it; each subtest waits for its own.
    const waiting = new Map(CASES.map((it) => [nameOf(it), Promise.withResolvers<Played>()]));
    for (const [name, { promise }] of waiting) played.set(name, promise);
    void lab.playAll((one) => waiting.get(nameOf(one.case))!.resolve(one));
  });
  after(() => lab?.close());

  test('every case has a name of its own', () => {
    assert.equal(new Set(CASES.map(nameOf)).size, CASES.length);
  });

  for (const it of CASES) {
    test(`${nameOf(it)}: ${it.how}`, async () => {
      const { verdict } = await played.get(nameOf(it))!;
      assert.deepEqual(verdict.differences, []);
    });
  }
});

test('every cause that the platform knows can be provoked', () => {
  const provoked = new Set<string>(CASES.map(({ cause }) => cause));
  assert.deepEqual(
    Object.keys(CAUSES).filter((cause) => !provoked.has(cause)),
    [],
  );
});

test('every code of the catalogue has a case', () => {
  const provoked = new Set(CASES.map(codeOf));
  assert.deepEqual(
    CODES.filter((code) => !provoked.has(code)),
    [],
  );
});
