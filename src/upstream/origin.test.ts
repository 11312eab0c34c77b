import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { backendOrigin, linkOrigin, type UpstreamLimits } from './origin.ts';

const limits: UpstreamLimits = {
  'upstream.dnsMs': 1,
  'upstream.connectMs': 2,
  'upstream.tlsMs': 3,
  'upstream.writeIdleMs': 4,
  'upstream.responseMs': 5,
  'upstream.bodyIdleMs': 6,
  'upstream.bodyBytes': 7,
  'upstream.poolSize': 8,
  'upstream.poolWaitMs': 9,
  'response.headerCount': 10,
  'response.headerBytes': 11,
  'response.cookieBytes': 12,
  'response.headerFieldBytes': 13,
  'pop.dnsMs': 20,
  'pop.connectMs': 21,
  'pop.tlsMs': 22,
  'pop.silenceMs': 23,
  'pop.poolSize': 24,
};
const where = ({ scheme, host, port, servername }: ReturnType<typeof linkOrigin>) =>
  `${scheme}://${host}:${port}${servername ? ` as ${servername}` : ''}`;

describe('a backend', () => {
  for (const [title, backend, client, expected] of [
    ['is asked over https by default', { domainOrIp: 'a.test' }, 'http', 'https://a.test:443'],
    ['is asked over http where it says so', { domainOrIp: 'a.test', scheme: 'http' }, 'https', 'http://a.test:80'],
    ['follows the client where it says so', { domainOrIp: 'a.test', scheme: 'match' }, 'http', 'http://a.test:80'],
    ['may have a port', { domainOrIp: 'a.test', port: 8443 }, 'http', 'https://a.test:8443'],
    [
      'may have the port in its name',
      { domainOrIp: 'localhost:3000', scheme: 'http' },
      'http',
      'http://localhost:3000',
    ],
    ['may be an address', { domainOrIp: '::1', scheme: 'http' }, 'http', 'http://::1:80'],
    ['may be an address in brackets', { domainOrIp: '[::1]:81', scheme: 'http' }, 'http', 'http://::1:81'],
    [
      'with a Host of its own is still checked by its name',
      { domainOrIp: 'a.test', hostHeader: 'b.test' },
      'http',
      'https://a.test:443',
    ],
    [
      'that is an address is checked by the Host it gets',
      { domainOrIp: '192.0.2.1', hostHeader: 'b.test:8080' },
      'http',
      'https://192.0.2.1:443 as b.test',
    ],
  ] as const) {
    test(title, () => assert.equal(where(backendOrigin(backend, limits, client)), expected));
  }

  test('takes its limits from the upstream leg, its own time to the first byte before the general one', () => {
    const { limits: taken, verifyCertificate } = backendOrigin(
      { domainOrIp: 'a.test', firstByteTimeout: 99 },
      limits,
      'http',
    );
    assert.deepEqual(Object.values(taken), [1, 2, 3, 4, 99, 6, 7, 8, 9, 10, 11, 12, 13]);
    assert.equal(verifyCertificate, true);
    assert.equal(backendOrigin({ domainOrIp: 'a', disableCheckCert: true }, limits, 'http').verifyCertificate, false);
  });
});

describe('the link', () => {
  test('goes where the URL says', () => {
    assert.equal(where(linkOrigin('http://127.0.0.1:9000', limits)), 'http://127.0.0.1:9000');
    assert.equal(where(linkOrigin('https://[::1]', limits, { servername: 'pop.test' })), 'https://::1:443 as pop.test');
    assert.throws(() => linkOrigin('ftp://a.test', limits), TypeError);
  });

  test('never gives up before the global POP does, where that one cannot send heartbeats (R4)', () => {
    const { limits: link } = linkOrigin('http://127.0.0.1', limits);
    assert.equal(link.responseMs, 23);
    assert.ok(link.writeIdleMs > limits['upstream.writeIdleMs'] && link.bodyIdleMs > limits['upstream.bodyIdleMs']);
    assert.ok(link.headerCount > limits['response.headerCount'] && link.headerBytes > limits['response.headerBytes']);
  });
});
