import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fields } from '../../http/fields.ts';
import { freshenedFields, storedFieldsFor } from './stored-fields.ts';
import { unionOfNames, variantKey, varyNames } from './vary.ts';

const names = (fields: Fields) => [...fields].map(([name]) => name);

test('what belongs to one user, one connection or one exchange is not stored', () => {
  const fields = new Fields(
    ['ETag', 'Set-Cookie', 'Proxy-Status', 'x-ab-error', 'x-ab-t', 'X-AB-User-T', 'x-ab-request-id', 'X-Request-Id']
      .concat(
        'Connection',
        'Keep-Alive',
        'Transfer-Encoding',
        'Age',
        'Private-Hop',
        'x-ab-surrogate-key',
        'Cache-Status',
      )
      .concat('x-ab-status', 'x-ab-version', 'Cache-Control', 'Server-Timing')
      .flatMap((name) => [name, name === 'Connection' ? 'keep-alive, private-hop' : '1']),
  );
  assert.deepEqual(names(storedFieldsFor('x-ab')(fields)), [
    ...['ETag', 'x-ab-surrogate-key', 'Cache-Status', 'x-ab-status', 'x-ab-version', 'Cache-Control', 'Server-Timing'],
  ]);
  assert.equal(fields.has('set-cookie'), true, 'the original is untouched');
});

test('a 304 replaces what it brings, except what describes the body', () => {
  const stored = new Fields(['ETag', '"1"', 'Content-Length', '5', 'X-A', 'old', 'X-A', 'old2', 'X-B', 'kept']);
  const update = new Fields(['x-a', 'new', 'Content-Length', '0', 'Date', 'today']);
  assert.deepEqual(freshenedFields(stored, update).raw, [
    ...['ETag', '"1"', 'Content-Length', '5', 'X-B', 'kept', 'x-a', 'new', 'Date', 'today'],
  ]);
});

test('Vary is read over all lines, without accept-encoding and without what the key covers', () => {
  const response = new Fields(['Vary', 'Accept-Encoding, Cookie,', 'vary', ' X-Lang ,cookie']);
  assert.deepEqual(varyNames(response), ['cookie', 'x-lang']);
  assert.deepEqual(varyNames(response, ['x-lang']), ['cookie']);
  assert.deepEqual(varyNames(new Fields(['Vary', 'a, *'])), ['*']);
  assert.deepEqual(varyNames(new Fields()), []);
  assert.deepEqual(unionOfNames(['a', 'c'], ['b', 'c']), ['a', 'b', 'c']);
});

test('different values of the varying headers never select the same variant', () => {
  const lines = fc.array(fc.string(), { maxLength: 3 });
  fc.assert(
    fc.property(lines, lines, lines, lines, (a1, b1, a2, b2) => {
      const request = (a: string[], b: string[]) =>
        Fields.from([...a.map((v) => ['a', v] as const), ...b.map((v) => ['b', v] as const)]);
      const trimmed = (values: string[]) => JSON.stringify(values.map((value) => value.trim()));
      const same = trimmed(a1) === trimmed(a2) && trimmed(b1) === trimmed(b2);
      const key = (fields: Fields) => variantKey('key', ['a', 'b'], fields);
      return (key(request(a1, b1)) === key(request(a2, b2))) === same;
    }),
  );
});
