/** Which request a piece of code works for, carried through every await, and all requests that are being worked on. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Server } from 'node:http';
import type { SleepingTimer } from './timers.ts';

export interface Run {
  readonly token: string;
  readonly startedMs: number;
  /** The process's, when the request came. */
  readonly cpuAtStart: NodeJS.CpuUsage;
  /** Time spent in outgoing requests, ms, and how many there were. */
  outgoingMs: number;
  outgoingCount: number;
  /** Long timers that it has started. */
  timers?: SleepingTimer[];
  /** The response is out: what is written now is late. */
  ended: boolean;
}

const storage = new AsyncLocalStorage<Run>();
const running = new Map<string, Run>();

export const currentRun = (): Run | undefined => storage.getStore();
export const runOf = (token: string): Run | undefined => running.get(token);

export function within<T>(token: string, work: (run: Run) => T): T {
  const known = running.get(token);
  if (known) return storage.run(known, () => work(known));
  const cpuAtStart = process.cpuUsage();
  const startedMs = performance.now();
  const run: Run = { token, startedMs, cpuAtStart, outgoingMs: 0, outgoingCount: 0, ended: false };
  running.set(token, run);
  return storage.run(run, () => work(run));
}

export function endRun(run: Run): void {
  run.ended = true;
  running.delete(run.token);
}

/** Servers of the platform in this process; what they receive is not the app's. */
export const ownServers = new WeakSet<Server>();

/** Where something was asked for: formatted, and mapped to the source, only when somebody wants to know. */
export interface Place {
  stack?: string;
}

const DEPTH = 32;

export function here(): Place {
  const place: Place = {};
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = DEPTH;
  Error.captureStackTrace(place, here);
  Error.stackTraceLimit = stackTraceLimit;
  return place;
}
