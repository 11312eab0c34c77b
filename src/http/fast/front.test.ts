import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, test } from 'node:test';
import { ManualClock } from '../../../test/actors/manual-clock.ts';
import { RawClient } from '../../../test/actors/raw-client.ts';
import { DEFAULT_TEST_LIMITS, echo, type ServedOptions } from '../../../test/actors/served.ts';
import { until } from '../../../test/actors/until.ts';
import { Fields } from '../fields.ts';
import { createListener, type Listener } from '../listener.ts';
import type { Lifetime } from './answer.ts';
import { createFront, type FrontOptions } from './front.ts';
import { Scanner } from './scan.ts';
import { AnswerTable } from './table.ts';

const H = 'Host: a.example\r\n';
const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\n${H}${more}\r\n`;

interface Fast extends AsyncDisposable {
  readonly port: number;
  readonly front: Listener;
  readonly table: AnswerTable;
  readonly lines: string[];
  /** Prepares an answer with this body for a path; returns what it lives as long as. */
  knows(path: string, body: Buffer | string): Lifetime & { held: { alive: boolean } };
}

const listenerOf = ({ limits, clock }: ServedOptions): Listener =>
  createListener({
    handle: echo,
    onFault: ({ code, why }) => ({ status: code, fields: Fields.from([['x-cause', why]]), body: null }),
    limits: { ...DEFAULT_TEST_LIMITS, ...limits },
    ...(clock ? { clock } : {}),
  });

/** A front whose ordinary listener echoes what it was asked. */
async function openFront(options: Partial<FrontOptions> = {}, served: ServedOptions = {}): Promise<Fast> {
  const ordinary = listenerOf(served);
  const scanner = new Scanner({ headBytes: 8_192, targetBytes: 4_096, lines: 50, refused: [], seed: 7 });
  const table = new AnswerTable({ maxBytes: 10_000_000, maxEntries: 1_000 });
  const lines: string[] = [];
  const front = createFront({
    ...{ ordinary, scanner, table, flushMs: 1, isTrusted: () => false },
    limits: { ...DEFAULT_TEST_LIMITS, ...served.limits },
    describeAgent: (agent = '') => ({
      json: [JSON.stringify(agent.length), '1', '2', '3'],
      text: String(agent.length),
    }),
    takeLines: (chunk) => void lines.push(...chunk.toString().split('\n').filter(Boolean)),
    ...(served.clock ? { clock: served.clock } : {}),
    ...options,
  });
  const { port } = await front.listen({ host: '127.0.0.1', port: 0 });
  const now = served.clock?.nowMs() ?? Date.now();
  return {
    ...{ port, front, table, lines },
    knows(path, text) {
      const body = Buffer.from(text);
      const head = ['HTTP/1.1 200 OK\r\nid: ', { hole: 'id' }, `\r\ncontent-length: ${body.length}\r\n\r\n`] as const;
      const line = [
        '{"sent":',
        { hole: 'sent-bytes' },
        ',"done":"',
        { hole: 'done' },
        '","agent":"',
        { hole: 'agent' },
        '"}',
      ] as const;
      const lifetime = {
        held: { alive: true, used: false },
        stored: { madeAtMs: now - 1, freshUntilMs: now + 3_600_000 },
      };
      const seen = { method: 'GET', target: path, raw: ['Host', 'a.example'], traits: Buffer.alloc(0) } as const;
      assert.ok(
        table.put(seen, scanner, [], { head, line, body, lifetime, meter: { count: () => {} }, mostLines: 50 }),
      );
      return lifetime;
    },
    async [Symbol.asyncDispose]() {
      await front.close();
    },
  };
}

describe('a front', () => {
  for (const sharedBuffer of [true, false]) {
    test(`answers what it knows and hands on the rest, ${sharedBuffer ? 'one read buffer for all' : 'by data events'}`, async () => {
      await using fast = await openFront({ sharedBuffer });
      fast.knows('/known', 'known');
      const client = await RawClient.connect(fast.port);
      client.write(get('/known') + get('/known') + get('/other') + get('/known'));
      assert.deepEqual([(await client.response()).text, (await client.response()).text], ['known', 'known']);
      assert.equal(JSON.parse((await client.response()).text).path, '/other');
      assert.equal((await client.response()).text, 'known');
      client.write(`POST /body HTTP/1.1\r\n${H}Content-Length: 3\r\n\r\nabc`);
      assert.equal(JSON.parse((await client.response()).text).body, 'abc');
      client.write(get('/known'));
      assert.equal(JSON.parse((await client.response()).text).path, '/known');
      client.destroy();
    });
  }

  test('gives every request an id of its own', async () => {
    await using fast = await openFront();
    fast.knows('/known', 'x');
    const client = await RawClient.connect(fast.port);
    const ids = new Set<string>();
    for (let at = 0; at < 600; at++) ids.add((await client.write(get('/known')).response()).get('id')!);
    assert.equal(ids.size, 600);
    for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    client.destroy();
  });

  test('does not answer with what is gone or too old', async () => {
    const clock = new ManualClock();
    await using fast = await openFront({}, { clock, limits: { idleMs: 36_000_000 } });
    const gone = fast.knows('/gone', 'x');
    fast.knows('/old', 'x');
    gone.held.alive = false;
    clock.advance(3_600_000);
    for (const path of ['/gone', '/old'])
      assert.equal(JSON.parse((await RawClient.ask(fast.port, get(path))).text).path, path);
  });

  test('has a connection back after each answer of the ordinary listener, as often as it likes', async () => {
    await using fast = await openFront();
    fast.knows('/known', 'known');
    const client = await RawClient.connect(fast.port);
    for (let at = 0; at < 20; at++) {
      const [path, more] = at % 3 === 0 ? [`/other-${at}`, get('/known')] : ['/known', ''];
      client.write(get(path) + more);
      const { text } = await client.response();
      assert.equal(at % 3 === 0 ? JSON.parse(text).path : text, at % 3 === 0 ? path : 'known');
      if (more) assert.equal((await client.response()).text, 'known');
    }
    assert.equal(fast.front.connections, 1);
    client.destroy();
    await until('the end', () => fast.front.connections === 0);
  });

  test('leaves trusted peers to the ordinary listener', async () => {
    await using fast = await openFront({ isTrusted: (address) => address.endsWith('127.0.0.1') });
    fast.knows('/known', 'known');
    assert.equal(JSON.parse((await RawClient.ask(fast.port, get('/known'))).text).path, '/known');
  });

  test('writes a line for each answer, escaped', async () => {
    await using fast = await openFront();
    fast.knows('/known', '12345');
    await RawClient.ask(fast.port, get('/known', 'User-Agent: "caf\xe9"\\\t!\r\n'));
    await until('the line', () => fast.lines.length > 0);
    assert.deepEqual(JSON.parse(fast.lines[0]!), { sent: 5, done: '1', agent: '"café"\\\t!' });
  });
});

describe('a client that does not read', () => {
  const BODY = Buffer.alloc(4_000_000, 'x');
  /** Asks for more than the system takes, and reads nothing. */
  async function stalled(fast: Fast, requests: number) {
    const socket = net.connect({ port: fast.port, host: '127.0.0.1' });
    await once(socket, 'connect');
    socket.pause();
    socket.on('error', () => {});
    socket.write(get('/large').repeat(requests));
    return socket;
  }

  test('costs no more than one answer, however much it asks for', async () => {
    await using fast = await openFront();
    fast.knows('/large', BODY);
    fast.knows('/small', 'small');
    const before = process.memoryUsage().arrayBuffers;
    const socket = await stalled(fast, 40);
    await RawClient.ask(fast.port, get('/small'));
    assert.ok(process.memoryUsage().arrayBuffers - before < 2_000_000);
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    socket.resume();
    await until('all answers', () => bytes > 40 * BODY.length);
    await until('all lines', () => fast.lines.length === 41);
    assert.ok(fast.lines.every((line) => line.includes('"done":"1"')));
    socket.destroy();
  });

  test('is cut when it goes on, and the log says that it did not get its answer', async () => {
    await using fast = await openFront({ limits: { ...DEFAULT_TEST_LIMITS, writeIdleMs: 200 } });
    fast.knows('/large', BODY);
    const socket = await stalled(fast, 3);
    await until('the cut', () => fast.front.connections === 0);
    await until('its lines', () => fast.lines.length > 0);
    assert.ok(fast.lines.some((line) => line.startsWith('{"sent":0,"done":"0"')));
    socket.destroy();
  });

  test('gets its answer and nothing after it when the front drains', async () => {
    await using fast = await openFront();
    fast.knows('/large', BODY);
    const socket = await stalled(fast, 3);
    await until('the stall', () => fast.front.connections === 1);
    const drained = fast.front.drain(60_000);
    let bytes = 0;
    socket.on('data', (chunk) => {
      bytes += chunk.length;
    });
    socket.resume();
    await drained;
    assert.ok(bytes <= 3 * (BODY.length + 200));
  });
});

describe('time', () => {
  test('a head that does not end is answered 408, like everywhere', async () => {
    const clock = new ManualClock();
    await using fast = await openFront({}, { clock, limits: { headMs: 1_000 } });
    fast.knows('/known', 'x');
    const client = await RawClient.connect(fast.port);
    client.write('GET /known HT');
    await until('the bytes to be read', () => fast.front.connections === 1 && clock.delays.includes(1_000));
    await new Promise((resolve) => setImmediate(resolve));
    await RawClient.ask(fast.port, get('/known'));
    clock.advance(1_000);
    assert.equal((await client.response()).get('x-cause'), 'request.timeout');
    await client.closed;
  });

  test('a client that never says anything is let go of without a word', async () => {
    const clock = new ManualClock();
    await using fast = await openFront({}, { clock, limits: { headMs: 1_000 } });
    const client = await RawClient.connect(fast.port);
    await clock.armed(1_000);
    clock.advance(1_000);
    await client.closed;
    assert.equal(client.received.length, 0);
  });

  test('so is one that is idle for too long after its answers', async () => {
    const clock = new ManualClock();
    await using fast = await openFront({}, { clock, limits: { headMs: 1_000, idleMs: 5_000 } });
    fast.knows('/known', 'x');
    const client = await RawClient.connect(fast.port);
    await client.write(get('/known')).response();
    clock.advance(1_000);
    await client.write(get('/known')).response();
    clock.advance(4_999);
    await client.write(get('/known')).response();
    clock.advance(5_000);
    await client.closed;
    assert.equal(client.received.length, 0);
  });

  test('a head in many pieces is the ordinary way’s, with what is left of its time', async () => {
    const clock = new ManualClock();
    await using fast = await openFront({}, { clock, limits: { headMs: 1_000 } });
    fast.knows('/known', 'x');
    const client = await RawClient.connect(fast.port);
    await clock.armed(1_000);
    clock.advance(600);
    for (const piece of ['GET', ' /kn', 'own ', 'HT', 'TP', '/1.']) {
      client.write(piece);
      await RawClient.ask(fast.port, get('/known'));
    }
    await clock.armed(400);
    clock.advance(400);
    assert.equal((await client.response()).get('x-cause'), 'request.timeout');
    client.destroy();
  });
});

describe('a connection that came back', () => {
  async function back(fast: Fast) {
    fast.knows('/known', 'x');
    const client = await RawClient.connect(fast.port);
    await client.write(get('/other')).response();
    assert.equal((await client.write(get('/known')).response()).text, 'x');
    return client;
  }

  test('is let go of when it is idle for too long, not before', async () => {
    const clock = new ManualClock();
    await using fast = await openFront({}, { clock, limits: { headMs: 1_000, idleMs: 5_000 } });
    const client = await back(fast);
    clock.advance(4_999);
    assert.equal((await client.write(get('/known')).response()).text, 'x');
    clock.advance(4_999);
    assert.equal((await client.write(get('/known')).response()).text, 'x');
    clock.advance(5_000);
    await client.closed;
  });

  test('owes its heads in time like every other', async () => {
    const clock = new ManualClock();
    await using fast = await openFront({}, { clock, limits: { headMs: 1_000, idleMs: 5_000 } });
    const client = await back(fast);
    client.write('GET /kno');
    await RawClient.ask(fast.port, get('/known'));
    clock.advance(5_000);
    clock.advance(1_000);
    assert.equal((await client.response()).get('x-cause'), 'request.timeout');
    client.destroy();
  });

  test('owes the rest of a head that is given away in what is left of its time', async () => {
    const clock = new ManualClock();
    await using fast = await openFront({}, { clock, limits: { headMs: 1_000, idleMs: 5_000 } });
    const client = await back(fast);
    client.write(`POST / HTTP/1.1\r\n`);
    await RawClient.ask(fast.port, get('/known'));
    clock.advance(1_000);
    assert.equal((await client.response()).get('x-cause'), 'request.timeout');
    client.destroy();
  });

  test('is closed by a drain, or ended with the head that has begun', async () => {
    await using fast = await openFront();
    const [idle, begun] = [await back(fast), await back(fast)];
    begun.write('GET /kno');
    await RawClient.ask(fast.port, get('/known'));
    const drained = fast.front.drain(60_000);
    await idle.closed;
    begun.write(`wn HTTP/1.1\r\n${H}\r\n`);
    assert.equal((await begun.response()).get('connection'), 'close');
    await drained;
  });

  test('a client that leaves while it waits is noticed, with requests behind the one that it waits for', async () => {
    const left = Promise.withResolvers<void>();
    await using fast = await openFront({
      ordinary: createListener({
        async handle(exchange) {
          await new Promise<void>((resolve) => exchange.signal.addEventListener('abort', () => resolve()));
          left.resolve();
        },
        onFault: ({ code }) => ({ status: code, fields: new Fields(), body: null }),
        limits: DEFAULT_TEST_LIMITS,
      }),
    });
    const client = await RawClient.connect(fast.port);
    client.write(get('/other').repeat(100));
    await until('the request', () => fast.front.connections === 1);
    await RawClient.connect(fast.port);
    client.end();
    await left.promise;
  });
});

describe('draining', () => {
  test('closes idle connections, finishes heads that have begun, and serves nothing more itself', async () => {
    await using fast = await openFront();
    fast.knows('/known', 'x');
    const [idle, begun] = [await RawClient.connect(fast.port), await RawClient.connect(fast.port)];
    await idle.write(get('/known')).response();
    await begun.write(`${get('/known')}GET /kno`).response();
    const drained = fast.front.drain(60_000);
    await idle.closed;
    begun.write(`wn HTTP/1.1\r\n${H}\r\n`);
    const last = await begun.response();
    assert.equal(JSON.parse(last.text).path, '/known');
    assert.equal(last.get('connection'), 'close');
    await drained;
    assert.equal(fast.front.connections, 0);
  });

  test('cuts what is left after its time', async () => {
    const clock = new ManualClock();
    await using fast = await openFront({}, { clock });
    const client = await RawClient.connect(fast.port);
    client.write('GET / HT');
    await until('the connection', () => fast.front.connections === 1);
    await RawClient.ask(fast.port, get('/other'));
    const drained = fast.front.drain(3_000);
    clock.advance(3_000);
    await drained;
    await client.closed;
  });
});

test('idle connections cost little memory', async (t) => {
  const COUNT = Number(process.env.IDLE_CONNECTIONS ?? 500);
  await using fast = await openFront();
  fast.knows('/known', 'x');
  const before = memory();
  const sockets: net.Socket[] = [];
  for (let at = 0; at < COUNT; at++) {
    const socket = net.connect({ port: fast.port, host: '127.0.0.1' });
    sockets.push(socket);
    socket.write(get('/known'));
    await once(socket, 'data');
  }
  const bytes = (memory() - before) / COUNT;
  t.diagnostic(`${Math.round(bytes)} bytes of heap and buffers for both ends of a connection`);
  assert.ok(bytes < 40_000);
  for (const socket of sockets) socket.destroy();
});

const memory = (): number => {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
};
