/**
 * Watches the two waits of a kept connection: for the next request to begin (idle) and for its head to be complete.
 * Node's parser does not tell when a head begins, but the socket counts its bytes: what is looked at when time is up.
 * One timer serves a connection for its whole life; starting a wait seldom costs more than noting its deadline.
 */
import type { Clock, Timer } from '../base/clock.ts';

export interface PhaseWatchOptions {
  readonly clock: Clock;
  readonly headMs: number;
  readonly idleMs: number;
  readonly bytesRead: () => number;
  /** A head has begun and not ended in time. */
  readonly onSlowHead: () => void;
  /** Nothing has come in time. */
  readonly onSilence: () => void;
}

export class PhaseWatch {
  readonly #options: PhaseWatchOptions;
  #phase: 'head' | 'idle' | 'busy' | 'over' = 'head';
  #deadlineMs = 0;
  #bytesBefore = 0;
  #timer: Timer | undefined;

  /** A fresh connection owes its first head; part of its time may have passed already. */
  constructor(options: PhaseWatchOptions, headLeftMs: number = options.headMs) {
    this.#options = options;
    this.#expectWithin(headLeftMs, options.clock.monotonicMs());
  }

  /** Time that the current or next head still has. */
  leftMs(): number {
    const { headMs, clock } = this.#options;
    return this.#phase === 'head' ? Math.max(0, this.#deadlineMs - clock.monotonicMs()) : headMs;
  }

  /** Not a byte has come since the wait began. */
  get untouched(): boolean {
    return this.#options.bytesRead() === this.#bytesBefore;
  }

  /** A request is being served. */
  busy(): void {
    this.#phase = 'busy';
  }

  /** A head is due within this time, wherever its time began. */
  head(leftMs: number): void {
    this.#phase = 'head';
    this.#bytesBefore = this.#options.bytesRead();
    this.#expectWithin(leftMs, this.#options.clock.monotonicMs());
  }

  idle(nowMs: number = this.#options.clock.monotonicMs()): void {
    this.#phase = 'idle';
    this.#bytesBefore = this.#options.bytesRead();
    this.#expectWithin(this.#options.idleMs, nowMs);
  }

  stop(): void {
    this.#phase = 'over';
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #expectWithin(delayMs: number, nowMs: number): void {
    const earlierMs = this.#deadlineMs;
    this.#deadlineMs = nowMs + delayMs;
    if (this.#timer && earlierMs <= this.#deadlineMs) return; // it fires early and then waits for the rest
    this.#timer?.cancel();
    this.#setTimer(delayMs);
  }

  #setTimer(delayMs: number): void {
    this.#timer = this.#options.clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      if (this.#phase === 'busy') return;
      const leftMs = this.#deadlineMs - this.#options.clock.monotonicMs();
      if (leftMs > 0) this.#setTimer(leftMs);
      else this.#expired();
    });
  }

  #expired(): void {
    if (this.untouched) this.#options.onSilence();
    else if (this.#phase === 'head') this.#options.onSlowHead();
    else {
      // A head has begun while we were idle; when exactly is not known, so it gets the whole time.
      this.#phase = 'head';
      this.#expectWithin(this.#options.headMs, this.#options.clock.monotonicMs());
    }
  }
}
