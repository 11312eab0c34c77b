import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { clientCommand, upstreamCommand } from './curl.ts';
import { STORY_FORMAT, type Story, type StoryCall } from './story.ts';

const story = (request: Partial<Story['request']> = {}, client: Partial<Story['client']> = {}): Story => ({
  format: STORY_FORMAT,
  ...{ requestId: 'r', span: 's', hop: 'edge', pop: 'edge-local', atMs: 0, durationMs: 1, end: 'sent' },
  client: { ip: '127.0.0.1', protocol: 'http', httpVersion: '1.1', ...client },
  request: { method: 'GET', host: 'a.test:8080', url: '/x?y=1', fields: [], ...request },
  ...{ timings: '', statuses: '' },
});

const call = (more: Partial<StoryCall> = {}): StoryCall => ({
  ...{
    leg: 'upstream',
    by: 'global',
    atMs: 0,
    scheme: 'https',
    host: 'api.test',
    port: 8443,
    method: 'GET',
    path: '/v1',
  },
  fields: [
    ['host', 'shop.test'],
    ['via', '1.1 a'],
    ['x-sv-device', 'desktop'],
    ['accept', '*/*'],
  ],
  attempts: [{ atMs: 0, reusedConnection: false, address: '10.0.0.7:8443' }],
  ...more,
});

test('a plain request is a plain command', () => {
  assert.equal(clientCommand(story()), "curl -i 'http://a.test:8080/x?y=1'");
  assert.equal(clientCommand(story({ method: 'HEAD', url: '/' })), 'curl -I http://a.test:8080/');
});

test('method, body, version and odd paths are said as curl wants them', () => {
  const text = clientCommand(
    story({ method: 'POST', bodyBytes: 3, url: '/a/../b[1]' }, { httpVersion: '1.0', protocol: 'https' }),
  );
  assert.equal(text, "curl -i -X POST --http1.0 --path-as-is -g 'https://a.test:8080/a/../b[1]' --data-binary @BODY");
});

test('headers that belong to one connection or to every browser are left away', () => {
  const fields = [
    ['Connection', 'close'],
    ['Sec-Fetch-Mode', 'cors'],
    ['Accept', 'a/b'],
    ['X-Empty', ''],
  ] as const;
  assert.equal(clientCommand(story({ fields })), "curl -i 'http://a.test:8080/x?y=1' -H 'Accept: a/b' -H 'X-Empty;'");
});

test('an upstream is asked under its name, at the address that was dialled, with the host that was sent', () => {
  assert.equal(
    upstreamCommand(call()),
    "curl -i --resolve api.test:8443:10.0.0.7 https://api.test:8443/v1 -H 'host: shop.test' -H 'accept: */*'",
  );
  assert.match(
    upstreamCommand(call({ servername: 'tls.test' }))!,
    /--resolve tls\.test:8443:10\.0\.0\.7 https:\/\/tls\.test:8443\/v1/,
  );
  assert.match(
    upstreamCommand(call({ host: '10.0.0.7', insecure: true }))!,
    /^curl -i -k https:\/\/10\.0\.0\.7:8443\/v1/,
  );
  assert.match(upstreamCommand(call({ attempts: [] }))!, /^curl -i https:\/\/api\.test:8443\/v1/);
});

test('a call over the link is nobody’s to repeat', () => {
  assert.equal(upstreamCommand(call({ leg: 'link' })), undefined);
});

test('whatever a client wrote is one word for the shell, and harmless for the terminal', () => {
  const nasty = 'a\'; touch /tmp/x; echo $(id) `id` "\\ \x1b[31m';
  const text = clientCommand(story({ url: '/', fields: [['x-nasty', nasty]] }));
  assert.doesNotMatch(text, /\x1b/u);
  const words = execFileSync('sh', ['-c', `printf '%s\\n' ${text.slice('curl '.length)}`], { encoding: 'utf8' });
  assert.equal(words.split('\n')[3], `x-nasty: ${nasty.replace('\x1b', '%1B')}`);
});
