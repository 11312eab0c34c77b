/**
 * Timers that requests sleep in: which are not due yet when the time of a request is up. Short ones are no reason
 * for anything and cost nothing here; `_destroyed` is how Node itself marks a timer that has fired or was cleared.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { promisify } from 'node:util';
import type { PendingTimer } from '../ipc.ts';
import { currentRun, here, type Place, type Run } from './context.ts';

const LONG_MS = 200;
const REMEMBERED = 64;

export interface SleepingTimer {
  readonly dueMs: number;
  readonly delayMs: number;
  readonly place: Place;
  /** Absent for those that are promises. */
  readonly timer?: { readonly _destroyed?: boolean };
}

// biome-ignore lint/suspicious/noExplicitAny: any function of Node's, called as it was
type AnyFunction = (...args: any[]) => any;

export function watchTimers(): void {
  const require = createRequire(import.meta.url);
  const timers = require('node:timers') as Record<string, AnyFunction>;
  const promises = require('node:timers/promises') as Record<string, AnyFunction>;
  const sleep = promises.setTimeout!;
  promises.setTimeout = like(sleep, (delay: unknown, ...rest: unknown[]) => {
    note(Number(delay));
    return sleep(delay, ...rest);
  });
  for (const name of ['setTimeout', 'setInterval'] as const) {
    const original = timers[name]!;
    const watched = like(original, (work: unknown, delay: unknown, ...rest: unknown[]) => {
      const timer = original(work, delay, ...rest);
      note(Number(delay), timer);
      return timer;
    });
    timers[name] = watched;
    globalThis[name] = watched as never;
  }
  Object.defineProperty(timers.setTimeout, promisify.custom, { enumerable: true, get: () => promises.setTimeout });
  syncBuiltinESMExports();
}

function like(original: AnyFunction, watched: AnyFunction): AnyFunction {
  const { name, length } = Object.getOwnPropertyDescriptors(original);
  return Object.defineProperties(watched, { name, length } as PropertyDescriptorMap);
}

function note(delayMs: number, timer?: SleepingTimer['timer']): void {
  if (!(delayMs >= LONG_MS)) return;
  const run = currentRun();
  if (!run || run.ended) return;
  run.timers ??= [];
  if (run.timers.length >= REMEMBERED) run.timers.shift();
  run.timers.push({ dueMs: performance.now() + delayMs, delayMs, place: here(), ...(timer ? { timer } : {}) });
}

/** Longest sleep first. */
export function sleepingTimers({ timers = [] }: Run, from: (place: Place) => string | undefined): PendingTimer[] {
  const nowMs = performance.now();
  return timers
    .filter(({ dueMs, timer }) => dueMs > nowMs && timer?._destroyed !== true)
    .sort((a, b) => b.dueMs - a.dueMs)
    .slice(0, 8)
    .map(({ dueMs, delayMs, place }) => ({ dueInMs: Math.round(dueMs - nowMs), delayMs, from: from(place) }));
}
