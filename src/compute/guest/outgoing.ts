/**
 * Outgoing requests of project code, seen through Node's own diagnostics channels: how long a request spent in
 * them, and which are open when its time is up.
 */
import { subscribe } from 'node:diagnostics_channel';
import type { Agent, ClientRequest } from 'node:http';
import type { OpenRequest } from '../ipc.ts';
import { currentRun, type Run } from './context.ts';

interface Outgoing {
  readonly host: string;
  readonly startedMs: number;
  readonly run: Run | undefined;
  readonly isConnected: () => boolean;
}

const open = new Map<object, Outgoing>();
/** Agents of our own calls, which are no business of the project. */
export const ownAgents = new WeakSet<Agent>();

export const openRequests = (): OpenRequest[] =>
  [...open.values()].map(({ host, startedMs, isConnected }) => ({
    host,
    elapsedMs: Math.round(performance.now() - startedMs),
    connected: isConnected(),
  }));

export function watchOutgoing(): void {
  const requestOf = (message: unknown) => (message as { request: object }).request;
  subscribe('http.client.request.start', (message) => {
    const request = requestOf(message) as ClientRequest & { agent?: Agent };
    if (request.agent && ownAgents.has(request.agent)) return;
    begin(request, request.host, () => request.socket !== null && !request.socket?.connecting);
    request.once('close', () => end(request));
  });
  const sent = new WeakSet<object>();
  subscribe('undici:request:create', (message) => {
    const request = requestOf(message) as { origin?: string | URL };
    begin(request, hostOf(request.origin), () => sent.has(request));
  });
  subscribe('undici:client:sendHeaders', (message) => sent.add(requestOf(message)));
  subscribe('undici:request:trailers', (message) => end(requestOf(message)));
  subscribe('undici:request:error', (message) => end(requestOf(message)));
}

function hostOf(origin: string | URL | undefined): string {
  try {
    return new URL(String(origin)).host;
  } catch {
    return String(origin);
  }
}

function begin(request: object, host: string, isConnected: () => boolean): void {
  open.set(request, { host, startedMs: performance.now(), run: currentRun(), isConnected });
}

function end(request: object): void {
  const outgoing = open.get(request);
  if (!outgoing) return;
  open.delete(request);
  if (outgoing.run) outgoing.run.outgoingMs += performance.now() - outgoing.startedMs;
}
