/**
 * Finding out why a worker is late or gone: it is asked over the control pipe, looked at through the inspector while
 * it does not listen, and given the time to tell how it ended. Whoever asks bounds the waiting.
 */
import type { Clock } from '../base/clock.ts';
import type { GuestFault, GuestState } from './ipc.ts';
import type { WorkerEnd } from './outcome.ts';
import { sampleStack } from './sample.ts';
import { readGuestState } from './state.ts';
import type { Worker, WorkerRun } from './worker.ts';

/** How many times longer it is waited for the end of a process that should show that it lives. */
const ENDING_TIMES = 10;

export interface Inquiry {
  /** Settles when the guest's event loop turns. */
  readonly alive: Promise<'alive'>;
  readonly state: Promise<GuestState>;
}

/** Asks what a request, or loading, waits for. */
export function inquire(worker: Worker, token?: string): Inquiry {
  const n = Math.random();
  const alive = worker.message((message) => message.t === 'alive' && message.n === n).then(() => 'alive' as const);
  const state = worker.message((message) => message.t === 'state' && message.n === n).then(readGuestState);
  worker.tell({ t: 'state', n, ...(token === undefined ? {} : { token }) });
  return { alive, state };
}

/** Where the main thread is, while it does not let the event loop turn. */
export function stackSample(worker: Worker, clock: Clock, withinMs: number): Promise<string | undefined> {
  const { pid } = worker;
  if (pid === undefined || worker.state === 'ended') return Promise.resolve(undefined);
  const address = worker.inspector();
  try {
    process.kill(pid, 'SIGUSR1');
  } catch {
    return Promise.resolve(undefined);
  }
  return sampleStack(address, clock, withinMs);
}

/** Resolves when the guest says that the handler of an aborted request has ended, or the process has. */
export async function handlerEnded(worker: Worker, token: string): Promise<void> {
  await Promise.race([worker.message((message) => message.t === 'done' && message.token === token), worker.ended]);
}

/** What is known about a connection that broke: a report, the end of the process, or nothing in time. */
export async function brokenBy(
  worker: Worker,
  run: WorkerRun,
  clock: Clock,
  withinMs: number,
): Promise<GuestFault | WorkerEnd | null> {
  if (run.report && !worker.report) return run.report;
  const reported = worker.message((message) => message.t === 'fault' && !message.dying && message.token === run.token);
  const found = await Promise.race([worker.ended, reported, stillAlive(worker, clock, withinMs)]);
  return found && 't' in found ? (found.t === 'fault' ? found.fault : null) : (found ?? run.report ?? null);
}

/**
 * Null once the guest shows that it lives, or the time is up. Reports come on the same pipe before the sign of
 * life; the end of an app command may not, so there only time tells. On a busy machine a process takes its time to
 * end, so one that could show that it lives and does not is waited for longer.
 */
async function stillAlive(worker: Worker, clock: Clock, withinMs: number): Promise<null> {
  const { promise, resolve } = Promise.withResolvers<null>();
  const isCommand = worker.runnable.app?.kind === 'command';
  const timer = clock.setTimer(isCommand ? withinMs : withinMs * ENDING_TIMES, () => resolve(null));
  if (!isCommand) void inquire(worker).alive.then(() => resolve(null));
  return promise.finally(() => timer.cancel());
}
