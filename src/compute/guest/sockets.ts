/**
 * Client sockets of project code that no HTTP client manages, databases above all: one that has been written to
 * and has not been heard of since is what a request waits for.
 */
import { Socket } from 'node:net';
import type { OpenRequest } from '../ipc.ts';
import { currentRun, here, type Place } from './context.ts';

interface Watched {
  readonly startedMs: number;
  readonly host: string;
  lookedUp: boolean;
  token: string | undefined;
  place: Place | undefined;
  wroteMs: number | undefined;
  /** Of the socket, when it was last written to. */
  bytesRead: number;
}

/** What Node's HTTP client hangs on a socket that it uses. */
type ClientSocket = Socket & { _httpMessage?: unknown; secureConnecting?: boolean };

const open = new Map<ClientSocket, Watched>();
/** Those of HTTP clients: their requests are watched instead. */
export const managedSockets = new WeakSet<object>();

export function watchSockets(): void {
  const { connect } = Socket.prototype;
  Socket.prototype.connect = function (this: ClientSocket, ...args: unknown[]) {
    const result = Reflect.apply(connect as (...all: unknown[]) => Socket, this, args);
    // Afterwards, because `connect` puts the original `write` back.
    begin(this, hostOf(args));
    return result;
  } as typeof connect;
}

function begin(socket: ClientSocket, host: string): void {
  const watched: Watched = {
    ...{ startedMs: performance.now(), host, lookedUp: false, token: currentRun()?.token },
    ...{ place: here(), wroteMs: undefined, bytesRead: 0 },
  };
  open.set(socket, watched);
  socket.once('lookup', () => {
    watched.lookedUp = true;
  });
  socket.once('close', () => open.delete(socket));
  const { write } = socket;
  socket.write = function (this: ClientSocket, ...args: unknown[]) {
    if (!this._httpMessage && !managedSockets.has(this)) wrote(this, watched);
    return Reflect.apply(write as (...all: unknown[]) => boolean, this, args);
  } as typeof write;
}

function wrote(socket: ClientSocket, watched: Watched): void {
  // What follows a write without an answer in between is the same question.
  if (watched.wroteMs !== undefined && watched.bytesRead === socket.bytesRead) return;
  watched.wroteMs = performance.now();
  watched.bytesRead = socket.bytesRead;
  watched.token = currentRun()?.token;
  watched.place = here();
}

/** `connect(options)`, `connect(port, host)`, `connect(path)`, or the normalised list of Node's own callers. */
function hostOf(args: readonly unknown[]): string {
  const [first, second] = args;
  const options = (Array.isArray(first) ? first[0] : first) as { host?: string; port?: unknown; path?: string } | null;
  if (options !== null && typeof options === 'object')
    return options.path ?? `${options.host ?? 'localhost'}:${String(options.port)}`;
  return typeof second === 'string' ? `${second}:${String(first)}` : String(first);
}

export const lookedUp = (socket: object): boolean => open.get(socket as ClientSocket)?.lookedUp === true;

export function waitingSockets(from: (place: Place | undefined) => string | undefined): OpenRequest[] {
  const nowMs = performance.now();
  const found: OpenRequest[] = [];
  for (const [socket, watched] of open) {
    if (socket._httpMessage || managedSockets.has(socket)) continue;
    const answered = watched.wroteMs === undefined || socket.bytesRead !== watched.bytesRead;
    if (!socket.connecting && (answered || socket.destroyed)) continue;
    const sinceMs = socket.connecting ? watched.startedMs : watched.wroteMs!;
    const phase = socket.connecting ? 'connect' : socket.secureConnecting ? 'tls' : 'head';
    const { host, token, place } = watched;
    found.push({ kind: 'socket', host, phase, elapsedMs: Math.round(nowMs - sinceMs), token, from: from(place) });
  }
  return found;
}
