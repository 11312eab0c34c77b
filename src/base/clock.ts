/**
 * Time as an argument. Everything that waits, ages or times out takes a `Clock`, so that tests move time
 * instead of sleeping. `monotonicMs` never goes back and is for durations; `nowMs` is wall time for dates and logs.
 */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  nowMs(): number;
  /** Monotonic milliseconds with a fraction; the zero point has no meaning. */
  monotonicMs(): number;
  /** Calls `fire` once after `delayMs`. The timer never keeps the process alive. */
  setTimer(delayMs: number, fire: () => void): Timer;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(delayMs, fire) {
    const handle = setTimeout(fire, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  },
};
