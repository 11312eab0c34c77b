import { currentRun } from './run-context.ts';

/**
 * A duration of the project's own, told to the client and the log. `new Timing('db').start()` … `.end()`.
 * Milliseconds. Source: spec "Headers", section 7.
 */
export class Timing {
  readonly name: string;
  #runningSinceMs: number | null = null;
  #totalMs = 0;

  constructor(name: string) {
    this.name = name.replace(/[^\w!#$%&'*+.^`|~-]/g, '_');
  }

  start(): this {
    this.#totalMs = 0;
    currentRun()?.options.userTiming?.(this.name, Number.NaN);
    return this.resume();
  }

  pause(): this {
    if (this.#runningSinceMs !== null) this.#totalMs += performance.now() - this.#runningSinceMs;
    this.#runningSinceMs = null;
    return this;
  }

  resume(): this {
    this.#runningSinceMs ??= performance.now();
    return this;
  }

  end(): this {
    return this.pause().set(this.#totalMs);
  }

  /** Reports a duration measured elsewhere. */
  set(valueMs: number): this {
    this.#totalMs = valueMs;
    const run = currentRun();
    run?.timings.set(this.name, valueMs);
    run?.options.userTiming?.(this.name, valueMs);
    return this;
  }
}
