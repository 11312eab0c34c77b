/** A clock that only moves when a test says so. Timers fire in the order of their times, during `advance`. */
import type { Clock, Timer } from '../../src/base/clock.ts';

interface Pending {
  readonly dueMs: number;
  readonly delayMs: number;
  readonly fire: () => void;
}

export class ManualClock implements Clock {
  readonly #startMs: number;
  #elapsedMs = 0;
  #pending: Pending[] = [];
  #watchers: { readonly delayMs: number; readonly resolve: () => void }[] = [];

  /** Wall time at the start, milliseconds since the epoch. */
  constructor(startMs = Date.UTC(2025, 0, 1)) {
    this.#startMs = startMs;
  }

  nowMs(): number {
    return this.#startMs + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  setTimer(delayMs: number, fire: () => void): Timer {
    const timer: Pending = { dueMs: this.#elapsedMs + Math.max(0, delayMs), delayMs, fire };
    this.#pending.push(timer);
    const reached = this.#watchers.filter((watcher) => watcher.delayMs === delayMs);
    this.#watchers = this.#watchers.filter((watcher) => watcher.delayMs !== delayMs);
    for (const watcher of reached) watcher.resolve();
    return { cancel: () => this.#remove(timer) };
  }

  /** Moves time and fires what falls due, timers set on the way included. */
  advance(ms: number): void {
    const targetMs = this.#elapsedMs + ms;
    for (let next = this.#nextDue(targetMs); next !== undefined; next = this.#nextDue(targetMs)) {
      this.#elapsedMs = Math.max(this.#elapsedMs, next.dueMs);
      this.#remove(next);
      next.fire();
    }
    this.#elapsedMs = targetMs;
  }

  /** Delays of the timers that are set and have not fired. */
  get delays(): number[] {
    return this.#pending.map((timer) => timer.delayMs);
  }

  /** Resolves as soon as a timer of exactly this delay is set (at once when there is one): an event to wait for. */
  armed(delayMs: number): Promise<void> {
    if (this.#pending.some((timer) => timer.delayMs === delayMs)) return Promise.resolve();
    return new Promise((resolve) => this.#watchers.push({ delayMs, resolve }));
  }

  #nextDue(limitMs: number): Pending | undefined {
    let next: Pending | undefined;
    for (const timer of this.#pending) {
      if (timer.dueMs <= limitMs && (next === undefined || timer.dueMs < next.dueMs)) next = timer;
    }
    return next;
  }

  #remove(timer: Pending): void {
    const at = this.#pending.indexOf(timer);
    if (at >= 0) this.#pending.splice(at, 1);
  }
}
