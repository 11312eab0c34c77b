/**
 * A request body as the pipeline sees it: read on demand from the client, apart from the connection, so that ending
 * or failing one never cuts the other. `Expect: 100-continue` is answered by the first read.
 */
import { Readable } from 'node:stream';
import type { Clock, Timer } from '../base/clock.ts';

/** The client closed the connection; nobody waits any more. Not a fault: nothing is answered or attributed. */
export class ClientLeft extends Error {
  constructor() {
    super('the client left');
    this.name = 'ClientLeft';
  }
}

export interface RequestBodyOptions {
  readonly clock: Clock;
  /** Longest pause of a client that we are waiting for. */
  readonly idleMs: number;
  readonly onFirstRead: () => void;
  readonly onIdle: (body: RequestBody) => void;
}

export class RequestBody extends Readable {
  readonly #source: Readable;
  readonly #options: RequestBodyOptions;
  #started = false;
  #timer: Timer | undefined;
  #progressMs = 0;
  #waiting = false;

  constructor(source: Readable, options: RequestBodyOptions) {
    super();
    this.#source = source;
    this.#options = options;
  }

  /** Whether anything was asked for. */
  get started(): boolean {
    return this.#started;
  }

  override _read(): void {
    if (!this.#started) this.#start();
    this.#waiting = true;
    this.#progressMs = this.#options.clock.monotonicMs();
    this.#watch(this.#options.idleMs);
    this.#source.resume();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#started) {
      this.#source.off('data', this.#onData).off('end', this.#onEnd);
      this.#source.pause();
    }
    done(error);
  }

  #start(): void {
    this.#started = true;
    this.#source.on('data', this.#onData).on('end', this.#onEnd);
    this.#options.onFirstRead();
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#progressMs = this.#options.clock.monotonicMs();
    if (this.push(chunk)) return;
    this.#waiting = false;
    this.#source.pause();
  };

  readonly #onEnd = (): void => {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.push(null);
  };

  /** One timer at a time: it looks at what has happened since and goes on waiting for the rest. */
  #watch(delayMs: number): void {
    if (this.#timer || this.#source.readableEnded) return;
    this.#timer = this.#options.clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      if (!this.#waiting) return;
      const leftMs = this.#progressMs + this.#options.idleMs - this.#options.clock.monotonicMs();
      if (leftMs > 0) this.#watch(leftMs);
      else this.#options.onIdle(this);
    });
  }
}
