/**
 * The client-facing HTTP/1.1 server, on `node:http`. Everything that Node would decide by itself is switched off or
 * answered here: header counts, missing Host, oversized and malformed heads, timeouts, `100 Continue`, upgrades.
 * Source: spec "Status codes", section 3 (traps T7, T8, T14); spec "Limits", section 1; RFC 9110, RFC 9112.
 */
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { Duplex } from 'node:stream';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { type Clock, systemClock, type Timer } from '../base/clock.ts';
import type { Fault, Hop } from '../status/fault.ts';
import { type Arrival, Connection, type ConnectionOptions } from './connection.ts';
import type { ServerExchange } from './exchange.ts';
import type { ParserError } from './parser-fault.ts';
import type { FaultAnswer, FaultContext } from './refusal.ts';

export type { ServerExchange } from './exchange.ts';
export type { FaultAnswer, FaultContext } from './refusal.ts';
export { ClientLeft } from './request-body.ts';
export type { Delivery } from './send.ts';

export interface ListenerLimits {
  /** Raw request target. Limit `url.pathQueryBytes`. */
  readonly pathQueryBytes: number;
  /** Sum of Cookie values. Limit `request.cookieBytes`. */
  readonly cookieBytes: number;
  /** Σ(name + value + 4). Limit `request.headerBytes`. */
  readonly headerBytes: number;
  /** First byte to complete head; 408 after. Limit `client.headMs`. */
  readonly headMs: number;
  /** Keep-alive between two requests. Limit `client.idleMs`. */
  readonly idleMs: number;
  /** Longest pause inside a request body that is being read; 408 after. Default `headMs`. */
  readonly bodyIdleMs?: number;
  /** Longest time in which a client takes nothing of a response; then it is cut. Default 60,000. */
  readonly writeIdleMs?: number;
  /** Unread request bytes that are dropped to keep a connection; beyond, it is closed. Default 262,144. */
  readonly unreadBodyBytes?: number;
}

export interface ListenerOptions {
  /** Called for each request that passed the entry checks; must answer it. What it throws is answered through `onFault`. */
  readonly handle: (exchange: ServerExchange) => Promise<void>;
  /** Renders refusals: malformed and oversized requests, slow heads, bad hosts, and whatever `handle` throws. */
  readonly onFault: (fault: Fault, context: FaultContext) => FaultAnswer;
  readonly limits: ListenerLimits;
  readonly clock?: Clock;
  /** The peers are our own POPs: sizes were judged at the edge and have grown since. Framing is checked all the same. */
  readonly trustLink?: boolean;
  /** Hop that faults are attributed to. Default `client`. */
  readonly hop?: Hop;
  /** With `tls` that asks for a certificate: what a peer is told that has no valid one; nothing of it is listened to. */
  readonly refuseUnproven?: (reason: string) => Buffer;
  /** Serves HTTPS with these; plain HTTP without. */
  readonly tls?: TlsOptions;
}

export interface ListenAddress {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Several processes share the port, the kernel spreads connections. */
  readonly reusePort?: boolean;
}

export interface Adoption {
  /** What is left of the time for a head that has begun. Default: all of it. */
  readonly headLeftMs?: number;
  /**
   * The connection is only lent: called when everything that came is answered and another request may follow. From
   * then on the owner has it and watches its time, until the next bytes come or it is given for good.
   */
  readonly onIdle?: () => void;
}

/** What the owner of an adopted connection can do with it. */
export interface Adopted {
  /** A lent connection stays: the head that comes next has this much time. */
  keep(headLeftMs: number): void;
}

export interface Listener {
  /** Rejects with Node's error (`EADDRINUSE`, `EACCES` …). */
  listen(address: ListenAddress): Promise<{ readonly port: number }>;
  /**
   * Serves a connection that somebody else accepted, such as a fast path that does not want to answer what it read:
   * bytes already read are put back with `unshift` or are the first that the stream yields.
   */
  adopt(socket: Duplex, more?: Adoption): Adopted;
  /** Open connections, tunnels included. */
  readonly connections: number;
  /**
   * Stops accepting, closes idle connections and lets the others end with their current answer; after `graceMs` the
   * rest is cut. `handle` is still called for requests that arrive meanwhile on open connections.
   */
  drain(graceMs: number): Promise<void>;
  /** Cuts everything at once. */
  close(): Promise<void>;
}

/** Longest time in which a client takes nothing of a response. */
export const DEFAULT_WRITE_IDLE_MS = 60_000;
const DEFAULT_UNREAD_BODY_BYTES = 256 * 1024;
/** The parser counts target and fields together; it must never be the one who says that they are too large. */
const PARSER_SLACK_BYTES = 64 * 1024;
const MOST_PARSER_BYTES = 16 * 1024 * 1024;

export function createListener(options: ListenerOptions): Listener {
  const { limits, clock = systemClock } = options;
  const connections = new Map<Duplex, Connection>();
  let draining = false;
  let whenEmpty: (() => void)[] = [];
  const find: Find = (socket) => connections.get(socket);
  const server = createServer(options, find);
  const connectionOptions: ConnectionOptions = {
    handle: options.handle,
    onFault: options.onFault,
    entryLimits: options.trustLink
      ? { ...limits, pathQueryBytes: Infinity, cookieBytes: Infinity, headerBytes: Infinity }
      : limits,
    headMs: limits.headMs,
    idleMs: limits.idleMs,
    bodyIdleMs: limits.bodyIdleMs ?? limits.headMs,
    unreadBodyBytes: limits.unreadBodyBytes ?? DEFAULT_UNREAD_BODY_BYTES,
    clock,
    hop: options.hop ?? 'client',
    isDraining: () => draining,
  };

  const adoptions = new WeakMap<Duplex, Adoption>();
  const opened = (socket: Duplex): void => {
    if (options.refuseUnproven && refused(socket, options.refuseUnproven)) return;
    connections.set(socket, new Connection(socket, connectionOptions, adoptions.get(socket)));
    socket.once('close', () => {
      connections.delete(socket);
      if (connections.size > 0) return;
      for (const resolve of whenEmpty) resolve();
      whenEmpty = [];
    });
  };
  wire(server, options.tls ? 'secureConnection' : 'connection', opened, find);
  // Connections whose TLS handshake is under way are nobody's yet, but closing has to end them too.
  const handshaking = new Set<Duplex>();
  if (options.tls) {
    server.on('connection', (socket) => {
      handshaking.add(socket);
      socket.once('close', () => handshaking.delete(socket));
    });
  }
  watchStalledWriters(server, limits.writeIdleMs ?? DEFAULT_WRITE_IDLE_MS);

  const cutAll = (): void => {
    for (const socket of [...connections.keys(), ...handshaking]) socket.destroy();
  };
  // Adopted connections are not the server's, so its own closing is not enough.
  const stopped = async (): Promise<void> => {
    if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
    if (connections.size > 0) await new Promise<void>((resolve) => whenEmpty.push(resolve));
  };

  return {
    listen: ({ host, port, reusePort = false }) => listen(server, { host, port, reusePort }),
    adopt(socket, more = {}) {
      adoptions.set(socket, more);
      server.emit('connection', socket);
      return { keep: (headLeftMs) => connections.get(socket)?.keep(headLeftMs) };
    },
    get connections() {
      return connections.size;
    },
    async drain(graceMs) {
      draining = true;
      const done = stopped();
      for (const connection of [...connections.values()]) connection.closeIfIdle();
      const timer: Timer = clock.setTimer(graceMs, cutAll);
      await done;
      timer.cancel();
    },
    async close() {
      draining = true;
      const done = stopped();
      cutAll();
      await done;
    },
  };
}

/** How long a peer that was refused may take to read why. */
const REFUSED_MS = 2_000;

/** Whether a peer has no valid certificate; then it is told so, and what it says meanwhile is dropped. */
function refused(socket: Duplex, refusal: (reason: string) => Buffer): boolean {
  const { authorized, authorizationError } = socket as TLSSocket;
  if (authorized) return false;
  socket.on('error', () => {});
  socket.end(refusal(String(authorizationError ?? 'no certificate')));
  const late = setTimeout(() => socket.destroy(), REFUSED_MS);
  socket.once('close', () => clearTimeout(late));
  return true;
}

type Find = (socket: Duplex) => Connection | undefined;

function createServer({ limits, tls, trustLink }: ListenerOptions, find: Find): http.Server {
  const wanted = 2 * (limits.pathQueryBytes + limits.headerBytes) + PARSER_SLACK_BYTES;
  const options: http.ServerOptions = {
    requireHostHeader: false,
    insecureHTTPParser: false,
    maxHeaderSize: trustLink ? MOST_PARSER_BYTES : Math.min(wanted, MOST_PARSER_BYTES),
    // Ours run on the clock, answer 408 in our own words and know an idle connection from a slow head.
    headersTimeout: 0,
    requestTimeout: 0,
    keepAliveTimeout: 0,
    optimizeEmptyRequests: true,
    shouldUpgradeCallback: (incoming) =>
      upgradeTarget(incoming) !== undefined && find(incoming.socket)?.canUpgrade() === true,
  };
  const server = tls
    ? https.createServer({ ...options, ...tls, ALPNProtocols: ['http/1.1'] })
    : http.createServer(options);
  server.maxHeadersCount = 0;
  return server;
}

function wire(server: http.Server, connectionEvent: string, opened: (socket: Duplex) => void, find: Find): void {
  const accept = (expectation: Arrival['expectation']) => (incoming: IncomingMessage, outgoing: ServerResponse) =>
    find(incoming.socket)?.accept(incoming, outgoing, { expectation, upgrade: null });
  // Before Node's own, which starts to read.
  server.prependListener(connectionEvent, opened);
  server.on('request', accept('none'));
  server.on('checkContinue', accept('continue'));
  server.on('checkExpectation', accept('unknown'));
  server.on('clientError', (error: ParserError, socket) => {
    const connection = find(socket);
    if (connection) connection.parserError(error);
    else socket.destroy();
  });
  server.on('connect', (incoming, socket) => find(socket)?.acceptConnect(incoming));
  server.on('upgrade', (incoming, socket, head) => {
    find(socket)?.acceptUpgrade(incoming, upgradeTarget(incoming)!, head);
  });
}

/**
 * The protocol to switch to. Only WebSocket, and only by a request without a body: any other Upgrade is an offer that
 * a server may pass over (RFC 9110 section 7.8), and bytes after a body would be read twice.
 */
function upgradeTarget({ method, headers, httpVersion }: IncomingMessage): string | undefined {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0;
  if (method !== 'GET' || httpVersion !== '1.1' || hasBody) return undefined;
  if (headers.upgrade?.trim().toLowerCase() !== 'websocket') return undefined;
  return 'websocket';
}

/** Node's socket timer also notices a client that has stopped taking bytes, which nothing else does. */
function watchStalledWriters(server: http.Server, writeIdleMs: number): void {
  if (!Number.isFinite(writeIdleMs)) return;
  server.timeout = writeIdleMs;
  server.on('timeout', (socket) => {
    if (socket.writableLength === 0) socket.setTimeout(writeIdleMs);
    // One that is already ending cannot be reset any more, only destroyed.
    else if (socket.writableEnded) socket.destroy();
    else socket.resetAndDestroy();
  });
}

function listen(server: http.Server, { host, port, reusePort }: Required<ListenAddress>): Promise<{ port: number }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ port: number }>();
  server.once('error', reject);
  server.listen({ host, port, reusePort }, () => {
    server.off('error', reject);
    const address = server.address();
    resolve({ port: typeof address === 'object' && address ? address.port : port });
  });
  return promise;
}
