import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { brandingOf } from './branding.ts';
import { ACTORS, CODES, describeCode, describeCodes } from './catalogue.ts';
import { CAUSE_LIMITS, causeText } from './cause-texts.ts';
import { CAUSES, type Cause } from './causes.ts';

const causes = Object.keys(CAUSES) as Cause[];

describe('the status catalogue', () => {
  test('has every code of the seed and of the standard set once, in order', () => {
    const wanted = [400, 404, 412, ...Array.from({ length: 20 }, (_, index) => 530 + index)];
    for (const code of wanted) assert.ok(CODES.includes(code), String(code));
    assert.deepEqual(
      CODES,
      [...new Set(CODES)].sort((a, b) => a - b),
    );
  });

  test('has an entry and a sentence for every cause, and says who acts', () => {
    const missing = causes.filter((cause) => !describeCode(CAUSES[cause].code) || !causeText(cause));
    assert.deepEqual(missing, []);
    for (const cause of causes) {
      const entry = describeCode(CAUSES[cause].code)!;
      assert.ok(entry.acts.includes(CAUSES[cause].acts), cause);
      assert.ok(ACTORS[CAUSES[cause].acts], cause);
      assert.doesNotMatch(causeText(cause)!, /[{}]/, cause);
    }
  });

  test('has no entry that no cause leads to', () => {
    assert.deepEqual(
      describeCodes().filter(({ causes: leading }) => leading.length === 0),
      [],
    );
  });

  test('names a limit only for causes that exist', () => {
    for (const cause of Object.keys(CAUSE_LIMITS)) assert.ok(cause in CAUSES, cause);
  });

  test("speaks in the installation's own names", () => {
    const branding = brandingOf('edgio', { productName: 'Acme' });
    assert.equal(describeCode(541, branding)!.name, 'Acme Out of Workers');
    assert.match(describeCode(539, branding)!.remedy, /`x-edg-t`/);
    assert.match(describeCode(412, branding)!.description, /`edgio_prefetch=1`/);
    assert.doesNotMatch(JSON.stringify(describeCodes(branding)), /\{(product|prefix|cookie)\}|Selvedge/);
    assert.equal(describeCode(200), undefined);
  });
});
