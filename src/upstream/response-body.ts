import { Readable } from 'node:stream';

/** The body as its reader sees it: asks for more when there is room, and says when it is given up early. */
export class ResponseBody extends Readable {
  readonly #wanted: () => void;
  readonly #dropped: (error: Error | null) => void;

  constructor(hooks: { wanted: () => void; dropped: (error: Error | null) => void }) {
    super();
    this.#wanted = hooks.wanted;
    this.#dropped = hooks.dropped;
    // A fault that comes before its reader listens must not end the process; it stays in `errored`.
    this.on('error', () => {});
  }

  override _read(): void {
    this.#wanted();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#dropped(error);
    done(error);
  }
}
