/** What a call does when things go right, or half right: messages, streaming, retry, pool, abort. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { PassThrough, Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { answering, httpOrigin, rawOrigin } from '../../test/actors/origin.ts';
import { faultOf, LAB_LIMITS, textOf, turns, upstreamLab } from '../../test/actors/upstream-lab.ts';
import type { Fields } from '../http/fields.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const EMPTY = `${OK}Content-Length: 0\r\n\r\n`;

describe('messages', () => {
  test('method, path and fields arrive as given, in order and spelling', async () => {
    await using origin = await httpOrigin();
    await using lab = await upstreamLab();
    const fields = ['Host', 'shop.test', 'X-One', '1', 'cookie', 'a=1', 'x-one', '2'];
    const { response } = await lab.send(origin.port, { path: '/a%20b?c=%2F', fields });
    assert.equal(await textOf(response.body), 'GET /a%20b?c=%2F');
    const [seen] = origin.requests;
    assert.deepEqual(seen!.rawHeaders.slice(0, 2), ['host', 'shop.test']);
    assert.deepEqual(seen!.rawHeaders.slice(4), fields.slice(2));
  });

  test('the response keeps repeated lines, spelling, Latin-1 bytes and the reason phrase', async () => {
    const head =
      'HTTP/1.1 299 Not Bad\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nX-Name: caf\xe9 \t\r\nContent-Length: 2\r\n\r\nok';
    await using origin = await rawOrigin(answering(Buffer.from(head, 'latin1')));
    await using lab = await upstreamLab();
    const { response } = await lab.send(origin.port);
    assert.equal(response.status, 299);
    assert.equal(response.reason, 'Not Bad');
    assert.deepEqual(response.fields.raw, [
      'Set-Cookie',
      'a=1',
      'set-cookie',
      'b=2',
      'X-Name',
      'caf\xe9',
      'Content-Length',
      '2',
    ]);
    assert.equal(await textOf(response.body), 'ok');
  });

  test("70 lines and 64 KB pass, and the platform's own lines count nowhere", async () => {
    const own = 'x-own-a: 1\r\n'.repeat(200);
    const small = 'c: 123\r\n'.repeat(69);
    const large = `a: ${'x'.repeat(65_536 - 69 * 8 - 5)}\r\n`;
    await using origin = await rawOrigin(answering(`${OK}${own}${small}${large}\r\n`, 'fin'));
    await using lab = await upstreamLab({ exemptField: (name) => name.startsWith('x-own-') });
    const { response } = await lab.send(origin.port);
    assert.equal(response.fields.length, 270);
  });

  for (const [name, method, head] of [
    ['HEAD', 'HEAD', `${OK}Content-Length: 5\r\n\r\n`],
    ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n'],
    ['length 0', 'GET', EMPTY],
  ] as const) {
    test(`a response to ${name} has no body`, async () => {
      await using origin = await rawOrigin(answering(head));
      await using lab = await upstreamLab();
      const { response } = await lab.send(origin.port, { method });
      assert.equal(response.body, null);
      assert.equal(response.trailers, undefined);
    });
  }

  test('a body without length ends with its connection', async () => {
    await using origin = await rawOrigin(answering('HTTP/1.0 200 OK\r\n\r\nabc', 'fin'));
    await using lab = await upstreamLab();
    const { response } = await lab.send(origin.port);
    assert.equal(await textOf(response.body), 'abc');
  });

  test('trailers are there when the body has ended', async () => {
    const message = `${OK}Transfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n0\r\nx-sum: 6\r\n\r\n`;
    await using origin = await rawOrigin(answering(message));
    await using lab = await upstreamLab();
    const { response } = await lab.send(origin.port);
    assert.equal(await textOf(response.body), 'abc');
    assert.deepEqual(response.trailers!().raw, ['x-sum', '6']);
  });

  test('103 is passed on before the head, 100 is swallowed, however it is cut', async () => {
    const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n';
    await using origin = await rawOrigin(async (connection) => {
      await connection.received('\r\n\r\n');
      for (const piece of [
        'HTTP',
        '/1.1 100 Continue\r\nX: y\r\n',
        '\r\nHTTP/1.1 1',
        `00 Continue\r\n\r\n${hints}`,
        EMPTY,
      ]) {
        await connection.write(piece);
        await turns(2);
      }
    });
    await using lab = await upstreamLab();
    const seen: [number, string[]][] = [];
    const onInformation = (status: number, fields: Fields): void => void seen.push([status, fields.raw]);
    const { response } = await lab.send(origin.port, { onInformation });
    assert.equal(response.status, 200);
    assert.deepEqual(seen, [[103, ['Link', '</a.css>; rel=preload']]]);
  });

  test('an interim response restarts the time on the link, and not towards an upstream', async () => {
    for (const leg of ['link', 'upstream'] as const) {
      await using origin = await rawOrigin(async (connection) => {
        await connection.received('\r\n\r\n');
        await connection.write('HTTP/1.1 102 Processing\r\n\r\n');
      });
      await using lab = await upstreamLab();
      const { promise: beat, resolve } = Promise.withResolvers<void>();
      const work = lab.send(origin.port, { origin: { leg }, onInformation: () => resolve() });
      work.catch(() => {});
      await lab.clock.armed(LAB_LIMITS.responseMs);
      lab.clock.advance(LAB_LIMITS.responseMs - 1);
      await beat;
      lab.clock.advance(1);
      await turns();
      if (leg === 'link') {
        await origin.connections[0]!.write(EMPTY);
        assert.equal((await work).response.status, 200);
      } else assert.equal((await faultOf(work)).why, 'upstream.head.timeout');
    }
  });

  test('an upgrade gives the raw connection, bytes behind the head included, and frees its place in the pool', async () => {
    await using origin = await rawOrigin(async (connection) => {
      await connection.received('\r\n\r\n');
      await connection.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello ');
      connection.socket.pipe(connection.socket);
    });
    await using lab = await upstreamLab();
    const options = { upgrade: 'echo', limits: { poolSize: 1 } };
    const { response, socket } = await lab.send(origin.port, options);
    assert.equal(response.status, 101);
    assert.match(origin.connections[0]!.text, /^connection: upgrade\r\nupgrade: echo\r$/m);
    socket!.end('world');
    assert.equal(await textOf(socket as unknown as Readable), 'hello world');
    const again = await lab.send(origin.port, options);
    assert.equal(again.attempts[0]!.reusedConnection, false);
    again.socket!.destroy();
  });

  test('an upgrade that is declined is an ordinary response', async () => {
    await using origin = await rawOrigin(answering('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'));
    await using lab = await upstreamLab();
    const { response, socket } = await lab.send(origin.port, { upgrade: 'websocket' });
    assert.equal(response.status, 403);
    assert.equal(socket, undefined);
    assert.equal(await textOf(response.body), 'no');
  });

  test('a reset behind an upgrade ends the connection and nothing else', async () => {
    await using origin = await rawOrigin(
      answering('HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n', 'rst'),
    );
    await using lab = await upstreamLab();
    const { socket } = await lab.send(origin.port, { upgrade: 'x' });
    socket!.resume();
    await once(socket!, 'close');
  });
});

describe('request bodies', () => {
  test('a buffer goes out with its length, a stream of unknown length in chunks, one of known length with it', async () => {
    await using origin = await httpOrigin();
    await using lab = await upstreamLab();
    const host = ['Host', 'a.test'];
    for (const [body, fields] of [
      [Buffer.from('buffer'), host],
      [Readable.from([Buffer.from('un'), Buffer.from('known')]), host],
      [Readable.from([Buffer.from('kno'), Buffer.from('wn')]), [...host, 'Content-Length', '5']],
    ] as const) {
      const { response } = await lab.send(origin.port, { method: 'POST', body, fields });
      await textOf(response.body);
    }
    const seen = await Promise.all(origin.requests.map(async ({ body }) => (await body).toString()));
    assert.deepEqual(seen, ['buffer', 'unknown', 'known']);
    const framing = origin.requests.map(({ headers }) => headers['content-length'] ?? headers['transfer-encoding']);
    assert.deepEqual(framing, ['6', 'chunked', '5']);
  });

  test('a slow sender is no stall of the upstream', async () => {
    await using origin = await httpOrigin();
    await using lab = await upstreamLab();
    const body = new PassThrough();
    const work = lab.send(origin.port, { method: 'POST', body });
    body.write('first');
    await once(origin.server, 'request');
    await turns();
    lab.clock.advance(1_000_000);
    await turns();
    body.end('last');
    assert.equal((await work).response.status, 200);
  });

  test('an answer that comes before the upload is done is the answer, whatever happens to the upload', async () => {
    await using origin = await rawOrigin(async (connection) => {
      connection.socket.pause();
      await connection.write('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig');
      connection.socket.end();
      await turns();
      connection.reset();
    });
    await using lab = await upstreamLab();
    const body = new Readable({
      read() {
        this.push(Buffer.alloc(65_536));
      },
    });
    const { response } = await lab.send(origin.port, { method: 'POST', body });
    assert.equal(response.status, 413);
    assert.equal(await textOf(response.body), 'big');
  });

  test('a failed write loses nothing of an answer that is already there', async () => {
    await using origin = await rawOrigin(async (connection) => {
      await connection.received('first');
      await connection.write('HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig');
      connection.reset();
      // Still in the same turn: the answer is in the kernel, unread, when this write fails.
      body.write('second');
      body.write('third');
    });
    await using lab = await upstreamLab();
    const body = new PassThrough();
    body.write('first');
    const { response } = await lab.send(origin.port, { method: 'POST', body });
    assert.equal(response.status, 413);
    assert.equal(await textOf(response.body), 'big');
  });

  test('a body that fails ends the call with its own error, not with a fault of the upstream', async () => {
    await using origin = await httpOrigin();
    await using lab = await upstreamLab();
    const body = new PassThrough();
    const work = lab.send(origin.port, { method: 'POST', body });
    body.write('first');
    await once(origin.server, 'request');
    body.destroy(new Error('the client left'));
    const fault = await faultOf(work);
    assert.equal(fault.why, 'platform.internal');
    assert.equal((fault.cause as Error).message, 'the client left');
  });
});

test('a path with characters that no request line may have is percent-encoded, the rest is left alone', async () => {
  await using origin = await httpOrigin();
  await using lab = await upstreamLab();
  await lab.send(origin.port, { path: '/ä b%20/日?q=\ud800' });
  assert.equal(origin.requests[0]!.url, '/%C3%A4%20b%20/%E6%97%A5?q=%EF%BF%BD');
});

describe('streaming', () => {
  test('a reader that does not read stops the upstream, and its slowness is no fault', async () => {
    const total = 64 * 1024 * 1024;
    await using origin = await httpOrigin((_request, response) => {
      response.writeHead(200, { 'content-length': total });
      let left = total;
      Readable.from(
        (function* () {
          for (; left > 0; left -= 65_536) yield Buffer.alloc(65_536);
        })(),
      ).pipe(response);
    });
    await using lab = await upstreamLab();
    const { response } = await lab.send(origin.port);
    const body = response.body as Readable;
    await once(body, 'readable');
    let before = -1;
    for (let now = 0; now !== before; now = process.memoryUsage().arrayBuffers) {
      before = now;
      await turns(50);
    }
    assert.ok(body.readableLength < 1_000_000, `${body.readableLength} bytes wait`);
    lab.clock.advance(1_000_000);
    await turns();
    let bytes = 0;
    for await (const chunk of body) bytes += (chunk as Buffer).length;
    assert.equal(bytes, total);
  });

  test('events come through one by one, without buffering', async () => {
    await using origin = await rawOrigin(async (connection) => {
      await connection.received('\r\n\r\n');
      await connection.write(`${OK}Content-Type: text/event-stream\r\n\r\n`);
    });
    await using lab = await upstreamLab();
    const { response } = await lab.send(origin.port);
    const body = response.body as Readable;
    for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
      const next = once(body, 'data') as Promise<[Buffer]>;
      await origin.connections[0]!.write(event);
      const [chunk] = await next;
      assert.equal(chunk.toString(), event);
    }
    body.destroy();
    await origin.connections[0]!.hungUp;
  });

  test('bytes that arrived are no silence, even when the timer fires before they were looked at', async () => {
    await using lab = await upstreamLab();
    await using origin = await rawOrigin(async (connection) => {
      await connection.received('\r\n\r\n');
      connection.socket.write(EMPTY);
      lab.clock.advance(LAB_LIMITS.responseMs);
    });
    assert.equal((await lab.send(origin.port)).response.status, 200);
  });

  test('every byte of the body restarts its time', async () => {
    await using origin = await rawOrigin(answering(`${OK}Content-Length: 9\r\n\r\nabc`));
    await using lab = await upstreamLab();
    const { response } = await lab.send(origin.port);
    const body = response.body as Readable;
    await once(body, 'data');
    lab.clock.advance(LAB_LIMITS.bodyIdleMs - 1);
    const next = once(body, 'data');
    await origin.connections[0]!.write('def');
    await next;
    lab.clock.advance(LAB_LIMITS.bodyIdleMs - 1);
    await turns();
    assert.equal(body.errored, null);
  });

  test('a fault that comes before anybody listens waits in the stream', async () => {
    await using origin = await rawOrigin(answering(`${OK}Content-Length: 6\r\n\r\nabc`, 'rst'));
    await using lab = await upstreamLab();
    const { response, attempts } = await lab.send(origin.port);
    await origin.connections[0]!.hungUp;
    (response.body as Readable).resume();
    await turns(20);
    assert.equal((await faultOf(textOf(response.body))).why, 'upstream.body.incomplete');
    assert.equal(attempts[0]!.fault?.why, 'upstream.body.incomplete');
  });
});

describe('connections', () => {
  test('one connection serves exchange after exchange', async () => {
    await using origin = await httpOrigin();
    await using lab = await upstreamLab();
    for (const expected of [false, true, true]) {
      const { response, attempts } = await lab.send(origin.port, { method: 'PUT', body: Buffer.from('x') });
      await textOf(response.body);
      assert.deepEqual(
        attempts.map(({ reusedConnection }) => reusedConnection),
        [expected],
      );
    }
    assert.equal(origin.connections, 1);
  });

  test('an early answer to a large upload: the connection is not used again', async () => {
    await using origin = await rawOrigin(async (connection) => {
      await connection.received('\r\n\r\n');
      connection.socket.pause();
      await connection.write(EMPTY);
    });
    await using lab = await upstreamLab();
    await lab.send(origin.port, { method: 'POST', body: Buffer.alloc(50_000_000) });
    await turns();
    const { attempts } = await lab.send(origin.port);
    assert.equal(attempts[0]!.reusedConnection, false);
  });

  for (const [why, message] of [
    ['Connection: close', `${OK}Connection: close\r\nContent-Length: 0\r\n\r\n`],
    ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n'],
    ['bytes behind the message', `${EMPTY}HTTP/1.1 200 OK\r\n`],
    ['a length on 204', 'HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello'],
  ] as const) {
    test(`${why}: the connection is not used again`, async () => {
      await using origin = await rawOrigin(answering(message));
      await using lab = await upstreamLab();
      await lab.send(origin.port);
      await origin.connections[0]!.hungUp;
      const { attempts } = await lab.send(origin.port);
      assert.equal(attempts[0]!.reusedConnection, false);
    });
  }

  test('origins are kept apart by name, verification and leg', async () => {
    await using origin = await httpOrigin();
    await using lab = await upstreamLab();
    for (const other of [
      {},
      { host: 'localhost' },
      { verifyCertificate: false },
      { leg: 'link' },
      { servername: 'b' },
    ] as const) {
      const { response, attempts } = await lab.send(origin.port, { origin: other });
      await textOf(response.body);
      assert.equal(attempts[0]!.reusedConnection, false);
    }
  });

  test('an unused connection is closed after its time', async () => {
    await using origin = await rawOrigin(answering(EMPTY));
    await using lab = await upstreamLab({ idleMs: 777 });
    await lab.send(origin.port);
    await lab.clock.armed(777);
    lab.clock.advance(777);
    await origin.connections[0]!.hungUp;
  });

  test('a connection that the peer closes while it is idle is forgotten', async () => {
    await using origin = await rawOrigin(answering(EMPTY, 'fin'));
    await using lab = await upstreamLab();
    await lab.send(origin.port);
    await origin.connections[0]!.hungUp;
    const { attempts } = await lab.send(origin.port);
    assert.deepEqual(
      attempts.map(({ reusedConnection }) => reusedConnection),
      [false],
    );
  });

  test('no more than poolSize connections are opened, and who waits is served in order', async () => {
    const waiting: (() => void)[] = [];
    await using origin = await httpOrigin((request, response) => {
      waiting.push(() => response.end(request.url));
      origin.server.emit('asked');
    });
    await using lab = await upstreamLab();
    const done: string[] = [];
    const limits = { poolSize: 2 };
    const calls = ['/1', '/2', '/3', '/4', '/5'].map(async (path) => {
      const { response } = await lab.send(origin.port, { path, limits });
      done.push(await textOf(response.body));
    });
    for (let served = 0; served < calls.length; served++) {
      while (waiting.length === 0) await once(origin.server, 'asked');
      waiting.shift()!();
    }
    await Promise.all(calls);
    assert.deepEqual(done.sort(), ['/1', '/2', '/3', '/4', '/5']);
    assert.equal(origin.connections, 2);
  });

  test('who waits gets the place of a dial that failed or of a connection that closed', async () => {
    await using origin = await rawOrigin(answering(`${OK}Connection: close\r\nContent-Length: 0\r\n\r\n`));
    await using lab = await upstreamLab();
    const limits = { poolSize: 1 };
    const answers = await Promise.all([1, 2, 3].map(() => lab.send(origin.port, { limits })));
    assert.deepEqual(
      answers.map(({ response }) => response.status),
      [200, 200, 200],
    );
  });

  test('closing the room ends what is open', async () => {
    await using origin = await rawOrigin(() => {});
    await using lab = await upstreamLab();
    const work = lab.fault(origin.port);
    await lab.clock.armed(LAB_LIMITS.responseMs);
    await lab.upstream.close();
    assert.equal((await work).why, 'upstream.head.closed');
    assert.equal((await lab.fault(origin.port)).why, 'platform.internal');
  });
});

describe('retry of a request whose kept connection was dead (R6)', () => {
  /** Answers the first request of a connection; what happens at the second one is the test's. */
  const dyingAfterOne = (end: 'fin' | 'rst', before = '') =>
    rawOrigin(async (connection) => {
      await connection.received('\r\n\r\n');
      await connection.write(EMPTY);
      if (connection.number > 1) return;
      await connection.received('/second');
      if (before !== '') await connection.write(before);
      if (end === 'rst') connection.reset();
      else connection.socket.end();
    });

  for (const end of ['fin', 'rst'] as const) {
    test(`${end.toUpperCase()} before any byte: an idempotent request goes out once more, on a fresh connection`, async () => {
      await using origin = await dyingAfterOne(end);
      await using lab = await upstreamLab();
      await lab.send(origin.port);
      const { response, attempts } = await lab.send(origin.port, { path: '/second' });
      assert.equal(response.status, 200);
      const seen = attempts.map(({ reusedConnection, fault }) => [reusedConnection, fault?.why]);
      assert.deepEqual(seen, [
        [true, 'upstream.head.closed'],
        [false, undefined],
      ]);
    });
  }

  test('a byte of an answer forbids it', async () => {
    await using origin = await dyingAfterOne('fin', 'HTTP');
    await using lab = await upstreamLab();
    await lab.send(origin.port);
    const fault = await lab.fault(origin.port, { path: '/second' });
    assert.equal(fault.why, 'upstream.head.closed');
    assert.equal((fault.evidence.attempts as unknown[]).length, 1);
  });

  test('a POST that went out is not sent twice', async () => {
    await using origin = await dyingAfterOne('rst');
    await using lab = await upstreamLab();
    await lab.send(origin.port);
    const fault = await lab.fault(origin.port, { path: '/second', method: 'POST', body: Buffer.from('x') });
    assert.equal(fault.why, 'upstream.head.closed');
    assert.equal(origin.connections.length, 1);
  });

  test('a fresh connection that fails is not retried', async () => {
    await using origin = await rawOrigin(answering('', 'rst'));
    await using lab = await upstreamLab();
    const fault = await lab.fault(origin.port);
    assert.equal(fault.why, 'upstream.head.closed');
    assert.equal(origin.connections.length, 1);
  });

  test('an upstream that goes on closing gets two tries, and the second one counts', async () => {
    await using origin = await rawOrigin(async (connection) => {
      await connection.received('\r\n\r\n');
      if (connection.number === 1) await connection.write(EMPTY);
      else return connection.reset();
      await connection.received('/second');
      connection.reset();
    });
    await using lab = await upstreamLab();
    await lab.send(origin.port);
    const fault = await lab.fault(origin.port, { path: '/second' });
    assert.equal((fault.evidence.attempts as unknown[]).length, 2);
    assert.equal(origin.connections.length, 2);
  });

  test('a request that was never written is sent on a fresh connection, whatever its method', async () => {
    await using origin = await rawOrigin(async (connection) => {
      await connection.received('\r\n\r\n');
      await connection.write(EMPTY);
      if (connection.number === 1) connection.socket.end();
    });
    await using lab = await upstreamLab();
    await lab.send(origin.port);
    await turns(1);
    const body = Readable.from([Buffer.from('streamed')]);
    const { response } = await lab.send(origin.port, { method: 'POST', body });
    assert.equal(response.status, 200);
    await origin.connections[1]!.received('streamed');
  });
});

describe('nobody waits any more', () => {
  test('before the head: the connection goes, the reason comes back, no fault is made', async () => {
    await using origin = await rawOrigin(() => {});
    await using lab = await upstreamLab();
    const controller = new AbortController();
    const work = lab.send(origin.port, { signal: controller.signal });
    await lab.clock.armed(LAB_LIMITS.responseMs);
    controller.abort(new Error('gone'));
    await assert.rejects(work, /^Error: gone$/);
    await origin.connections[0]!.hungUp;
    assert.deepEqual(lab.clock.delays, []);
  });

  test('in the body: the upstream is told by a close, the stream ends with the reason', async () => {
    await using origin = await rawOrigin(answering(`${OK}Content-Length: 10\r\n\r\nabc`));
    await using lab = await upstreamLab();
    const controller = new AbortController();
    const { response, attempts } = await lab.send(origin.port, { signal: controller.signal });
    const work = textOf(response.body);
    controller.abort(new Error('gone'));
    await assert.rejects(work, /^Error: gone$/);
    await origin.connections[0]!.hungUp;
    assert.equal(attempts[0]!.fault, undefined);
  });

  test('before anything: nothing is dialled', async () => {
    await using origin = await httpOrigin();
    await using lab = await upstreamLab();
    await assert.rejects(lab.send(origin.port, { signal: AbortSignal.abort(new Error('gone')) }), /^Error: gone$/);
    assert.equal(origin.connections, 0);
  });

  test('while waiting for a connection: the place in the queue is given up', async () => {
    await using origin = await httpOrigin((request, response) => {
      if (request.url !== '/hold') response.end();
    });
    await using lab = await upstreamLab();
    const limits = { poolSize: 1 };
    const holder = new AbortController();
    const first = lab.send(origin.port, { path: '/hold', limits, signal: holder.signal });
    const leaver = new AbortController();
    const second = lab.send(origin.port, { limits, signal: leaver.signal });
    const third = lab.send(origin.port, { limits });
    await lab.clock.armed(LAB_LIMITS.responseMs);
    leaver.abort(new Error('gone'));
    await assert.rejects(second, /gone/);
    holder.abort(new Error('enough'));
    await assert.rejects(first, /enough/);
    assert.equal((await third).response.status, 200);
  });
});

test('an upload that stalls after a pause of its client is timed like any other', async () => {
  await using peer = await rawOrigin(async (connection) => {
    await connection.received('first');
    connection.socket.pause();
  });
  await using lab = await upstreamLab();
  const body = new PassThrough();
  const fields = ['Host', 'a.test', 'Content-Length', '64000000'];
  const work = lab.fault(peer.port, { method: 'POST', body, fields });
  let failed = false;
  void work.then(() => {
    failed = true;
  });
  body.write('first');
  while (!peer.connections[0]?.text.includes('first')) await turns(1);
  // All that there was has been sent; now comes more than the kernel takes.
  body.write(Buffer.alloc(32_000_000));
  while (!failed) {
    await turns();
    lab.clock.advance(LAB_LIMITS.writeIdleMs);
  }
  assert.equal((await work).why, 'upstream.send.timeout');
});
