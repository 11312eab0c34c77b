import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MOST_TEXT, redactFields, redactText, redactUrl, redactValue } from './redact.ts';

const fieldOf = (name: string, value: string): string => redactFields([[name, value]])[0]![1];

test('credentials in fields keep their scheme or their names, never their values', () => {
  assert.equal(fieldOf('Authorization', 'Bearer abcdef'), 'Bearer [redacted 6]');
  assert.equal(fieldOf('authorization', 'abcdef'), '[redacted 6]');
  assert.equal(fieldOf('Cookie', 'sid=123; theme=dark; flag'), 'sid=[redacted 3]; theme=[redacted 4]; flag');
  for (const name of [
    'Set-Cookie',
    'proxy-authorization',
    'X-Api-Key',
    'apikey',
    'x-auth-token',
    'X-Goog-Signature',
    'client-secret',
  ]) {
    assert.match(fieldOf(name, 'abcdef'), /^\[redacted 6\]$/, name);
  }
});

test('ordinary fields stay as they are', () => {
  for (const name of [
    'accept',
    'user-agent',
    'x-monkey',
    'x-keyboard',
    'author',
    'x-sv-surrogate-key',
    'sec-websocket-key',
  ]) {
    assert.equal(fieldOf(name, 'abcdef'), 'abcdef', name);
  }
});

test('parameters with telling names lose their values, however the name is written', () => {
  for (const name of [
    'token',
    'access_token',
    'accessToken',
    'api_key',
    'apikey',
    'key',
    'X-Amz-Signature',
    'password',
    'to%6ben',
    'sig',
    'code',
  ]) {
    assert.equal(redactUrl(`/a?b=1&${name}=abc&c=2`), `/a?b=1&${name}=[redacted 3]&c=2`, name);
  }
  for (const name of ['monkey', 'page', 'keyboard', 'signal', 'q', 'passage', 'decode']) {
    assert.equal(redactUrl(`/a?${name}=abc`), `/a?${name}=abc`, name);
  }
  assert.equal(redactUrl('/a?token='), '/a?token=', 'there is nothing to hide');
});

test('secrets of a project are found in any text, also in addresses', () => {
  const secrets = [
    ['DB', 'p@ss/word'],
    ['SHORT', 'on'],
  ] as const;
  const text = redactText('connect to p@ss/word or p%40ss%2Fword, on or off', secrets);
  assert.equal(text, 'connect to [secret DB] or [secret DB], on or off');
});

test('a secret that a cut would halve is hidden first', () => {
  const secret = 's'.repeat(100);
  const text = redactText(`${'x'.repeat(MOST_TEXT - 50)}${secret}`, [['S', secret]]);
  assert.doesNotMatch(text, /ss/);
});

test('credentials in free text and in addresses are hidden', () => {
  assert.equal(redactText('sent Bearer abc.def-ghi'), 'sent Bearer [redacted]');
  assert.equal(redactText('to https://user:pass@host/x'), 'to https://[redacted]@host/x');
});

test('evidence of any shape can be written: errors, cycles, depth, functions', () => {
  const cyclic: Record<string, unknown> = { name: 'a', inner: { password: 'hunter22', list: [1, null, true] } };
  cyclic.self = cyclic;
  const value = redactValue({ error: new TypeError('boom'), cyclic, call: () => {}, big: 1n }) as Record<
    string,
    string
  >;
  assert.match(value.error!, /^TypeError: boom\n/);
  assert.equal(value.big, '1');
  const text = JSON.stringify(value);
  assert.doesNotMatch(text, /hunter22/);
  assert.match(text, /"list":\[1,null,true\]/);
});
