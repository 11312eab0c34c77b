import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkEntry, checkHeaderCount, type RequestHead } from './entry.ts';
import { Fields } from './fields.ts';

const LIMITS = { pathQueryBytes: 20, cookieBytes: 10, headerBytes: 100 };
const head = (given: Partial<RequestHead>): RequestHead => ({
  method: 'GET',
  target: '/',
  httpVersion: '1.1',
  rawHeaders: ['Host', 'a'],
  ...given,
});
const causeOf = (given: Partial<RequestHead>): string => {
  const verdict = checkEntry(head(given), LIMITS);
  return verdict.ok ? 'entered' : verdict.cause;
};

test('an entered request is taken apart', () => {
  const rawHeaders = ['HOST', 'A.b:8080', 'content-length', '3'];
  const verdict = checkEntry(head({ target: '/p?q?r', rawHeaders }), LIMITS);
  assert.deepEqual(verdict, { ok: true, host: 'a.b:8080', path: '/p', query: 'q?r', bodyLength: 3 });
});

test('the body is none, counted or chunked', () => {
  const length = (rawHeaders: string[]): unknown => {
    const verdict = checkEntry(head({ rawHeaders: ['Host', 'a', ...rawHeaders] }), LIMITS);
    return verdict.ok && verdict.bodyLength;
  };
  assert.deepEqual([length([]), length(['Content-Length', '0'])], [null, null]);
  assert.equal(length(['Content-Length', '7']), 7);
  assert.equal(length(['Transfer-Encoding', 'Chunked']), undefined);
});

test('checks come in order: framing, sizes, host', () => {
  const everything = ['Host', 'a b', 'Cookie', 'c'.repeat(11), 'X', 'y'.repeat(100)];
  const target = `/${'x'.repeat(20)}`;
  assert.equal(causeOf({ target, rawHeaders: [...everything, 'Transfer-Encoding', 'x'] }), 'request.framing');
  assert.equal(causeOf({ target, rawHeaders: everything }), 'request.url-bytes');
  assert.equal(causeOf({ rawHeaders: everything }), 'request.cookie-bytes');
  assert.equal(causeOf({ rawHeaders: ['Host', 'a b', 'X', 'y'.repeat(100)] }), 'request.header-bytes');
  assert.equal(causeOf({ rawHeaders: ['Host', 'a b'] }), 'host.syntax');
  assert.equal(causeOf({ rawHeaders: [] }), 'host.missing');
});

test('equal to a limit passes, one above fails, and the verdict tells both figures', () => {
  assert.equal(causeOf({ target: `/${'x'.repeat(19)}` }), 'entered');
  const verdict = checkEntry(head({ target: `/${'x'.repeat(20)}` }), LIMITS);
  assert.deepEqual(verdict, {
    ok: false,
    cause: 'request.url-bytes',
    evidence: { limit: 'url.pathQueryBytes', value: 20, seen: 21 },
  });
});

test('an absolute-form target agrees with Host, default ports and case aside', () => {
  const pairs: [target: string, host: string, cause: string][] = [
    ['http://a/', 'a', 'entered'],
    ['HTTP://A/', 'a', 'entered'],
    ['http://a:80/', 'a', 'entered'],
    ['http://a/', 'a:80', 'entered'],
    ['https://a:443/', 'a', 'entered'],
    ['http://a./', 'a', 'entered'],
    ['http://a:81/', 'a', 'request.authority-mismatch'],
    ['http://b/', 'a', 'request.authority-mismatch'],
    ['http://a@b/', 'b', 'request.framing'],
    ['http:///x', 'a', 'request.framing'],
    ['http://b/', 'a b', 'host.syntax'],
  ];
  for (const [target, host, cause] of pairs)
    assert.equal(causeOf({ target, rawHeaders: ['Host', host] }), cause, target);
});

test('only lines outside the reserved prefixes count towards the number of lines', () => {
  const lines = (count: number, name = 'x-own'): [string, string][] => Array.from({ length: count }, () => [name, 'v']);
  const prefixes = ['x-sv'];
  assert.equal(checkHeaderCount(Fields.from(lines(70)), prefixes, 70), null);
  assert.equal(checkHeaderCount(Fields.from([...lines(70), ...lines(9, 'X-SV-device')]), prefixes, 70), null);
  const verdict = checkHeaderCount(Fields.from([...lines(71), ...lines(9, 'x-sv-device')]), prefixes, 70);
  assert.deepEqual(verdict, {
    ok: false,
    cause: 'request.header-count',
    evidence: { limit: 'request.headerCount', value: 70, seen: 71 },
  });
});
