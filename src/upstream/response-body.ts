import { Readable } from 'node:stream';

/**
 * The body as its reader sees it: asks for more when there is room, and says when it is given up early. A failure
 * waits for the reader: a stream that failed before anybody listened would tell nobody, and look like silence.
 */
export class ResponseBody extends Readable {
  readonly #wanted: () => void;
  readonly #dropped: (error: Error | null) => void;
  #hasReader = false;
  #failure: Error | null = null;

  constructor(hooks: { wanted: () => void; dropped: (error: Error | null) => void }) {
    super();
    this.#wanted = hooks.wanted;
    this.#dropped = hooks.dropped;
    // Who gave the body up does not listen any more, and its failure must not end the process.
    this.on('error', () => {});
  }

  /** The upstream broke off, or must not be listened to any longer. */
  fail(error: Error): void {
    if (this.#hasReader) this.destroy(error);
    else this.#failure = error;
  }

  /** Whoever reads listens; only the stream itself, reading ahead, asks for 0 bytes. */
  override read(bytes?: number): Buffer | null {
    if (bytes !== 0) this.#hasReader = true;
    if (this.#hasReader && this.#failure) this.destroy(this.#failure);
    return super.read(bytes) as Buffer | null;
  }

  override _read(): void {
    this.#wanted();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#dropped(error);
    done(error);
  }
}
