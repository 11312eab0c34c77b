import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Fields } from './fields.ts';
import { continueTrace } from './trace-context.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const hex = (bytes: number): string => 'b'.repeat(2 * bytes);
const continued = (...lines: string[]) =>
  continueTrace(
    Fields.from([...lines.map((line) => ['traceparent', line] as const), ['tracestate', 'vendor=1'] as const]),
    hex,
  );

describe('the trace context', () => {
  test('keeps trace and flags, and names this hop as parent', () => {
    const fields = continued(`00-${TRACE}-00f067aa0ba902b7-01`);
    assert.equal(fields.get('traceparent'), `00-${TRACE}-${hex(8)}-01`);
    assert.equal(fields.get('tracestate'), 'vendor=1');
    assert.match(continued(`01-${TRACE}-00f067aa0ba902b7-01-more`).get('traceparent')!, new RegExp(TRACE));
  });

  for (const [what, ...lines] of [
    ['nothing'],
    ['two of them', `00-${TRACE}-00f067aa0ba902b7-01`, `00-${TRACE}-00f067aa0ba902b7-01`],
    ['a version that is none', `ff-${TRACE}-00f067aa0ba902b7-01`],
    ['a trace of zeros', `00-${'0'.repeat(32)}-00f067aa0ba902b7-01`],
    ['a parent of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['capital letters', `00-${TRACE.toUpperCase()}-00f067aa0ba902b7-01`],
    ['more than version 00 has', `00-${TRACE}-00f067aa0ba902b7-01-more`],
    ['far too much', `01-${TRACE}-00f067aa0ba902b7-01-${'x'.repeat(1_000)}`],
  ] as const) {
    test(`starts anew on ${what}`, () => {
      const fields = continued(...lines);
      assert.deepEqual(fields.all('traceparent'), [`00-${hex(16)}-${hex(8)}-00`]);
      assert.equal(fields.has('tracestate'), false);
    });
  }
});
