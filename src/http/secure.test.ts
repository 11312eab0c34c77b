import assert from 'node:assert/strict';
import { once } from 'node:events';
import http2, { type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import tls from 'node:tls';
import { certificates } from '../../test/actors/certificates.ts';
import { Attacker, FLAG, frame, indexedLiteral, requestBlock } from '../../test/actors/h2-attacker.ts';
import { ManualClock } from '../../test/actors/manual-clock.ts';
import { RawClient } from '../../test/actors/raw-client.ts';
import { echo, DEFAULT_TEST_LIMITS as LIMITS, read } from '../../test/actors/served.ts';
import { Fault } from '../status/fault.ts';
import { Fields } from './fields.ts';
import { ClientLeft, createListener, type Delivery, type ServerExchange } from './listener.ts';
import type { Body, HttpResponse } from './message.ts';
import { contextOf, createSecureListener, type SecureListenerOptions } from './secure.ts';

const answer = (body: Body, lines: [string, string][] = [], status = 200): HttpResponse => ({
  status,
  fields: Fields.from(lines),
  body,
});

type Handle = (exchange: ServerExchange) => Promise<void>;

interface Secured {
  readonly port: number;
  readonly clock: ManualClock;
  /** An HTTP/2 client; `settings` are its own. */
  client(settings?: http2.Settings): Promise<ClientHttp2Session>;
  drain(graceMs: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

async function secured(handle: Handle, more: Partial<SecureListenerOptions> = {}): Promise<Secured> {
  const lab = await certificates();
  const clock = new ManualClock();
  const exchange = {
    handle,
    onFault: (fault: Fault) => ({
      status: fault.code,
      fields: Fields.from([['x-cause', fault.why]]),
      body: Buffer.from('page'),
    }),
    limits: LIMITS,
    clock,
  };
  const plain = createListener(exchange);
  const listener = createSecureListener({ plain, certificate: lab.good, exchange, ...more });
  const { port } = await listener.listen({ host: '127.0.0.1', port: 0 });
  const sessions: ClientHttp2Session[] = [];
  return {
    port,
    clock,
    async client(settings = {}) {
      const session = http2.connect(`https://localhost:${port}`, { ca: lab.ca, settings });
      session.on('error', () => {});
      sessions.push(session);
      await once(session, 'connect');
      return session;
    },
    drain: (graceMs) => listener.drain(graceMs),
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy();
      const drained = listener.drain(0);
      clock.advance(0);
      await Promise.all([drained, plain.close()]);
    },
  };
}

interface Reply {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders | undefined;
  readonly text: string;
  /** RST_STREAM's code, 0 without one. */
  readonly reset: number;
}

async function replyTo(stream: ClientHttp2Stream): Promise<Reply> {
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders | undefined;
  let text = '';
  stream.on('response', (lines) => {
    headers = lines;
  });
  stream.on('trailers', (lines) => {
    trailers = lines;
  });
  stream.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  stream.on('error', () => {});
  await new Promise((resolve) => stream.once('close', resolve));
  return { status: Number(headers[':status']) || undefined, headers, trailers, text, reset: stream.rstCode };
}

const ask = (session: ClientHttp2Session, head: http2.OutgoingHttpHeaders | readonly string[], body?: string) => {
  const stream = session.request(head as http2.OutgoingHttpHeaders, { endStream: body === undefined });
  if (body !== undefined) stream.end(body);
  return replyTo(stream);
};

describe('what the client agrees on', () => {
  test('HTTP/2 and HTTP/1.1 are one listener, and both are https', async () => {
    await using served = await secured(echo);
    const session = await served.client();
    const over2 = JSON.parse((await ask(session, { ':path': '/a?b=c' })).text);
    assert.equal(over2.protocol, 'https');
    assert.equal(over2.httpVersion, '2.0');
    assert.equal(over2.path, '/a');
    assert.equal(over2.query, 'b=c');
    assert.equal(over2.host, `localhost:${served.port}`);
    const { ca } = await certificates();
    const secure = tls.connect({ port: served.port, host: '127.0.0.1', ca, servername: 'localhost' });
    await once(secure, 'secureConnect');
    const client = new RawClient(secure);
    client.write('GET /x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n');
    const over1 = JSON.parse((await client.response()).text);
    assert.equal(over1.protocol, 'https');
    assert.equal(over1.httpVersion, '1.1');
  });

  test('the certificate is the one of the name that is asked for', async () => {
    const lab = await certificates();
    const own = contextOf(lab.wrongName);
    await using served = await secured(echo, {
      certificateOf: (host) => (host === 'other.example' ? own : undefined),
    });
    for (const [servername, subject] of [
      ['other.example', 'DNS:other.example'],
      ['localhost', 'DNS:localhost, DNS:shop.test'],
    ] as const) {
      const socket = tls.connect({ port: served.port, host: '127.0.0.1', ca: lab.ca, servername });
      await once(socket, 'secureConnect');
      assert.ok(socket.getPeerCertificate().subjectaltname!.startsWith(subject));
      socket.destroy();
    }
  });

  test('TLS 1.1 is refused', async () => {
    await using served = await secured(echo);
    const socket = tls.connect({
      port: served.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      minVersion: 'TLSv1.1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    const [error] = await once(socket, 'error');
    assert.match(String(error), /ssl|SSL|version|alert/);
  });
});

describe('a stream is an exchange', () => {
  test('fields keep order and number, and cookie crumbs are one field', async () => {
    await using served = await secured(echo);
    const session = await served.client();
    const seen = JSON.parse((await ask(session, { ':path': '/', cookie: ['a=1', 'b=2'], 'x-y': ['1', '2'] })).text);
    assert.deepEqual(seen.fields.slice(2), ['cookie', 'a=1; b=2', 'x-y', '1', 'x-y', '2']);
  });

  test('lines of the answer that belong to an HTTP/1 connection are left away, repeated ones stay', async () => {
    await using served = await secured(async (exchange) => {
      await exchange.respond(
        answer(Buffer.from('abc'), [
          ['Connection', 'close'],
          ['Keep-Alive', 'timeout=5'],
          ['Set-Cookie', 'a=1'],
          ['Set-Cookie', 'b=2'],
          ['Age', '1'],
        ]),
      );
    });
    const session = await served.client();
    const { headers, text } = await ask(session, { ':path': '/' });
    assert.equal(text, 'abc');
    assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2']);
    assert.equal(headers['content-length'], '3');
    assert.equal(headers.age, '1');
    assert.equal(headers['keep-alive'], undefined);
  });

  test('bodies stream both ways, with trailers', async () => {
    await using served = await secured(async (exchange) => {
      const body = Buffer.from(await read(exchange.request.body as Readable), 'latin1');
      const trailers = () => Fields.from([['X-Sum', String(body.length)]]);
      await exchange.respond({ ...answer(Readable.from([body.subarray(0, 10), body.subarray(10)])), trailers });
    });
    const session = await served.client();
    const sent = 'x'.repeat(700_000);
    const { text, trailers } = await ask(session, { ':path': '/', ':method': 'POST' }, sent);
    assert.equal(text, sent);
    assert.equal(trailers?.['x-sum'], '700000');
  });

  test('HEAD, 204 and 304 have no body', async () => {
    await using served = await secured(async (exchange) => {
      const status = Number(exchange.request.query || 200);
      await exchange.respond(answer(Buffer.from('abc'), [], status));
    });
    const session = await served.client();
    const head = await ask(session, { ':path': '/', ':method': 'HEAD' });
    assert.deepEqual([head.status, head.headers['content-length'], head.text], [200, '3', '']);
    for (const status of [204, 304]) assert.equal((await ask(session, { ':path': `/?${status}` })).text, '');
  });

  test('interim answers come first, 100 with the first read', async () => {
    await using served = await secured(async (exchange) => {
      exchange.inform(103, Fields.from([['Link', '</a.css>; rel=preload']]));
      await read(exchange.request.body as Readable);
      await exchange.respond(answer(null));
    });
    const session = await served.client();
    const stream = session.request({ ':path': '/', ':method': 'POST', expect: '100-continue' });
    const interim: unknown[] = [];
    stream.on('headers', (lines) => interim.push(lines[':status'], lines.link));
    stream.on('continue', () => stream.end('now'));
    assert.equal((await replyTo(stream)).status, 200);
    assert.deepEqual(interim.slice(0, 2), [103, '</a.css>; rel=preload']);
  });

  test('a body that fails resets its stream and leaves the neighbours alone', async () => {
    const deliveries: Delivery[] = [];
    await using served = await secured(async (exchange) => {
      if (exchange.request.path !== '/broken') return void (await exchange.respond(answer(Buffer.from('fine'))));
      const body = Readable.from(
        (async function* () {
          yield Buffer.from('half');
          throw new Fault({ cause: 'upstream.body.incomplete', hop: 'edge' });
        })(),
      );
      deliveries.push(await exchange.respond(answer(body)));
    });
    const session = await served.client();
    const [broken, fine] = await Promise.all([
      ask(session, { ':path': '/broken' }),
      ask(session, { ':path': '/fine' }),
    ]);
    assert.equal(broken.reset, http2.constants.NGHTTP2_INTERNAL_ERROR);
    assert.equal(fine.text, 'fine');
    assert.equal(deliveries[0]!.completed, false);
    assert.equal((deliveries[0]!.error as Fault).why, 'upstream.body.incomplete');
  });

  test('a client that resets its stream is told of as one that left', async () => {
    const begun = Promise.withResolvers<void>();
    const left = Promise.withResolvers<unknown>();
    await using served = await secured(async (exchange) => {
      const { signal } = exchange;
      begun.resolve();
      signal.addEventListener('abort', () => left.resolve(signal.reason));
      await left.promise;
      throw signal.reason;
    });
    const session = await served.client();
    const stream = session.request({ ':path': '/' });
    stream.on('error', () => {});
    await begun.promise;
    stream.close(http2.constants.NGHTTP2_CANCEL);
    assert.ok((await left.promise) instanceof ClientLeft);
  });

  test('an upload that nobody wants is answered, and then stopped without an error', async () => {
    await using served = await secured(async (exchange) => {
      await exchange.respond(answer(Buffer.from('no'), [], 403));
    });
    const session = await served.client();
    const stream = session.request({ ':path': '/', ':method': 'POST' });
    stream.write('x'.repeat(100_000));
    const { status, text, reset } = await replyTo(stream);
    assert.deepEqual([status, text, reset], [403, 'no', 0]);
  });
});

describe('what is refused', () => {
  const cases: readonly (readonly [string, http2.OutgoingHttpHeaders, string])[] = [
    ['a target that is too long', { ':path': `/${'a'.repeat(8_192)}` }, 'request.url-bytes'],
    ['an authority that is no host', { ':path': '/', ':authority': 'a..b' }, 'host.syntax'],
    [
      'a host that disagrees with the authority',
      { ':path': '/', ':authority': 'a.example', host: 'other.example' },
      'request.authority-mismatch',
    ],
    ['a fragment', { ':path': '/#a' }, 'request.framing'],
    ['CONNECT', { ':method': 'CONNECT', ':authority': 'a.example:443' }, 'request.method'],
    ['cookies beyond their limit', { ':path': '/', cookie: 'c'.repeat(32_769) }, 'request.cookie-bytes'],
    ['an expectation that nobody knows', { ':path': '/', expect: 'tea' }, 'request.expectation'],
  ];
  for (const [name, head, cause] of cases) {
    test(name, async () => {
      await using served = await secured(echo);
      const session = await served.client();
      const { headers, text } = await ask(session, head);
      assert.equal(headers['x-cause'], cause);
      assert.equal(text, 'page');
      assert.equal((await ask(session, { ':path': '/' })).status, 200);
    });
  }

  test('what the handler throws becomes a page', async () => {
    await using served = await secured(async () => {
      throw new Fault({ cause: 'host.unknown', hop: 'edge' });
    });
    const session = await served.client();
    assert.equal((await ask(session, { ':path': '/' })).headers['x-cause'], 'host.unknown');
  });

  test('a line that cannot be sent is thrown before anything is sent', async () => {
    await using served = await secured(async (exchange) => {
      await assert.rejects(exchange.respond(answer(null, [['x', 'a\nb']])));
      await exchange.respond(answer(null, [], 500));
    });
    const session = await served.client();
    assert.equal((await ask(session, { ':path': '/' })).status, 500);
  });
});

describe('what one client may cost', () => {
  test('resets in rapid succession (CVE-2023-44487) end the connection', async () => {
    let handled = 0;
    await using served = await secured(async (exchange) => {
      handled++;
      await once(exchange.signal, 'abort');
      throw exchange.signal.reason;
    });
    const session = await served.client();
    const closed = new Promise((resolve) => session.once('close', resolve));
    let sent = 0;
    const flood = (): void => {
      for (let at = 0; at < 50 && !session.closed && !session.destroyed; at++, sent++) {
        const stream = session.request({ ':path': '/' });
        stream.on('error', () => {});
        stream.close(http2.constants.NGHTTP2_CANCEL);
      }
      if (!session.closed && !session.destroyed && sent < 20_000) setImmediate(flood);
    };
    flood();
    await closed;
    assert.ok(handled < 1_000, `${handled} of ${sent} requests were begun`);
  });

  test('a client that opens no window is reset after a while', async () => {
    await using served = await secured(async (exchange) => {
      await exchange.respond(answer(Readable.from([Buffer.alloc(200_000)])));
    });
    const session = await served.client({ initialWindowSize: 0 });
    const stream = session.request({ ':path': '/' });
    const reply = replyTo(stream);
    await once(stream, 'response');
    // The timer that watches the write starts behind the head.
    await served.clock.armed(60_000);
    served.clock.advance(60_000);
    assert.equal((await reply).reset, http2.constants.NGHTTP2_CANCEL);
  });

  test('a connection without requests ends', async () => {
    await using served = await secured(echo);
    const session = await served.client();
    await served.clock.armed(LIMITS.headMs);
    const ended = new Promise((resolve) => session.once('close', resolve));
    served.clock.advance(LIMITS.headMs);
    await ended;
  });

  test('more lines than anybody sends reset the stream and nothing else', async () => {
    await using served = await secured(echo);
    const session = await served.client();
    const many = Object.fromEntries(Array.from({ length: 2_000 }, (_, at) => [`x-${at}`, '1']));
    const { reset, status } = await ask(session, { ':path': '/', ...many });
    assert.equal(status, undefined);
    assert.notEqual(reset, 0);
    assert.equal((await ask(session, { ':path': '/' })).status, 200);
  });
});

describe('floods of frames end their connection and nobody else notices', () => {
  const block = requestBlock('localhost');
  const kilobyte = Buffer.alloc(1_024, 'a');
  const literal = Buffer.concat([Buffer.from([0x00, 0x01, 0x78, 0x7f, 0x81, 0x07]), kilobyte]);
  const floods: Readonly<Record<string, { readonly first?: Buffer; readonly again: Buffer }>> = {
    'a header section that never ends (CVE-2024-27316)': {
      first: frame('headers', FLAG.endStream, 1, block),
      again: frame('continuation', 0, 1, literal),
    },
    'empty pieces of a header section': {
      first: frame('headers', FLAG.endStream, 1, block),
      again: frame('continuation', 0, 1),
    },
    'settings (CVE-2019-9515)': { again: Buffer.concat(Array(100).fill(frame('settings', 0, 0))) },
    'pings (CVE-2019-9512)': { again: Buffer.concat(Array(100).fill(frame('ping', 0, 0, Buffer.alloc(8)))) },
    'settings with more entries than there are': { again: frame('settings', 0, 0, Buffer.alloc(6 * 1_000)) },
  };
  for (const [name, { first, again }] of Object.entries(floods)) {
    test(name, async () => {
      await using served = await secured(echo);
      const attacker = await Attacker.connect(served.port);
      // A header section is nothing to answer; the others are, and their sender takes no answers.
      if (first) attacker.socket.resume().write(first);
      assert.equal(await attacker.flood(again, 20_000), true);
      assert.equal((await ask(await served.client(), { ':path': '/' })).status, 200);
    });
  }

  test('whoever neither reads nor closes after that is cut off', async () => {
    await using served = await secured(echo);
    const attacker = await Attacker.connect(served.port);
    attacker.socket.pause();
    attacker.socket.write(frame('headers', FLAG.endStream, 1, block));
    for (let at = 0; at < 20; at++) attacker.socket.write(frame('continuation', 0, 1));
    await served.clock.armed(2_000);
    served.clock.advance(2_000);
    attacker.socket.resume();
    await attacker.closed;
  });

  test('a header section that unpacks to a hundred times its size is refused', async () => {
    let handled = 0;
    await using served = await secured(async (exchange) => {
      handled++;
      await echo(exchange);
    });
    const attacker = await Attacker.connect(served.port);
    const bomb = Buffer.concat([block, indexedLiteral('x', 'a'.repeat(3_900)), Buffer.alloc(12_000, 0xbe)]);
    attacker.socket.resume().write(frame('headers', FLAG.endStream | FLAG.endHeaders, 1, bomb));
    const client = await served.client();
    assert.equal((await ask(client, { ':path': '/' })).status, 200);
    assert.equal(handled, 1);
    attacker.socket.destroy();
  });
});

test('draining lets streams end and takes no new ones', async () => {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  await using served = await secured(async (exchange) => {
    begun.resolve();
    await gate.promise;
    await exchange.respond(answer(Buffer.from('late')));
  });
  const session = await served.client();
  const reply = ask(session, { ':path': '/' });
  await begun.promise;
  const drained = served.drain(10_000);
  await once(session, 'goaway');
  gate.resolve();
  assert.equal((await reply).text, 'late');
  await drained;
});
