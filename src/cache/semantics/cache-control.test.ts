import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fields } from '../../http/fields.ts';
import { parseCacheControl, responseCacheControl } from './cache-control.ts';

const maxAge = (...lines: string[]) => parseCacheControl(lines).seconds('max-age');

test('directives are found in any case, with odd but allowed spacing and empty members', () => {
  const control = parseCacheControl([' , PUBLIC ,\t Max-Age=60 ,,', 'S-MaxAge="30"']);
  assert.equal(control.has('public'), true);
  assert.equal(control.seconds('max-age'), 60);
  assert.equal(control.seconds('s-maxage'), 30);
  assert.equal(control.seconds('stale-while-revalidate'), undefined);
});

test('an argument that is not a number of seconds grants nothing', () => {
  for (const text of ['max-age', 'max-age=', 'max-age=-1', 'max-age=1.5', "max-age='60'", 'max-age=1e3', 'max-age=6 0'])
    assert.equal(maxAge(text), 0, text);
  for (const text of ['max-age =60', 'max-age= 60', 'max-age="6 0"', 'max-age="60"x'])
    assert.equal(maxAge(text), 0, text);
});

test('leading zeros are read, huge numbers are capped at 2^31', () => {
  assert.equal(maxAge('max-age=0060'), 60);
  assert.equal(maxAge('max-age=99999999999999999999'), 2 ** 31);
});

test('of several values the most restrictive counts, also across lines', () => {
  assert.equal(maxAge('max-age=60, max-age=10', 'max-age=3600'), 10);
});

test('text inside a quoted string is no directive', () => {
  const control = parseCacheControl(['ext="a, private, \\", no-store", max-age=5']);
  assert.equal(control.has('private'), false);
  assert.equal(control.has('no-store'), false);
  assert.equal(control.seconds('max-age'), 5);
});

test('an open quote hides nothing that restricts and grants nothing', () => {
  const control = parseCacheControl(['ext="open, private, max-age=60', 'no-store, max-age=60']);
  assert.equal(control.has('private'), true);
  assert.equal(control.has('no-store'), true);
  assert.equal(control.seconds('max-age'), 0);
});

test('directives with field names count as the whole directive', () => {
  const control = parseCacheControl(['private="set-cookie", no-cache="x"']);
  assert.equal(control.has('private'), true);
  assert.equal(control.has('no-cache'), true);
});

test('a restricting directive is found after any text without quotes', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const control = parseCacheControl([`${text.replaceAll('"', '')}, private`]);
      return control.has('private');
    }),
  );
});

test('a valid CDN-Cache-Control replaces Cache-Control, an invalid or empty one does not count', () => {
  const control = (targeted: string) =>
    responseCacheControl(
      Fields.from([
        ['Cache-Control', 'private, max-age=1'],
        ['CDN-Cache-Control', targeted],
      ]),
    );
  assert.equal(control('max-age=60').has('private'), false);
  assert.equal(control('max-age=60').seconds('max-age'), 60);
  assert.equal(control('max-age="60"').seconds('max-age'), 0);
  assert.equal(control('no-store').has('no-store'), true);
  assert.equal(control('max-age=60, =').seconds('max-age'), 1);
  assert.equal(control('').has('private'), true);
});
