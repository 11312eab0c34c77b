import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { Fields } from '../http/fields.ts';
import type { KeySettings } from '../router/table.ts';
import { cacheKey, type KeyInput } from './key.ts';
import { joinKey, spaceOf } from './key-text.ts';

const traits = { device: 'mobile', vendor: 'apple', browser: 'safari', isBot: '0' };
const BASE: KeyInput = {
  space: 'shop/main',
  protocol: 'https',
  host: 'shop.example',
  path: '/p',
  query: '',
  acceptEncoding: 'gzip',
  destination: 'default',
  method: 'GET',
  fields: new Fields(),
  bodyKey: false,
  body: null,
  settings: undefined,
  traits,
  cookiePrefix: 'selvedge',
  keyBodyBytes: 8000,
};
const keyOf = (change: Partial<KeyInput> = {}) => cacheKey({ ...BASE, ...change });
const same = (a: Partial<KeyInput>, b: Partial<KeyInput>) => assert.equal(keyOf(a).key, keyOf(b).key);
const differ = (a: Partial<KeyInput>, b: Partial<KeyInput>) => assert.notEqual(keyOf(a).key, keyOf(b).key);
const parts = (...list: KeySettings['parts']): KeySettings => ({ parts: list });
const cookie = (value: string) => new Fields(['Cookie', value]);

describe('the default key', () => {
  test('counts space, protocol, host with port, path, encoding and destination', () => {
    for (const change of [
      ...[{ space: 'x' }, { protocol: 'http' as const }, { host: 'shop.example:81' }, { path: '/P' }],
      ...[{ acceptEncoding: 'br' }, { destination: 'b' }, { query: 'a' }],
    ])
      differ({}, change);
  });
  test('ignores the method, so that HEAD finds the stored GET, and the other headers', () =>
    same({}, { method: 'HEAD', fields: cookie('a=b') }));
  test('sorts the query by name, and parameters of one name keep their order', () => {
    same({ query: 'b=1&a=2' }, { query: 'a=2&b=1' });
    differ({ query: 'a=1&a=2' }, { query: 'a=2&a=1' });
    differ({ query: 'a' }, { query: 'a=' });
  });
  test('ignores the platform parameters, however they are spelt, and keeps them from the upstream', () => {
    const query = 'b=1&selvedge_prefetch=1&%73elvedge_debug=true&a=2';
    same({ query: 'a=2&b=1' }, { query });
    assert.equal(keyOf({ query }).upstreamQuery, 'b=1&a=2');
    assert.equal(keyOf({ query }).originalQuery, undefined);
  });
  test('counts a body that a GET carries in its query, and leaves it to the project', () => {
    differ({ query: 'pref_selvedge_body=x' }, { query: 'pref_selvedge_body=y' });
    assert.equal(keyOf({ query: 'a=1&pref_selvedge_body=x' }).upstreamQuery, 'a=1&pref_selvedge_body=x');
  });
  test('has a hash of 128 bits', () => assert.match(keyOf().hash, /^[0-9a-f]{32}$/));
});

describe('a custom key', () => {
  const query = 'utm=1&b=2&%75tm=3&a=4';
  test('may exclude parameters, which the upstream then does not see', () => {
    const key = keyOf({ query, settings: { parts: [], query: { mode: 'except', names: ['utm'] } } });
    assert.equal(key.upstreamQuery, 'b=2&a=4');
    assert.equal(key.originalQuery, query);
    assert.equal(key.key, keyOf({ query: 'a=4&b=2' }).key);
  });
  test('may keep only some, or none', () => {
    const settings = { parts: [], query: { mode: 'only', names: ['a'] } } as const;
    assert.equal(keyOf({ query, settings }).upstreamQuery, 'a=4');
    assert.equal(keyOf({ query, settings: { parts: [], query: { mode: 'none' } } }).upstreamQuery, '');
  });
  test('counts headers and cookies, absent being different from empty', () => {
    const header = parts({ kind: 'header', name: 'X-Lang' });
    differ({ settings: header, fields: new Fields(['x-lang', 'de']) }, { settings: header, fields: new Fields() });
    differ({ settings: header, fields: new Fields(['x-lang', '']) }, { settings: header, fields: new Fields() });
    const location = parts({ kind: 'cookie', name: 'location' });
    same(
      { settings: location, fields: cookie('a=1; location=us') },
      { settings: location, fields: cookie('location=us; b=2') },
    );
    differ(
      { settings: location, fields: cookie('location=us') },
      { settings: location, fields: cookie('location=ca') },
    );
  });
  test('counts every value of a repeated cookie, so that none is unkeyed', () => {
    const settings = parts({ kind: 'cookie', name: 'c', groups: [{ name: 'all', pattern: '.*' }] });
    differ({ settings, fields: cookie('c=1') }, { settings, fields: cookie('c=1; c=evil') });
    differ({ settings, fields: cookie('c=1; c=2') }, { settings, fields: cookie('c=1; c=evil') });
  });
  test('replaces a value by its group, and keeps a value without group', () => {
    const groups = [
      { name: 'na', pattern: '^(us|ca)$' },
      { name: 'eu', pattern: '^(de|fr)$' },
    ];
    const settings = parts({ kind: 'cookie', name: 'l', groups });
    same({ settings, fields: cookie('l=us') }, { settings, fields: cookie('l=ca') });
    differ({ settings, fields: cookie('l=us') }, { settings, fields: cookie('l=de') });
    differ({ settings, fields: cookie('l=jp') }, { settings, fields: cookie('l=kr') });
    differ({ settings, fields: cookie('l=us') }, { settings, fields: cookie('l=na') });
  });
  test('matches group patterns in linear time', () => {
    const settings = parts({ kind: 'header', name: 'x', groups: [{ name: 'g', pattern: '^(a+)+$' }] });
    const value = `${'a'.repeat(50_000)}!`;
    assert.ok(keyOf({ settings, fields: new Fields(['x', value]) }).key.includes(value));
  });
  test('asks for traits only when they count', () => {
    const lazy = {
      ...traits,
      get device(): string {
        throw new Error('asked');
      },
    };
    keyOf({ traits: lazy, settings: parts({ kind: 'vendor' }) });
    assert.throws(() => keyOf({ traits: lazy, settings: parts({ kind: 'device' }) }), /asked/);
    differ(
      { settings: parts({ kind: 'isBot' }) },
      { settings: parts({ kind: 'isBot' }), traits: { ...traits, isBot: '1' } },
    );
  });
  test('tells which request headers it covers; a cookie part does not cover Cookie, a group no credential', () => {
    const groups = [{ name: 'g', pattern: '.' }];
    const settings = parts(
      ...[{ kind: 'header', name: 'X-A', groups } as const, { kind: 'cookie', name: 'c' } as const],
      ...[
        { kind: 'device' } as const,
        { kind: 'isBot' } as const,
        { kind: 'header', name: 'authorization', groups } as const,
      ],
    );
    assert.deepEqual(keyOf({ settings }).keyedHeaders, ['x-a', 'user-agent']);
  });
});

describe('a body route', () => {
  const post = (text: string, change: Partial<KeyInput> = {}): Partial<KeyInput> => ({
    ...{ method: 'POST', bodyKey: true, body: Buffer.from(text) },
    ...change,
  });
  test('counts method and body', () => {
    differ(post('a'), post('b'));
    differ(post('a'), post('a', { method: 'PUT' }));
    same(post('a'), post('a'));
  });
  test('leaves them out where told to', () => {
    const settings = { parts: [], removeBody: true, removeMethod: true };
    same(post('a', { settings }), post('b', { settings, method: 'PUT' }));
    assert.equal(keyOf(post('a', { settings, body: null })).bypass, undefined);
  });
  test('with too long a body cannot be cached', () => {
    assert.equal(keyOf(post('x'.repeat(8000))).bypass, undefined);
    assert.equal(keyOf(post('x'.repeat(8001))).bypass?.status, 'body-too-big');
    assert.equal(keyOf(post('', { body: null })).bypass?.status, 'body-too-big');
  });
});

describe('key confusion', () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '|', '~', '0', '1', '\n', '&', '=', ';', '%', '/') });
  const input = fc.record({
    space: text,
    host: text,
    path: text,
    query: text,
    destination: text,
    header: text,
    cookie: text,
  });
  test('inputs that differ in anything that counts never give the same key', () => {
    const settings = parts({ kind: 'header', name: 'h' }, { kind: 'cookie', name: 'c' });
    fc.assert(
      fc.property(input, input, (a, b) => {
        const key = ({ header, cookie: value, ...rest }: typeof a) =>
          keyOf({ ...rest, settings, fields: new Fields(['h', header, 'cookie', `c=${value}`]) }).key;
        const counted = ({ query, cookie: value, ...rest }: typeof a) => {
          const sorted = query.split('&').map((pair) => [pair.split('=', 1)[0]!, pair] as const);
          sorted.sort(([x], [y]) => (x < y ? -1 : Number(x > y)));
          const cookies = `c=${value}`
            .split(';')
            .map((pair) => pair.trim())
            .filter((pair) => /^c(\s*=|$)/.test(pair));
          return JSON.stringify([rest, sorted.map(([, pair]) => pair), cookies]);
        };
        return key(a) !== key(b) || counted(a) === counted(b);
      }),
      { numRuns: 3000 },
    );
  });
  test('the text form is injective and its space can be found again', () => {
    const components = fc.array(text, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(components, components, (a, b) => {
        assert.equal(spaceOf(joinKey(a)), a[0]);
        assert.equal(joinKey(a) === joinKey(b), JSON.stringify(a) === JSON.stringify(b));
        assert.equal(joinKey(a).includes('\n'), false);
      }),
      { numRuns: 3000 },
    );
  });
});
