/**
 * Deadlines that are checked against what has happened, not against what has been noticed: a timer of a busy event
 * loop may fire before finished I/O was looked at, so the loop's poll phase runs once more before time is declared
 * to have run out (trap T16 of the status-code page).
 */
import type { Clock, Timer } from '../base/clock.ts';

/** The longest delay that Node's timers can hold. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** Calls `expired` once when `limitMs` pass without a `touch`. An infinite limit never expires. */
export class Deadline {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #expired: () => void;
  #sinceMs: number;
  #touches = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(clock: Clock, limitMs: number, expired: () => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#expired = expired;
    this.#sinceMs = clock.monotonicMs();
    this.#arm(limitMs);
  }

  /** Something happened: the time starts again. */
  touch(): void {
    this.#touches++;
    this.#sinceMs = this.#clock.monotonicMs();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #arm(delayMs: number): void {
    if (delayMs === Number.POSITIVE_INFINITY) return;
    this.#timer = this.#clock.setTimer(Math.min(delayMs, MAX_DELAY_MS), () => this.#fire());
  }

  #fire(): void {
    const leftMs = this.#limitMs - (this.#clock.monotonicMs() - this.#sinceMs);
    if (leftMs > 0) {
      this.#arm(leftMs);
      return;
    }
    const seen = this.#touches;
    afterPoll(() => {
      if (this.#stopped) return;
      if (this.#touches === seen) this.#expired();
      else this.#arm(this.#limitMs);
    });
  }
}

/** Runs `then` after a complete poll phase, wherever in the loop the caller stands. */
function afterPoll(then: () => void): void {
  setImmediate(() => setImmediate(then));
}

export interface Bounds {
  readonly clock: Clock;
  readonly limitMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Waits for `work` within bounds: rejects with what `late` makes when time runs out, and with the signal's reason
 * when nobody waits any more. The work itself is not stopped.
 */
export function within<Result>(work: Promise<Result>, bounds: Bounds, late: () => Error): Promise<Result> {
  const { clock, limitMs, signal } = bounds;
  if (signal?.aborted) {
    work.catch(() => {});
    return Promise.reject(signal.reason);
  }
  return new Promise((resolve, reject) => {
    const deadline = new Deadline(clock, limitMs, () => settle(() => reject(late())));
    const aborted = (): void => settle(() => reject(signal?.reason));
    const settle = (finish: () => void): void => {
      deadline.stop();
      signal?.removeEventListener('abort', aborted);
      finish();
    };
    signal?.addEventListener('abort', aborted, { once: true });
    work.then(
      (result) => settle(() => resolve(result)),
      (error) => settle(() => reject(error)),
    );
  });
}
