/** Which request a piece of code works for, carried through every await. */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Server } from 'node:http';

export interface Run {
  readonly token: string;
  /** Time spent in outgoing requests, ms. */
  outgoingMs: number;
  /** The response is out: what is written now is late. */
  ended: boolean;
}

const storage = new AsyncLocalStorage<Run>();

export const currentRun = (): Run | undefined => storage.getStore();

export function within<T>(token: string, work: (run: Run) => T): T {
  const run: Run = { token, outgoingMs: 0, ended: false };
  return storage.run(run, () => work(run));
}

/** Servers of the platform in this process; what they receive is not the app's. */
export const ownServers = new WeakSet<Server>();
