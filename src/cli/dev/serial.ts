/** Runs a piece of work again whenever asked to, never twice at the same time: what comes meanwhile is one more run. */
export class Serial {
  readonly #work: () => Promise<void>;
  #running: Promise<void> | null = null;
  #again = false;

  /** `work` must not reject. */
  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** Resolves when everything that was asked for up to now has been done. */
  run(): Promise<void> {
    if (this.#running) this.#again = true;
    else this.#running = this.#runUntilDone();
    return this.#running;
  }

  async #runUntilDone(): Promise<void> {
    do {
      this.#again = false;
      await this.#work();
    } while (this.#again);
    this.#running = null;
  }
}
