import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { appendPass, countPasses } from './cdn-loop.ts';
import { parseCookies } from './cookies.ts';
import { Fields } from './fields.ts';
import { appendForwarded, appendForwardedFor, appendVia, identifyClient, networkList } from './forwarded.ts';
import { endToEndFields, forwardableFields, stripReserved } from './hop-by-hop.ts';

const of = (...raw: string[]): Fields => new Fields(raw);

describe('hop-by-hop fields', () => {
  test('end with the connection, those that Connection names too', () => {
    const fields = of('Host', 'a', 'Connection', 'close, Foo', 'foo', '1', 'Keep-Alive', 'x', 'Upgrade', 'h2c')
      .append('Transfer-Encoding', 'chunked')
      .append('Proxy-Authorization', 'x')
      .append('Bar', '2');
    assert.deepEqual(endToEndFields(fields).raw, ['Host', 'a', 'Bar', '2']);
    assert.equal(fields.length, 8, 'the original is untouched');
  });
  test('Connection cannot name what identity, framing or access rest on', () => {
    const kept = [
      'Host',
      'a',
      'Content-Length',
      '3',
      'Authorization',
      'x',
      'Cookie',
      'c=1',
      'X-Forwarded-For',
      '1.1.1.1',
    ];
    const names = 'host, content-length, authorization, cookie, x-forwarded-for, te, close';
    assert.deepEqual(endToEndFields(of(...kept, 'Connection', names)).raw, kept);
  });
  test('TE is reduced to trailers', () => {
    assert.deepEqual(endToEndFields(of('TE', 'gzip, trailers;q=1')).raw, ['te', 'trailers']);
    assert.deepEqual(endToEndFields(of('TE', 'gzip')).raw, []);
  });
  test('Expect is not sent on with a request', () => {
    assert.deepEqual(forwardableFields(of('Expect', '100-continue', 'A', 'b')).raw, ['A', 'b']);
  });
});

test('reserved names are stripped in every spelling, named exceptions stay', () => {
  const fields = of('X-SV-T', '1', 'x-sv-surrogate-key', 'k', 'x-sv-geo-city', 'c', 'Proxy-Status', 'p')
    .append('Cache-Status', 'c')
    .append('x-svg', 'kept')
    .append('x-0-t', '2');
  const stripped = stripReserved(fields, ['x-sv', 'x-0'], ['x-sv-surrogate-key', 'x-sv-geo-*']);
  assert.deepEqual(stripped.raw, ['x-sv-surrogate-key', 'k', 'x-sv-geo-city', 'c', 'x-svg', 'kept']);
});

describe('what a proxy tells', () => {
  test('Via, X-Forwarded-For and Forwarded are appended to what is there', () => {
    const fields = of('Via', '1.0 fred', 'X-Forwarded-For', '9.9.9.9');
    appendVia(fields, '1.1', 'edge-waw');
    appendForwardedFor(fields, '1.2.3.4');
    appendForwarded(fields, { ip: '2001:db8::1', host: 'a.example:80', protocol: 'https' });
    appendForwarded(fields, { ip: '1.2.3.4' });
    assert.equal(fields.get('via'), '1.0 fred, 1.1 edge-waw');
    assert.equal(fields.get('x-forwarded-for'), '9.9.9.9, 1.2.3.4');
    assert.equal(fields.get('forwarded'), 'for="[2001:db8::1]";host="a.example:80";proto=https, for=1.2.3.4');
  });
  const trusted = networkList(['10.0.0.0/8', '::1', '2001:db8::/32']);
  const identify = (remoteAddress: string, ...raw: string[]) =>
    identifyClient({ remoteAddress, protocol: 'http' }, of(...raw), trusted);
  test('is not believed of a peer that is not trusted', () => {
    const client = identify('9.9.9.9', 'X-Forwarded-For', '1.1.1.1', 'X-Forwarded-Proto', 'https');
    assert.deepEqual(client, { ip: '9.9.9.9', protocol: 'http', viaTrustedProxy: false });
  });
  test('is read from the right as far as trust reaches', () => {
    const client = identify(
      '::ffff:10.0.0.1',
      'X-Forwarded-For',
      '6.6.6.6, 8.8.8.8:99, 10.1.1.1',
      'X-Forwarded-Proto',
      'https',
    );
    assert.deepEqual(client, { ip: '8.8.8.8', protocol: 'https', viaTrustedProxy: true });
    assert.equal(identify('10.0.0.1', 'X-Forwarded-For', '10.3.3.3, 10.2.2.2').ip, '10.3.3.3');
    assert.equal(identify('10.0.0.1', 'X-Forwarded-For', '1.1.1.1, unknown').ip, '10.0.0.1');
    assert.equal(identify('10.0.0.1').ip, '10.0.0.1');
  });
  test('may be in the standard form', () => {
    const client = identify('::1', 'Forwarded', 'for=6.6.6.6, for="[2001:4::1]:77";proto=https;host="a, b"');
    assert.deepEqual(client, { ip: '2001:4::1', protocol: 'https', viaTrustedProxy: true });
  });
  test('a network that is none is refused by name', () => {
    for (const bad of ['10.0.0.0/x', 'ten', '10.0.0/8', '']) assert.throws(() => networkList([bad]), RangeError);
  });
});

test('only our own passes count, in any line, case and with parameters', () => {
  const fields = of('CDN-Loop', 'selvedge, fastly; a="selvedge, x", SELVEDGE;v=1', 'CDN-Loop', ' selvedge ');
  assert.equal(countPasses(fields, 'selvedge'), 3);
  appendPass(fields, 'selvedge');
  assert.equal(countPasses(fields, 'selvedge'), 4);
  assert.equal(countPasses(of(), 'selvedge'), 0);
  assert.deepEqual(appendPass(of(), 'selvedge').raw, ['cdn-loop', 'selvedge']);
});

test('cookies are read over all lines, the first of a name wins, and no name reaches a prototype', () => {
  const cookies = parseCookies(of('Cookie', 'a=1; b=%20x', 'cookie', 'a=2; c="q"; __proto__=z'));
  assert.deepEqual([cookies.a, cookies.b], ['1', ' x']);
  assert.deepEqual([cookies.toString, cookies.constructor], [undefined, undefined]);
  assert.equal(parseCookies(of()).toString, undefined);
});
