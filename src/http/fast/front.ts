/**
 * A listener with a fast path in front: it accepts connections and answers what is in its table; every other request,
 * and the connection with it, is the ordinary listener's. See docs/fast-path.md.
 *
 * Sockets are read into one buffer that all share, because what is read is used before the next read. Node offers that
 * to sockets that it connects, not to those that it accepts, so an accepted handle is put into a new socket; where
 * that cannot be done the ordinary `data` events serve as well.
 */
import net, { type Server, type Socket } from 'node:net';
import { type Clock, systemClock } from '../../base/clock.ts';
import type { ListenAddress, Listener, ListenerLimits } from '../listener.ts';
import type { DescribeAgent } from './client.ts';
import { FastConnection, type FastShared } from './connection.ts';
import { LineLog, type TakeLines } from './line-log.ts';
import { Moment } from './moment.ts';
import { Outlet } from './outlet.ts';
import type { Scanner } from './scan.ts';
import type { AnswerTable } from './table.ts';

export interface FrontOptions {
  /** Serves what the table does not have. It does not listen itself. */
  readonly ordinary: Listener;
  readonly table: AnswerTable;
  /** Shared with whoever fills the table. */
  readonly scanner: Scanner;
  readonly limits: Pick<ListenerLimits, 'headMs' | 'idleMs' | 'writeIdleMs'>;
  readonly describeAgent: DescribeAgent;
  /** Lines of the access log. */
  readonly takeLines: TakeLines;
  /** Longest time that a line waits in memory. */
  readonly flushMs: number;
  /** Called a few times a second while there are requests, before their look-up: time to learn what has changed elsewhere. */
  readonly catchUp?: () => void;
  /** Peers that speak for others, such as proxies in front: theirs are the ordinary listener's. */
  readonly isTrusted: (address: string) => boolean;
  readonly clock?: Clock;
  /** False: read by `data` events. Default: what this version of Node can do. */
  readonly sharedBuffer?: boolean;
}

const READ_BYTES = 64 * 1024;
const DEFAULT_WRITE_IDLE_MS = 60_000;
/** So often is looked at the wall clock and at what others have changed, not with every request. */
const LOOK_MS = 20;

export function createFront(options: FrontOptions): Listener {
  const { ordinary, clock = systemClock } = options;
  const connections = new Set<FastConnection>();
  let draining = false;
  let whenEmpty: (() => void)[] = [];
  const log = new LineLog({ take: options.takeLines, clock, flushMs: options.flushMs });
  const shared: FastShared = {
    table: options.table,
    scanner: options.scanner,
    moment: new Moment(options.scanner),
    outlet: new Outlet(),
    ...{ log, clock, describeAgent: options.describeAgent },
    headMs: options.limits.headMs,
    idleMs: options.limits.idleMs,
    writeIdleMs: options.limits.writeIdleMs ?? DEFAULT_WRITE_IDLE_MS,
    isDraining: () => draining,
    wallMs: wallClock(clock, options.catchUp),
    adopt: (connection, more) => ordinary.adopt(connection, more),
    left(connection) {
      connections.delete(connection);
      if (connections.size > 0) return;
      for (const resolve of whenEmpty) resolve();
      whenEmpty = [];
    },
  };
  const open = opener(options, shared);
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (accepted) => {
    if (draining || options.isTrusted(accepted.remoteAddress ?? '')) ordinary.adopt(accepted);
    else connections.add(open(accepted));
  });
  const emptied = async (): Promise<void> => {
    if (connections.size > 0) await new Promise<void>((resolve) => whenEmpty.push(resolve));
  };
  const stop = (): void => {
    draining = true;
    if (server.listening) server.close();
  };

  return {
    listen: (address) => listen(server, address),
    adopt: (socket, more) => ordinary.adopt(socket, more),
    get connections() {
      const own = [...connections].filter(({ isShared }) => !isShared);
      return own.length + ordinary.connections;
    },
    async drain(graceMs) {
      stop();
      for (const connection of [...connections]) connection.drain();
      const timer = clock.setTimer(graceMs, () => {
        for (const connection of connections) connection.destroy();
      });
      await Promise.all([ordinary.drain(graceMs), emptied()]);
      timer.cancel();
      log.flush();
    },
    async close() {
      stop();
      for (const connection of [...connections]) connection.destroy();
      await Promise.all([ordinary.close(), emptied()]);
      log.flush();
    },
  };
}

function opener({ sharedBuffer = canShareBuffer() }: FrontOptions, shared: FastShared) {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  return (accepted: Socket): FastConnection => {
    const handle = sharedBuffer ? takeHandle(accepted) : undefined;
    if (handle === undefined) return listenToData(accepted, shared);
    let connection: FastConnection;
    const callback = (bytes: number): boolean => connection.feed(buffer, bytes);
    const socket = new net.Socket({
      ...{ handle, readable: true, writable: true, allowHalfOpen: true, onread: { buffer, callback } },
    } as net.SocketConstructorOpts);
    connection = new FastConnection(socket, shared);
    socket.resume();
    return connection;
  };
}

function listenToData(socket: Socket, shared: FastShared): FastConnection {
  const connection = new FastConnection(socket, shared);
  socket.on('data', (chunk: Buffer) => {
    if (!connection.feed(chunk, chunk.length)) socket.pause();
  });
  return connection;
}

/** A socket's inner side, by the name that Node has had for it in all its versions. */
interface Inner {
  _handle?: { readStart?: unknown } | null;
}

function takeHandle(accepted: Socket): object | undefined {
  const inner = accepted as unknown as Inner;
  const handle = inner._handle;
  if (typeof handle?.readStart !== 'function') return undefined;
  inner._handle = null;
  return handle;
}

const canShareBuffer = (): boolean => '_handle' in new net.Socket();

/** The wall clock from a monotonic time: one look at a clock per read is enough. */
function wallClock(clock: Clock, catchUp?: () => void): FastShared['wallMs'] {
  let offsetMs = 0;
  let lookedMs = Number.NEGATIVE_INFINITY;
  return (monotonicMs) => {
    if (monotonicMs - lookedMs >= LOOK_MS) {
      catchUp?.();
      lookedMs = monotonicMs;
      offsetMs = clock.nowMs() - monotonicMs;
    }
    return monotonicMs + offsetMs;
  };
}

function listen(server: Server, { host, port, reusePort = false }: ListenAddress): Promise<{ port: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ port: number }>();
  server.once('error', reject);
  server.listen({ host, port, reusePort }, () => {
    server.off('error', reject);
    const address = server.address();
    resolve({ port: typeof address === 'object' && address ? address.port : port });
  });
  return promise;
}
