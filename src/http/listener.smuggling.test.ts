import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RawClient } from '../../test/actors/raw-client.ts';
import { echo, serve } from '../../test/actors/served.ts';

const H = 'Host: a.example\r\n';

/** What must be refused, and with which cause. */
const REFUSED: Readonly<Record<string, readonly [bytes: string, cause: string]>> = {
  'bare LF line ends': ['GET / HTTP/1.1\nHost: a.example\n\n', 'request.framing'],
  'bare LF inside the head': [`GET / HTTP/1.1\r\n${H}X: y\nZ: z\r\n\r\n`, 'request.framing'],
  'bare CR in a value': [`GET / HTTP/1.1\r\n${H}X: y\rZ: z\r\n\r\n`, 'request.framing'],
  'LF as the final line': [`GET / HTTP/1.1\r\n${H}\n`, 'request.framing'],
  'obs-fold': [`GET / HTTP/1.1\r\n${H}X: 1\r\n 2\r\n\r\n`, 'request.framing'],
  'a first line that is folded': [`GET / HTTP/1.1\r\n ${H}\r\n`, 'request.framing'],
  'space before the colon': [`POST / HTTP/1.1\r\n${H}Transfer-Encoding : chunked\r\n\r\n`, 'request.framing'],
  'NUL in a value': [`GET / HTTP/1.1\r\n${H}X: a\0b\r\n\r\n`, 'request.framing'],
  'NUL in a name': [`GET / HTTP/1.1\r\n${H}X\0Y: a\r\n\r\n`, 'request.framing'],
  'NUL in the target': ['GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n', 'request.framing'],
  'control character in a value': [`GET / HTTP/1.1\r\n${H}X: a\x01b\r\n\r\n`, 'request.framing'],
  'a line without a colon': [`GET / HTTP/1.1\r\n${H}foo\r\n\r\n`, 'request.framing'],
  'an empty name': [`GET / HTTP/1.1\r\n${H}: x\r\n\r\n`, 'request.framing'],
  'high bytes in the target': [`GET /\xc3\xa9 HTTP/1.1\r\n${H}\r\n`, 'request.framing'],
  'a fragment in the target': [`GET /a#b HTTP/1.1\r\n${H}\r\n`, 'request.framing'],
  'a target without a slash': [`GET foo HTTP/1.1\r\n${H}\r\n`, 'request.framing'],
  'an asterisk for GET': [`GET * HTTP/1.1\r\n${H}\r\n`, 'request.framing'],
  'another scheme': [`GET ftp://a.example/ HTTP/1.1\r\n${H}\r\n`, 'request.framing'],
  'userinfo in the target': [`GET http://u@a.example/ HTTP/1.1\r\n${H}\r\n`, 'request.framing'],
  'an authority that is not Host': [`GET http://b.example/ HTTP/1.1\r\n${H}\r\n`, 'request.authority-mismatch'],
  'an authority with another port': [`GET http://a.example:81/ HTTP/1.1\r\n${H}\r\n`, 'request.authority-mismatch'],
  'two Host lines': [`GET / HTTP/1.1\r\n${H}Host: b.example\r\n\r\n`, 'request.multiple-host'],
  'the same Host twice': [`GET / HTTP/1.1\r\n${H}${H}\r\n`, 'request.multiple-host'],
  'HTTP/1.2': [`GET / HTTP/1.2\r\n${H}\r\n`, 'request.framing'],
  'HTTP/2.0 in a request line': [`GET / HTTP/2.0\r\n${H}\r\n`, 'request.framing'],
  'HTTP/0.9 in a request line': [`GET / HTTP/0.9\r\n${H}\r\n`, 'request.framing'],
  'the HTTP/2 preface': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'request.framing'],
  'a TLS hello': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc', 'request.framing'],
  'a lower-case method': [`get / HTTP/1.1\r\n${H}\r\n`, 'request.framing'],
  'a tab after the method': [`GET\t/ HTTP/1.1\r\n${H}\r\n`, 'request.framing'],
  TRACE: [`TRACE / HTTP/1.1\r\n${H}\r\n`, 'request.method'],
  CONNECT: ['CONNECT a.example:80 HTTP/1.1\r\nHost: a.example:80\r\n\r\n', 'request.method'],
  'TE.CL': [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`,
    'request.framing',
  ],
  'CL.TE': [
    `POST / HTTP/1.1\r\n${H}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'request.framing',
  ],
  xchunked: [`POST / HTTP/1.1\r\n${H}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`, 'request.framing'],
  'gzip, chunked': [`POST / HTTP/1.1\r\n${H}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, 'request.framing'],
  'chunked and identity': [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n`,
    'request.framing',
  ],
  'an empty transfer coding': [`POST / HTTP/1.1\r\n${H}Transfer-Encoding:\r\n\r\n0\r\n\r\n`, 'request.framing'],
  'chunked after a vertical tab': [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n`,
    'request.framing',
  ],
  'a transfer coding in HTTP/1.0': [
    `POST / HTTP/1.0\r\n${H}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'request.framing',
  ],
  'two content lengths': [
    `POST / HTTP/1.1\r\n${H}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
    'request.framing',
  ],
  'a list of content lengths': [`POST / HTTP/1.1\r\n${H}Content-Length: 3, 3\r\n\r\nabc`, 'request.framing'],
  'a signed content length': [`POST / HTTP/1.1\r\n${H}Content-Length: +3\r\n\r\nabc`, 'request.framing'],
  'an endless content length': [
    `POST / HTTP/1.1\r\n${H}Content-Length: 99999999999999999999999\r\n\r\n`,
    'request.framing',
  ],
  'no Host': ['GET / HTTP/1.1\r\n\r\n', 'host.missing'],
  'no Host in HTTP/1.0': ['GET / HTTP/1.0\r\n\r\n', 'host.missing'],
  'an empty Host': ['GET / HTTP/1.1\r\nHost:\r\n\r\n', 'host.missing'],
  'a space in Host': ['GET / HTTP/1.1\r\nHost: a b\r\n\r\n', 'host.syntax'],
  'userinfo in Host': ['GET / HTTP/1.1\r\nHost: x@y\r\n\r\n', 'host.syntax'],
  'a path in Host': ['GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 'host.syntax'],
  'high bytes in Host': ['GET / HTTP/1.1\r\nHost: \xe9.example\r\n\r\n', 'host.syntax'],
};

describe('what could be read in two ways is refused and ends the connection', () => {
  for (const [name, [bytes, cause]] of Object.entries(REFUSED)) {
    test(name, async () => {
      let handled = 0;
      await using served = await serve(async (exchange) => {
        handled++;
        await echo(exchange);
      });
      const client = await RawClient.connect(served.port);
      // A second request behind the bad one must never be served.
      client.write(`${bytes}GET /smuggled HTTP/1.1\r\n${H}\r\n`);
      const response = await client.response();
      assert.equal(response.get('x-cause'), cause);
      assert.equal(response.status, served.faults[0]!.code);
      assert.equal(response.get('connection'), 'close');
      client.end();
      await client.closed;
      assert.equal(client.received.length, 0, 'nothing follows the refusal');
      assert.equal(handled, 0);
      assert.equal(served.faults.length, 1);
    });
  }
});

/** What is odd but has one reading only. */
const ACCEPTED: Readonly<Record<string, readonly [bytes: string, seen: Record<string, unknown>]>> = {
  'empty lines before the request': [`\r\n\r\nGET / HTTP/1.1\r\n${H}\r\n`, { path: '/' }],
  'an absolute-form target': [
    'GET http://A.example:80/x?y HTTP/1.1\r\nHost: a.example\r\n\r\n',
    { host: 'a.example', path: '/x', query: 'y' },
  ],
  'an absolute-form target without a path': [`GET http://a.example?y HTTP/1.1\r\n${H}\r\n`, { path: '/', query: 'y' }],
  'OPTIONS *': [`OPTIONS * HTTP/1.1\r\n${H}\r\n`, { path: '*' }],
  'CHUNKED in capitals': [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    { body: 'abc' },
  ],
  'chunk extensions': [
    `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n`,
    { body: 'abc' },
  ],
  'a port and capitals in Host': ['GET / HTTP/1.1\r\nHost: A.Example:8080\r\n\r\n', { host: 'a.example:8080' }],
  'an offer of h2c, which is passed over': [
    `GET / HTTP/1.1\r\n${H}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n`,
    { path: '/', body: null },
  ],
  'a body with GET': [`GET / HTTP/1.1\r\n${H}Content-Length: 3\r\n\r\nabc`, { body: 'abc' }],
  'dots, percent signs and slashes in a path': [
    `GET //a/../%2e%zz//?a?b HTTP/1.1\r\n${H}\r\n`,
    { path: '//a/../%2e%zz//', query: 'a?b' },
  ],
};

describe('what has one reading is served as received', () => {
  for (const [name, [bytes, seen]] of Object.entries(ACCEPTED)) {
    test(name, async () => {
      await using served = await serve(echo);
      const whole = JSON.parse((await RawClient.ask(served.port, bytes)).text);
      for (const [member, value] of Object.entries(seen)) assert.deepEqual(whole[member], value, member);
      const client = await RawClient.connect(served.port);
      await client.writeSplit(bytes);
      assert.deepEqual(JSON.parse((await client.response()).text), whole, 'the same when it comes byte by byte');
      client.destroy();
    });
  }
});

describe('a body that breaks its framing', () => {
  const head = `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n`;
  for (const [name, body] of Object.entries({
    'a space after the chunk size': '3 \r\nabc\r\n0\r\n\r\n',
    'bare LF after the chunk size': '3\nabc\n0\n\n',
    'a hexadecimal prefix': '0x3\r\nabc\r\n0\r\n\r\n',
    'more bytes than the chunk size says': '3\r\nabcd\r\n0\r\n\r\n',
    'an extension ended by LF': '3;a\nabc\r\n0\r\n\r\n',
  })) {
    test(`${name} fails the body with its cause and is answered once`, async () => {
      await using served = await serve(echo);
      const client = await RawClient.connect(served.port);
      client.write(`${head}${body}GET /smuggled HTTP/1.1\r\n${H}\r\n`);
      const response = await client.response();
      assert.equal(response.get('x-cause'), 'request.framing');
      assert.equal(response.get('connection'), 'close');
      client.end();
      await client.closed;
      assert.equal(client.received.length, 0);
    });
  }
});

test('a malformed request behind good ones is answered after them, in order', async () => {
  await using served = await serve(echo);
  const client = await RawClient.connect(served.port);
  client.write(`GET /1 HTTP/1.1\r\n${H}\r\nGET /2 HTTP/1.1\r\n${H}\r\nGET /3 HTTP/1.1\nHost: a\n\n`);
  assert.equal(JSON.parse((await client.response()).text).path, '/1');
  assert.equal(JSON.parse((await client.response()).text).path, '/2');
  assert.equal((await client.response()).get('x-cause'), 'request.framing');
  client.destroy();
});
