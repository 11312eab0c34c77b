import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type Duplex, Readable } from 'node:stream';
import { describe, test } from 'node:test';
import tls from 'node:tls';
import { WebSocket } from 'ws';
import { certificates } from '../../test/actors/certificates.ts';
import { ManualClock } from '../../test/actors/manual-clock.ts';
import { RawClient } from '../../test/actors/raw-client.ts';
import { echo, read, serve } from '../../test/actors/served.ts';
import { Fault } from '../status/fault.ts';
import { Fields } from './fields.ts';
import { ClientLeft, type Delivery, type ServerExchange } from './listener.ts';
import type { Body, HttpResponse } from './message.ts';

const H = 'Host: a.example\r\n';
const get = (path: string, lines = ''): string => `GET ${path} HTTP/1.1\r\n${H}${lines}\r\n`;
const answer = (body: Body, lines: [string, string][] = [], status = 200): HttpResponse => ({
  status,
  fields: Fields.from(lines),
  body,
});
const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const text = (value: string): Buffer => Buffer.from(value);

describe('sizes are judged in bytes, by us and not by the parser', () => {
  const target = (bytes: number): string => `/${'a'.repeat(bytes - 1)}`;
  test('a target of 8,192 bytes passes, one more does not', async () => {
    await using served = await serve(echo);
    assert.equal((await RawClient.ask(served.port, get(target(8_192)))).status, 200);
    assert.equal((await RawClient.ask(served.port, get(target(8_193)))).get('x-cause'), 'request.url-bytes');
  });
  test('a target that is far too long is told as such, one that overflows the parser is a 400', async () => {
    await using served = await serve(echo);
    assert.equal((await RawClient.ask(served.port, get(target(100_000)))).get('x-cause'), 'request.url-bytes');
    assert.equal((await RawClient.ask(served.port, get(target(230_000)))).status, 400);
  });
  test('raw two-byte characters count twice', async () => {
    await using served = await serve(echo);
    const response = await RawClient.ask(served.port, get(`/${'\xc3\xa9'.repeat(4_097)}`));
    assert.equal(response.get('x-cause'), 'request.url-bytes');
  });
  test('cookies are summed over their lines', async () => {
    await using served = await serve(echo);
    const half = `Cookie: ${'c'.repeat(16_384)}\r\n`;
    assert.equal((await RawClient.ask(served.port, get('/', half + half))).status, 200);
    const over = await RawClient.ask(served.port, get('/', `${half + half}Cookie: d\r\n`));
    assert.equal(over.get('x-cause'), 'request.cookie-bytes');
  });
  test('header lines are summed with four bytes each', async () => {
    await using served = await serve(echo);
    const hostBytes = 'Host'.length + 'a.example'.length + 4;
    const filler = (bytes: number): string => `X: ${'y'.repeat(bytes - 1 - 4)}\r\n`;
    assert.equal((await RawClient.ask(served.port, get('/', filler(65_536 - hostBytes)))).status, 200);
    const over = await RawClient.ask(served.port, get('/', filler(65_537 - hostBytes)));
    assert.equal(over.get('x-cause'), 'request.header-bytes');
  });
  test('headers that overflow the parser are told by what overflowed', async () => {
    await using served = await serve(echo);
    for (const [name, cause] of [
      ['Cookie', 'request.cookie-bytes'],
      ['X', 'request.header-bytes'],
    ] as const) {
      const response = await RawClient.ask(served.port, get('/', `${name}: ${'z'.repeat(1_000)}\r\n`.repeat(250)));
      assert.equal(response.get('x-cause'), cause);
    }
  });
  test('3,000 lines all arrive, the last one too', async () => {
    await using served = await serve(echo, { limits: { headerBytes: 200_000 } });
    const many = Array.from({ length: 3_000 }, (_, at) => `x-${at}: y\r\n`).join('');
    const seen = JSON.parse((await RawClient.ask(served.port, get('/', `${many}Last: private\r\n`))).text);
    assert.deepEqual(seen.fields.slice(-2), ['Last', 'private']);
    assert.equal(seen.fields.length, 2 * 3_002);
  });
  test('a peer that is one of our own POPs is not measured', async () => {
    await using served = await serve(echo, { trustLink: true });
    assert.equal(
      (await RawClient.ask(served.port, get(target(9_000), `Cookie: ${'c'.repeat(90_000)}\r\n`))).status,
      200,
    );
  });
});

describe('framing of answers', () => {
  const cases: Readonly<
    Record<
      string,
      {
        reply: () => HttpResponse;
        expect: (r: Awaited<ReturnType<typeof RawClient.ask>>) => void;
        method?: string;
        version?: string;
      }
    >
  > = {
    'a buffer is counted, whatever length its fields claim': {
      reply: () => answer(text('abc'), [['content-length', '99']]),
      expect: (r) => {
        assert.deepEqual(r.all('content-length'), ['3']);
        assert.equal(r.text, 'abc');
      },
    },
    'no body is a length of 0': {
      reply: () => answer(null),
      expect: (r) => assert.equal(r.get('content-length'), '0'),
    },
    'a stream is chunked': {
      reply: () => answer(Readable.from([text('ab'), text('c')])),
      expect: (r) => {
        assert.equal(r.get('transfer-encoding'), 'chunked');
        assert.equal(r.text, 'abc');
      },
    },
    'a stream with a length keeps it': {
      reply: () => answer(Readable.from([text('abc')]), [['content-length', '3']]),
      expect: (r) => {
        assert.equal(r.get('content-length'), '3');
        assert.equal(r.get('transfer-encoding'), undefined);
        assert.equal(r.text, 'abc');
      },
    },
    'a stream to HTTP/1.0 ends with the connection': {
      version: '1.0',
      reply: () => answer(Readable.from([text('abc')])),
      expect: (r) => {
        assert.equal(r.get('connection'), 'close');
        assert.equal(r.get('transfer-encoding'), undefined);
        assert.equal(r.text, 'abc');
      },
    },
    'HEAD has the length of the body that is not sent': {
      method: 'HEAD',
      reply: () => answer(text('abc')),
      expect: (r) => assert.equal(r.get('content-length'), '3'),
    },
    'HEAD of a stream says nothing about length': {
      method: 'HEAD',
      reply: () => answer(Readable.from([text('abc')])),
      expect: (r) => assert.equal(r.get('content-length') ?? r.get('transfer-encoding'), undefined),
    },
    '204 has neither body nor length': {
      reply: () => answer(text('abc'), [['content-length', '3']], 204),
      expect: (r) => assert.equal(r.get('content-length') ?? r.get('transfer-encoding'), undefined),
    },
    '304 keeps the length of what it stands for, and no body': {
      reply: () => answer(text('abc'), [['content-length', '3']], 304),
      expect: (r) => assert.equal(r.get('content-length'), '3'),
    },
    'fields of the connection are ours to say': {
      reply: () =>
        answer(text('abc'), [
          ['connection', 'x-y'],
          ['keep-alive', 'timeout=1'],
          ['transfer-encoding', 'chunked'],
          ['upgrade', 'h2c'],
        ]),
      expect: (r) => {
        for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'upgrade'])
          assert.equal(r.get(name), undefined);
      },
    },
    'lines keep their spelling, order and bytes': {
      reply: () =>
        answer(null, [
          ['X-One', 'a'],
          ['Set-Cookie', 'a=1'],
          ['set-cookie', 'b=\xe9'],
          ['x-one', 'b'],
        ]),
      expect: (r) =>
        assert.deepEqual(r.raw.slice(0, 8), ['X-One', 'a', 'Set-Cookie', 'a=1', 'set-cookie', 'b=\xe9', 'x-one', 'b']),
    },
    'a status of our own has a status line': {
      reply: () => ({ ...answer(null, [], 531), reason: 'Project Upstream Connection Error' }),
      expect: (r) => assert.deepEqual([r.status, r.reason], [531, 'Project Upstream Connection Error']),
    },
    'a date is added where there is none': {
      reply: () => answer(null),
      expect: (r) => assert.ok(!Number.isNaN(Date.parse(r.get('date')!))),
    },
    "an upstream's date is kept": {
      reply: () => answer(null, [['date', 'Sun, 06 Nov 1994 08:49:37 GMT']]),
      expect: (r) => assert.deepEqual(r.all('date'), ['Sun, 06 Nov 1994 08:49:37 GMT']),
    },
  };
  for (const [name, { reply, expect, method = 'GET', version = '1.1' }] of Object.entries(cases)) {
    test(name, async () => {
      await using served = await serve((exchange) =>
        exchange.request.path === '/next' ? exchange.respond(answer(text('next'))) : exchange.respond(reply()),
      );
      const client = await RawClient.connect(served.port);
      client.write(`${method} / HTTP/${version}\r\n${H}\r\n`);
      if (version === '1.1') client.write(get('/next'));
      expect(await client.response(method));
      // Nothing of the first answer is left over in front of the second.
      if (version === '1.1') assert.equal((await client.response()).text, 'next');
      client.destroy();
    });
  }

  test('HTTP/1.0 may keep its connection when it asks to', async () => {
    await using served = await serve(echo);
    const client = await RawClient.connect(served.port);
    for (const path of ['/1', '/2']) {
      client.write(`GET ${path} HTTP/1.0\r\n${H}Connection: keep-alive\r\n\r\n`);
      const response = await client.response();
      assert.equal(response.get('connection'), 'keep-alive');
      assert.equal(JSON.parse(response.text).path, path);
    }
    client.destroy();
  });

  test('trailers follow a chunked body, a buffer too, and an empty one', async () => {
    const bodies: Record<string, Body> = {
      '/stream': Readable.from([text('abc')]),
      '/buffer': text('abc'),
      '/none': null,
    };
    await using served = await serve((exchange) =>
      exchange.respond({
        status: 200,
        fields: Fields.from([['Trailer', 'x-sum']]),
        body: bodies[exchange.request.path]!,
        trailers: () =>
          Fields.from([
            ['x-sum', '7'],
            ['x-sum', '8'],
          ]),
      }),
    );
    for (const path of Object.keys(bodies)) {
      const response = await RawClient.ask(served.port, get(path));
      assert.equal(response.text, path === '/none' ? '' : 'abc');
      assert.deepEqual(response.trailers, ['x-sum', '7', 'x-sum', '8'], path);
      assert.equal(response.get('trailer'), 'x-sum');
    }
    const old = await RawClient.ask(served.port, `GET /buffer HTTP/1.0\r\n${H}\r\n`);
    assert.deepEqual([old.text, old.get('trailer')], ['abc', undefined]);
  });

  test('a head that cannot be sent is thrown to the handler, who may answer otherwise', async () => {
    await using served = await serve(async (exchange) => {
      await assert.rejects(exchange.respond(answer(null, [['x', 'a\r\nb']])), { code: 'ERR_INVALID_CHAR' });
      await exchange.respond(answer(text('sorry')));
    });
    assert.equal((await RawClient.ask(served.port, get('/'))).text, 'sorry');
  });

  test('a body that runs over or short of its length cuts the connection', async () => {
    const deliveries: Delivery[] = [];
    await using served = await serve(async (exchange) => {
      const length = exchange.request.path.slice(1);
      deliveries.push(await exchange.respond(answer(Readable.from([text('abc')]), [['content-length', length]])));
    });
    for (const length of ['2', '4']) {
      const client = await RawClient.connect(served.port);
      client.write(get(`/${length}`));
      await client.closed;
      assert.equal(deliveries.at(-1)!.completed, false);
      assert.ok(deliveries.at(-1)!.error instanceof Error);
    }
  });
});

describe('a handler that does not answer', () => {
  test('its fault is answered through onFault', async () => {
    await using served = await serve(async () => {
      throw new Fault({ cause: 'route.none', hop: 'edge' });
    });
    const client = await RawClient.connect(served.port);
    client.write(get('/')).write(get('/'));
    assert.equal((await client.response()).status, 404);
    assert.equal((await client.response()).status, 404, 'the connection lives on');
    client.destroy();
  });
  test('any other error, and no answer at all, is a 530', async () => {
    await using served = await serve(async (exchange) => {
      if (exchange.request.path === '/throws') throw new TypeError('x');
    });
    assert.equal((await RawClient.ask(served.port, get('/throws'))).status, 530);
    assert.equal((await RawClient.ask(served.port, get('/forgets'))).status, 530);
  });
  test('an error after the head cuts the connection', async () => {
    await using served = await serve(async (exchange) => {
      void exchange.respond(answer(new Readable({ read() {} })));
      throw new Error('late');
    });
    const client = await RawClient.connect(served.port);
    client.write(get('/'));
    assert.equal(await client.closed, 'reset');
    assert.deepEqual(served.faults, []);
  });
});

describe('Expect: 100-continue', () => {
  const post = (path: string, length = 3): string =>
    `POST ${path} HTTP/1.1\r\n${H}Expect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;
  test('100 goes out when the body is first read, not before', async () => {
    const mayRead = Promise.withResolvers<void>();
    await using served = await serve(async (exchange) => {
      exchange.inform(102);
      await mayRead.promise;
      await echo(exchange);
    });
    const client = await RawClient.connect(served.port);
    client.write(post('/'));
    assert.equal((await client.head()).status, 102);
    assert.equal(client.received.length, 0);
    mayRead.resolve();
    assert.equal((await client.head()).status, 100);
    client.write('abc');
    const response = await client.response();
    assert.equal(JSON.parse(response.text).body, 'abc');
    assert.equal(response.get('connection'), undefined, 'the connection stays');
    client.destroy();
  });
  test('a final answer before reading means no 100 and the end of the connection', async () => {
    await using served = await serve((exchange) => exchange.respond(answer(text('no'), [], 403)));
    const client = await RawClient.connect(served.port);
    client.write(post('/'));
    const response = await client.response();
    assert.deepEqual([response.status, response.interim, response.get('connection')], [403, [], 'close']);
    client.end();
    await client.closed;
  });
  test('the answer is not lost when the client sends its body all the same', async () => {
    await using served = await serve((exchange) => exchange.respond(answer(text('no'), [], 403)));
    const client = await RawClient.connect(served.port);
    client.write(post('/', 100_000)).write('x'.repeat(100_000));
    assert.equal((await client.response()).text, 'no');
    client.end();
    assert.equal(await client.closed, 'ended');
  });
  test('any other expectation is a 417', async () => {
    await using served = await serve(echo);
    const response = await RawClient.ask(served.port, get('/', 'Expect: miracles\r\n'));
    assert.equal(response.get('x-cause'), 'request.expectation');
  });
  test('HTTP/1.0 is sent neither 100 nor other interim answers', async () => {
    await using served = await serve(async (exchange) => {
      exchange.inform(103, Fields.from([['link', '</a>']]));
      await echo(exchange);
    });
    const bytes = `POST / HTTP/1.0\r\n${H}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`;
    const response = await RawClient.ask(served.port, bytes);
    assert.deepEqual([response.status, response.interim], [200, []]);
  });
});

test('103 with its fields goes out before the answer', async () => {
  await using served = await serve(async (exchange) => {
    exchange.inform(103, Fields.from([['link', '</style.css>; rel=preload']]));
    await echo(exchange);
    exchange.inform(103); // too late, and not an error
  });
  const response = await RawClient.ask(served.port, get('/'));
  assert.deepEqual(response.interim, [{ status: 103, raw: ['link', '</style.css>; rel=preload'] }]);
});

describe('order on one connection', () => {
  test('pipelined requests are handled one after another and answered in order', async () => {
    let running = 0;
    let most = 0;
    await using served = await serve(async (exchange) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setImmediate(resolve));
      await exchange.respond(answer(text(exchange.request.path)));
      running--;
    });
    const client = await RawClient.connect(served.port);
    client.write(Array.from({ length: 100 }, (_, at) => get(`/${at}`)).join(''));
    for (let at = 0; at < 100; at++) assert.equal((await client.response()).text, `/${at}`);
    assert.equal(most, 1);
    client.destroy();
  });
  test('nothing is served behind an answer that closes', async () => {
    const seen: string[] = [];
    await using served = await serve(async (exchange) => {
      seen.push(exchange.request.path);
      await exchange.respond(answer(text('x')));
    });
    const client = await RawClient.connect(served.port);
    client.write(`GET /1 HTTP/1.1\r\n${H}Connection: close\r\n\r\n${get('/2')}`);
    assert.equal((await client.response()).get('connection'), 'close');
    await client.closed;
    assert.deepEqual(seen, ['/1']);
  });
  test('a small body that nobody read is dropped and the connection goes on', async () => {
    await using served = await serve((exchange) => exchange.respond(answer(text(exchange.request.path))));
    const client = await RawClient.connect(served.port);
    for (const framing of [
      'Content-Length: 5\r\n\r\nhello',
      'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    ]) {
      client.write(`POST /1 HTTP/1.1\r\n${H}${framing}${get('/2')}`);
      assert.equal((await client.response()).text, '/1');
      assert.equal((await client.response()).text, '/2');
    }
    client.destroy();
  });
  test('a large body that nobody read ends the connection, and the answer is not lost', async () => {
    await using served = await serve((exchange) => exchange.respond(answer(text('enough'))), {
      limits: { unreadBodyBytes: 1_000 },
    });
    const client = await RawClient.connect(served.port);
    client.write(`POST / HTTP/1.1\r\n${H}Content-Length: 1000000\r\n\r\n`).write('x'.repeat(1_000_000));
    const response = await client.response();
    assert.deepEqual([response.text, response.get('connection')], ['enough', 'close']);
    client.end();
    assert.equal(await client.closed, 'ended');
  });
  test('a chunked body without end is not dropped for ever', async () => {
    await using served = await serve((exchange) => exchange.respond(answer(text('enough'))), {
      limits: { unreadBodyBytes: 1_000 },
    });
    const client = await RawClient.connect(served.port);
    client.write(`POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n`);
    assert.equal((await client.response()).text, 'enough');
    client.write(`400\r\n${'x'.repeat(1_024)}\r\n`);
    await once(client.socket, 'end');
    client.destroy();
  });
  test('an answer may start before the request body has ended', async () => {
    await using served = await serve((exchange) => exchange.respond(answer(exchange.request.body)));
    const client = await RawClient.connect(served.port);
    client.write(`POST / HTTP/1.1\r\n${H}Content-Length: 2000000\r\n\r\nab`);
    assert.equal((await client.head()).status, 200);
    assert.equal((await client.bytes(7)).toString(), '2\r\nab\r\n');
    client.write('c');
    assert.equal((await client.bytes(6)).toString(), '1\r\nc\r\n');
    client.destroy();
  });
});

describe('a client that leaves', () => {
  const leaving: Record<string, (client: RawClient) => void> = {
    ends: (client) => client.destroy(),
    resets: (client) => client.reset(),
  };
  for (const [how, leave] of Object.entries(leaving)) {
    test(`and ${how} while an answer is awaited aborts the signal; no fault is made up`, async () => {
      const started = Promise.withResolvers<ServerExchange>();
      const outcome = Promise.withResolvers<Delivery>();
      await using served = await serve(async (exchange) => {
        const { signal } = exchange;
        started.resolve(exchange);
        await once(signal, 'abort');
        outcome.resolve(await exchange.respond(answer(text('too late'))));
      });
      const client = await RawClient.connect(served.port);
      client.write(get('/'));
      const { signal } = await started.promise;
      assert.equal(signal.aborted, false);
      leave(client);
      assert.deepEqual(await outcome.promise, { bytes: 0, completed: false });
      assert.ok(signal.reason instanceof ClientLeft);
      assert.deepEqual(served.faults, []);
    });
    test(`and ${how} needs no answer: a handler that gives none has not failed`, async () => {
      const started = Promise.withResolvers<void>();
      const handled = Promise.withResolvers<void>();
      await using served = await serve(async (exchange) => {
        started.resolve();
        await once(exchange.signal, 'abort');
        setImmediate(handled.resolve);
      });
      const client = await RawClient.connect(served.port);
      client.write(get('/'));
      await started.promise;
      leave(client);
      await handled.promise;
      assert.deepEqual(served.faults, []);
    });
    test(`and ${how} while it sends fails the body with ClientLeft`, async () => {
      const outcome = Promise.withResolvers<unknown>();
      const reading = Promise.withResolvers<void>();
      await using served = await serve(async (exchange) => {
        const body = exchange.request.body as Readable;
        body.once('data', () => reading.resolve());
        body.once('error', (error) => outcome.resolve(error));
        await once(exchange.signal, 'abort');
      });
      const client = await RawClient.connect(served.port);
      client.write(`POST / HTTP/1.1\r\n${H}Content-Length: 10\r\n\r\nabc`);
      await reading.promise;
      leave(client);
      assert.ok((await outcome.promise) instanceof ClientLeft);
    });
    test(`and ${how} while it receives ends the source`, async () => {
      const source = new Readable({ read() {} });
      const outcome = Promise.withResolvers<Delivery>();
      await using served = await serve(async (exchange) => outcome.resolve(await exchange.respond(answer(source))));
      const client = await RawClient.connect(served.port);
      client.write(get('/'));
      source.push('abc');
      await client.bytes(1);
      leave(client);
      assert.equal((await outcome.promise).completed, false);
      assert.equal(source.destroyed, true);
    });
  }
  test('after the answer has ended aborts nothing', async () => {
    const done = Promise.withResolvers<AbortSignal>();
    await using served = await serve(async (exchange) => {
      const { signal } = exchange;
      await exchange.respond(answer(text('x')));
      done.resolve(signal);
    });
    const client = await RawClient.connect(served.port);
    client.write(get('/'));
    await client.response();
    client.destroy();
    await client.closed;
    while (served.listener.connections > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal((await done.promise).aborted, false);
  });
});

describe('a body that fails after the head', () => {
  test('cuts the connection with a reset and tells the handler what it failed with', async () => {
    const source = new Readable({ read() {} });
    const outcome = Promise.withResolvers<Delivery>();
    await using served = await serve(async (exchange) => outcome.resolve(await exchange.respond(answer(source))));
    const client = await RawClient.connect(served.port);
    client.write(get('/'));
    source.push('abc');
    await client.head();
    await client.bytes('3\r\nabc\r\n'.length);
    const fault = new Fault({ cause: 'upstream.body.incomplete', hop: 'global' });
    source.destroy(fault);
    assert.equal(await client.closed, 'reset');
    assert.deepEqual(await outcome.promise, { bytes: 3, completed: false, error: fault });
    assert.deepEqual(served.faults, []);
  });
  test('abort() does the same on demand', async () => {
    await using served = await serve(async (exchange) => {
      const sent = exchange.respond(answer(new Readable({ read() {} })));
      exchange.abort();
      assert.equal((await sent).completed, false);
    });
    const client = await RawClient.connect(served.port);
    client.write(get('/'));
    assert.equal(await client.closed, 'reset');
  });
});

describe('back-pressure', () => {
  const CHUNK = 64 * 1024;
  test('a client that does not read keeps the source from being pulled', async () => {
    let pulled = 0;
    const total = 200 * 1024 * 1024;
    const source = new Readable({
      read() {
        pulled += CHUNK;
        this.push(pulled > total ? null : Buffer.alloc(CHUNK));
      },
    });
    const outcome = Promise.withResolvers<Delivery>();
    await using served = await serve(async (exchange) => outcome.resolve(await exchange.respond(answer(source))));
    const client = await RawClient.connect(served.port);
    client.socket.pause();
    client.write(get('/'));
    await settled(() => pulled);
    assert.ok(pulled < 32 * 1024 * 1024, `pulled ${pulled} bytes for a reader that took none`);
    client.destroy();
    assert.equal((await outcome.promise).completed, false);
  });
  test('a handler that does not read keeps the client from sending', async () => {
    const body = Promise.withResolvers<Readable>();
    await using served = await serve(async (exchange) => {
      body.resolve(exchange.request.body as Readable);
      await once(exchange.signal, 'abort');
    });
    const client = await RawClient.connect(served.port);
    client.write(`POST / HTTP/1.1\r\n${H}Content-Length: 400000000\r\n\r\n`);
    (await body.promise).read(0);
    let sent = 0;
    const chunk = Buffer.alloc(CHUNK);
    const push = (): void => {
      while (client.socket.write(chunk)) sent += CHUNK;
      sent += CHUNK;
    };
    client.socket.on('drain', push);
    push();
    await settled(() => sent);
    assert.ok(sent < 32 * 1024 * 1024, `took ${sent} bytes that nobody read`);
    assert.ok((await body.promise).readableLength < 1024 * 1024);
    client.destroy();
  });
  test('a client that takes nothing for too long is cut', async () => {
    const endless = new Readable({
      read() {
        this.push(Buffer.alloc(CHUNK));
      },
    });
    const outcome = Promise.withResolvers<Delivery>();
    await using served = await serve(async (exchange) => outcome.resolve(await exchange.respond(answer(endless))), {
      limits: { writeIdleMs: 50 },
    });
    const client = await RawClient.connect(served.port);
    client.socket.pause();
    client.write(get('/'));
    assert.equal((await outcome.promise).completed, false);
    client.destroy();
  });
  test('a slow reader gets every byte', async () => {
    const parts = Array.from({ length: 40 }, (_, at) => Buffer.alloc(CHUNK, at));
    await using served = await serve((exchange) => exchange.respond(answer(Readable.from(parts))));
    const client = await RawClient.connect(served.port);
    client.socket.pause();
    client.write(get('/'));
    await settled(() => client.socket.bytesRead);
    client.socket.resume();
    assert.ok((await client.response()).body.equals(Buffer.concat(parts)));
    client.destroy();
  });
});

/** Waits until a counter has stopped moving over many turns of the event loop. */
async function settled(counter: () => number): Promise<void> {
  let seen = -1;
  for (let calm = 0; calm < 200; calm++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (counter() !== seen) calm = 0;
    seen = counter();
  }
}

test('the head of a stream goes out before its first byte: an event stream is seen at once', async () => {
  const source = new Readable({ read() {} });
  await using served = await serve((exchange) =>
    exchange.respond(answer(source, [['content-type', 'text/event-stream']])),
  );
  const client = await RawClient.connect(served.port);
  client.write(get('/'));
  assert.equal((await client.head()).status, 200);
  source.push('data: 1\n\n');
  assert.equal((await client.bytes(14)).toString(), '9\r\ndata: 1\n\n\r\n');
  client.destroy();
});

describe('upgrade', () => {
  const ask = (lines = ''): string =>
    get('/chat', `Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n${lines}`);
  test('gives the connection away, early bytes included, in both directions', async () => {
    await using served = await serve(async (exchange) => {
      assert.equal(exchange.upgradeTo, 'websocket');
      const tunnel = exchange.upgrade(
        Fields.from([
          ['Upgrade', 'websocket'],
          ['Sec-WebSocket-Accept', 'x'],
        ]),
      );
      for await (const chunk of tunnel) tunnel.write(`<${chunk}>`);
      tunnel.end();
    });
    const client = await RawClient.connect(served.port);
    client.write(`${ask()}early`);
    const head = await client.head();
    assert.equal(head.status, 101);
    assert.deepEqual(head.raw, ['Sec-WebSocket-Accept', 'x', 'Connection', 'Upgrade', 'Upgrade', 'websocket']);
    assert.equal((await client.bytes(7)).toString(), '<early>');
    client.write('late');
    assert.equal((await client.bytes(6)).toString(), '<late>');
    client.end();
    await client.closed;
  });
  test('may be refused with an ordinary answer, streamed if need be', async () => {
    const parts = Array.from({ length: 20 }, () => Buffer.alloc(100_000, 'x'));
    await using served = await serve((exchange) => exchange.respond(answer(Readable.from(parts), [], 403)));
    const client = await RawClient.connect(served.port);
    client.write(`${ask()}early`);
    const response = await client.response();
    assert.deepEqual([response.status, response.body.length, response.get('connection')], [403, 2_000_000, 'close']);
    client.end();
    await client.closed;
  });
  test('is refused like any request when its head is bad', async () => {
    await using served = await serve(echo);
    const response = await RawClient.ask(served.port, ask('Host: b.example\r\n'));
    assert.equal(response.get('x-cause'), 'request.multiple-host');
  });
  test('is passed over with a body, with another method and behind a request still being answered', async () => {
    await using served = await serve(async (exchange) => {
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(exchange.upgradeTo, undefined);
      await exchange.respond(answer(text('plain')));
    });
    const withBody = ask('Content-Length: 3\r\n');
    for (const bytes of [`${withBody}abc`, `${withBody.replace('GET', 'POST')}abc`]) {
      assert.equal((await RawClient.ask(served.port, bytes)).text, 'plain');
    }
    const client = await RawClient.connect(served.port);
    client.write(get('/') + ask());
    assert.equal((await client.response()).text, 'plain');
    assert.equal((await client.response()).text, 'plain');
    client.destroy();
  });
});

test('HTTPS is served alike, and a handshake that never ends does not keep the listener from closing', async () => {
  const lab = await certificates();
  await using served = await serve(echo, { tls: lab.good });
  const secure = tls.connect({ port: served.port, host: '127.0.0.1', ca: lab.ca, servername: 'localhost' });
  await once(secure, 'secureConnect');
  const client = new RawClient(secure);
  client.write(get('/x'));
  assert.equal(JSON.parse((await client.response()).text).protocol, 'https');
  client.write('GET / HTTP/1.1\nHost: a\n\n');
  assert.equal((await client.response()).get('x-cause'), 'request.framing');
  await client.closed;
  const silent = await RawClient.connect(served.port);
  const plain = await RawClient.connect(served.port);
  plain.write(get('/'));
  await plain.closed;
  await served.listener.close();
  await silent.closed;
});

/** How the library's own server attaches a socket. */
interface ServerSide {
  setSocket(socket: Duplex, head: Buffer, options: { readonly maxPayload: number }): void;
}

test('a WebSocket client of the field gets through', async () => {
  await using served = await serve(async (exchange) => {
    const { fields } = exchange.request;
    const accept = createHash('sha1')
      .update(`${fields.get('sec-websocket-key')}${WEBSOCKET_GUID}`)
      .digest('base64');
    const tunnel = exchange.upgrade(Fields.from([['Sec-WebSocket-Accept', accept]]));
    const peer = new WebSocket(null as never, undefined, {}) as WebSocket & ServerSide;
    peer.setSocket(tunnel, Buffer.alloc(0), { maxPayload: 1_000 });
    peer.on('message', (message) => peer.send(`<${message}>`));
  });
  const client = new WebSocket(`ws://127.0.0.1:${served.port}/chat`);
  await once(client, 'open');
  client.send('hello');
  assert.equal(String((await once(client, 'message'))[0]), '<hello>');
  client.close();
  await once(client, 'close');
});

describe('time', () => {
  test('a head that does not come to its end in time is a 408', async () => {
    const clock = new ManualClock();
    await using served = await serve(echo, { clock });
    const client = await RawClient.connect(served.port);
    client.write('GET / HT');
    while (served.listener.connections === 0) await new Promise((resolve) => setImmediate(resolve));
    await settled(() => client.socket.bytesWritten);
    clock.advance(59_999);
    assert.equal(served.faults.length, 0);
    clock.advance(1);
    const response = await client.response();
    assert.deepEqual([response.status, response.get('x-cause')], [408, 'request.timeout']);
    client.destroy();
  });
  test('a connection on which nothing was said is closed without a word', async () => {
    const clock = new ManualClock();
    await using served = await serve(echo, { clock });
    const client = await RawClient.connect(served.port);
    while (served.listener.connections === 0) await new Promise((resolve) => setImmediate(resolve));
    clock.advance(60_000);
    await client.closed;
    assert.equal(client.received.length, 0);
    assert.deepEqual(served.faults, []);
  });
  test('an idle connection is closed after idleMs, counted from its last answer', async () => {
    const clock = new ManualClock();
    await using served = await serve(echo, { clock });
    const client = await RawClient.connect(served.port);
    for (let round = 0; round < 3; round++) {
      client.write(get('/'));
      await client.response();
      await settled(() => served.listener.connections);
      clock.advance(4_999);
    }
    assert.equal(served.listener.connections, 1);
    clock.advance(1);
    await client.closed;
    assert.equal(client.received.length, 0);
  });
  test('a slow head on a kept connection gets its own time and its own 408', async () => {
    const clock = new ManualClock();
    await using served = await serve(echo, { clock });
    const client = await RawClient.connect(served.port);
    client.write(get('/'));
    await client.response();
    client.write('GET /slow');
    await settled(() => client.socket.bytesWritten);
    clock.advance(5_000);
    assert.equal(served.listener.connections, 1);
    clock.advance(60_000);
    assert.equal((await client.response()).status, 408);
    client.destroy();
  });
  test('a client that stops in the middle of a body that is being read is a 408', async () => {
    const clock = new ManualClock();
    await using served = await serve(echo, { clock, limits: { bodyIdleMs: 7_000 } });
    const client = await RawClient.connect(served.port);
    client.write(`POST / HTTP/1.1\r\n${H}Content-Length: 10\r\n\r\nabc`);
    await clock.armed(7_000);
    await settled(() => client.socket.bytesWritten);
    clock.advance(7_000);
    const response = await client.response();
    assert.deepEqual([response.status, response.get('x-cause')], [408, 'request.timeout']);
    client.destroy();
  });
});

describe('ending', () => {
  test('drain closes what is idle, finishes what runs and refuses what is new', async () => {
    const gate = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    await using served = await serve(async (exchange) => {
      if (exchange.request.path === '/slow') {
        started.resolve();
        await gate.promise;
      }
      await exchange.respond(answer(text('done')));
    });
    const idle = await RawClient.connect(served.port);
    idle.write(get('/'));
    await idle.response();
    const busy = await RawClient.connect(served.port);
    busy.write(get('/slow'));
    await started.promise;
    const drained = served.listener.drain(60_000);
    await idle.closed;
    await assert.rejects(RawClient.connect(served.port), { code: 'ECONNREFUSED' });
    gate.resolve();
    const response = await busy.response();
    assert.deepEqual([response.text, response.get('connection')], ['done', 'close']);
    busy.end();
    await drained;
    assert.equal(served.listener.connections, 0);
  });
  test('drain cuts what has not ended in time, tunnels too', async () => {
    const clock = new ManualClock();
    const left = Promise.withResolvers<void>();
    await using served = await serve(
      async (exchange) => {
        if (exchange.upgradeTo) exchange.upgrade(new Fields());
        else await once(exchange.signal, 'abort').then(() => left.resolve());
      },
      { clock },
    );
    const stuck = await RawClient.connect(served.port);
    stuck.write(get('/'));
    const tunnel = await RawClient.connect(served.port);
    tunnel.write(get('/', 'Connection: Upgrade\r\nUpgrade: websocket\r\n'));
    await tunnel.head();
    const drained = served.listener.drain(30_000);
    clock.advance(30_000);
    await drained;
    await Promise.all([stuck.closed, tunnel.closed, left.promise]);
  });
  test('a port in use is told by its error code', async () => {
    await using served = await serve(echo);
    await assert.rejects(serve(echo, { port: served.port }), { code: 'EADDRINUSE' });
  });
  test('a connection accepted elsewhere is served with the bytes that were read from it', async () => {
    await using served = await serve(echo);
    const { createServer } = await import('node:net');
    const front = createServer((socket) => {
      socket.once('data', (first) => {
        socket.pause();
        socket.unshift(first);
        served.listener.adopt(socket);
        socket.resume();
      });
    });
    await new Promise<void>((resolve) => front.listen(0, '127.0.0.1', resolve));
    const { port } = front.address() as { port: number };
    const client = await RawClient.connect(port);
    client.write(get('/1'));
    assert.equal(JSON.parse((await client.response()).text).path, '/1');
    client.write(get('/2'));
    assert.equal(JSON.parse((await client.response()).text).path, '/2');
    client.destroy();
    front.close();
  });
});

test('a request body reaches the handler whole, whatever its framing', async () => {
  await using served = await serve(async (exchange) => {
    const body = await read(exchange.request.body as Readable);
    await exchange.respond(answer(text(`${body.length}`)));
  });
  const big = 'x'.repeat(300_000);
  const counted = `POST / HTTP/1.1\r\n${H}Content-Length: ${big.length}\r\n\r\n${big}`;
  assert.equal((await RawClient.ask(served.port, counted)).text, '300000');
  const chunked = `POST / HTTP/1.1\r\n${H}Transfer-Encoding: chunked\r\n\r\n493e0\r\n${big}\r\n0\r\nx-t: 1\r\n\r\n`;
  assert.equal((await RawClient.ask(served.port, chunked)).text, '300000');
});
