/**
 * Outgoing requests of project code, seen through Node's own diagnostics channels: how long a request spent in
 * them, and which are open when its time is up, in which phase, and from where they were made.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { Agent, ClientRequest, IncomingMessage } from 'node:http';
import type { ClientHttp2Stream } from 'node:http2';
import { isIP, type Socket } from 'node:net';
import type { CallPhase, OpenRequest } from '../ipc.ts';
import { currentRun, here, type Place, type Run } from './context.ts';
import { lookedUp, managedSockets } from './sockets.ts';

interface Outgoing {
  readonly kind: OpenRequest['kind'];
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly startedMs: number;
  readonly run: Run | undefined;
  readonly place: Place;
  readonly phase: () => CallPhase;
}

const open = new Map<object, Outgoing>();
/** Agents of our own calls, which are no business of the project. */
export const ownAgents = new WeakSet<Agent>();

export const openRequests = (from: (place: Place) => string | undefined): OpenRequest[] =>
  [...open.values()].map(({ kind, method, host, path, startedMs, run, place, phase }) => ({
    ...{ kind, method, host, path, phase: phase(), token: run?.token, from: from(place) },
    elapsedMs: Math.round(performance.now() - startedMs),
  }));

export function watchOutgoing(): void {
  watchHttp();
  watchFetch();
  watchHttp2();
}

/** A call that the platform makes for project code. */
export async function watchPlatformCall<T>(method: string, host: string, path: string, work: Promise<T>): Promise<T> {
  const key = {};
  begin(key, { kind: 'platform', method, host, path, phase: () => 'head' });
  try {
    return await work;
  } finally {
    end(key);
  }
}

type NodeRequest = ClientRequest & { agent?: Agent; res?: IncomingMessage };
type TlsSocket = Socket & { secureConnecting?: boolean };

function watchHttp(): void {
  subscribe('http.client.request.created', (message) => {
    const request = requestOf(message) as NodeRequest;
    if (request.agent && ownAgents.has(request.agent)) return;
    const { method, path } = request;
    begin(request, { kind: 'request', method, host: request.host, path, phase: () => httpPhase(request) });
    request.once('close', () => end(request));
  });
}

function httpPhase(request: NodeRequest): CallPhase {
  if (!request.headersSent && !request.writableEnded) return 'unsent';
  const socket = request.socket as TlsSocket | null;
  if (!socket) return 'queue';
  if (socket.connecting) return isIP(request.host) > 0 || lookedUp(socket) ? 'connect' : 'dns';
  if (socket.secureConnecting) return 'tls';
  if (request.res) return 'body';
  return request.writableFinished ? 'head' : 'send';
}

interface FetchRequest {
  readonly method: string;
  readonly path: string;
  readonly origin?: string | URL;
}

function watchFetch(): void {
  const phases = new WeakMap<object, CallPhase>();
  const connecting = new Map<object, string>();
  const reaches = (phase: CallPhase) => (message: unknown) => void phases.set(requestOf(message), phase);
  subscribe('undici:request:create', (message) => {
    const request = requestOf(message) as FetchRequest;
    const host = hostOf(request.origin);
    const phase = (): CallPhase =>
      phases.get(request) ?? ([...connecting.values()].includes(host) ? 'connect' : 'queue');
    begin(request, { kind: 'request', method: request.method, host, path: request.path, phase });
  });
  subscribe('undici:client:beforeConnect', (message) => {
    const { connectParams, connector } = message as { connectParams: { host: string }; connector: object };
    connecting.set(connector, connectParams.host);
  });
  const connected = (message: unknown): void => {
    const { connector, socket } = message as { connector: object; socket?: object };
    connecting.delete(connector);
    if (socket) managedSockets.add(socket);
  };
  subscribe('undici:client:connected', connected);
  subscribe('undici:client:connectError', connected);
  subscribe('undici:client:sendHeaders', reaches('send'));
  subscribe('undici:request:bodySent', reaches('head'));
  subscribe('undici:request:headers', reaches('body'));
  subscribe('undici:request:trailers', (message) => end(requestOf(message)));
  subscribe('undici:request:error', (message) => end(requestOf(message)));
}

function watchHttp2(): void {
  subscribe('http2.client.stream.created', (message) => {
    const { stream, headers } = message as { stream: ClientHttp2Stream; headers: Record<string, unknown> };
    const text = (name: string) => String(headers[name] ?? '');
    const phase = (): CallPhase =>
      stream.pending ? 'connect' : stream.sentHeaders === undefined ? 'send' : answered.has(stream) ? 'body' : 'head';
    const host = text(':authority');
    begin(stream, { kind: 'request', method: text(':method') || 'GET', host, path: text(':path'), phase });
    stream.once('close', () => end(stream));
  });
  const answered = new WeakSet<object>();
  subscribe('http2.client.stream.finish', (message) => void answered.add((message as { stream: object }).stream));
}

const requestOf = (message: unknown) => (message as { request: object }).request;

function hostOf(origin: string | URL | undefined): string {
  try {
    return new URL(String(origin)).host;
  } catch {
    return String(origin);
  }
}

function begin(request: object, call: Pick<Outgoing, 'kind' | 'method' | 'host' | 'path' | 'phase'>): void {
  const run = currentRun();
  if (run) run.outgoingCount++;
  open.set(request, { ...call, startedMs: performance.now(), run, place: here() });
}

function end(request: object): void {
  const outgoing = open.get(request);
  if (!outgoing) return;
  open.delete(request);
  if (outgoing.run) outgoing.run.outgoingMs += performance.now() - outgoing.startedMs;
}
