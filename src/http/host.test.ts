import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseHost } from './host.ts';

const label = (length: number): string => 'a'.repeat(length);

test('names, literals and ports are taken apart and normalised', () => {
  const cases: [string, string, number?][] = [
    ['Example.COM', 'example.com'],
    ['example.com:8080', 'example.com', 8080],
    ['example.com:', 'example.com'],
    ['example.com.', 'example.com'],
    ['example.com.:443', 'example.com', 443],
    ['localhost', 'localhost'],
    ['my_service:0', 'my_service', 0],
    ['a:65535', 'a', 65_535],
    ['127.0.0.1:80', '127.0.0.1', 80],
    ['[::1]', '[::1]'],
    ['[2001:DB8::1]:8080', '[2001:db8::1]', 8080],
    [label(63), label(63)],
    [`${`${label(63)}.`.repeat(3)}${label(61)}`, `${`${label(63)}.`.repeat(3)}${label(61)}`],
  ];
  for (const [value, host, port] of cases) assert.deepEqual(parseHost(value), { ok: true, host, port }, value);
});

test('what is no name is refused as syntax, what is not there as missing', () => {
  const bad = ['a b', 'x@y', 'a/b', 'a..b', '.', '.a', 'a..', 'a:99999', 'a:x', 'a:-1', 'a:1:2', 'caf\xe9.example']
    .concat(['::1', '[::1', '[::1]x', '[1.2.3.4]', '[fe80::1%eth0]', 'a,b', 'a?b', 'a#b', 'a%20b', 'a\tb', ' a'])
    .concat([label(64), `${`${label(63)}.`.repeat(3)}${label(62)}`]);
  for (const value of bad) {
    const parsed = parseHost(value);
    assert.equal(parsed.ok ? 'accepted' : parsed.cause, 'host.syntax', value);
  }
  for (const value of [undefined, '']) {
    const parsed = parseHost(value);
    assert.equal(parsed.ok ? 'accepted' : parsed.cause, 'host.missing');
  }
});

test('whatever is accepted is made of name characters only, and is accepted again as it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii' }), (value) => {
      const parsed = parseHost(value);
      if (!parsed.ok) return;
      assert.match(parsed.host, /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)$/);
      assert.deepEqual(parseHost(parsed.host), { ok: true, host: parsed.host, port: undefined });
    }),
  );
});
