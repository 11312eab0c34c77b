/**
 * A failure that waits for the reader. A short body may have come and failed before anybody was given it; a stream
 * that is destroyed then tells nobody, and to whoever listens later it looks like silence.
 */
import { PassThrough, type Readable } from 'node:stream';

/** Part of a stream whose `read` is overridden to ask it first. */
export class HeldFailure {
  readonly #stream: Readable;
  #hasReader = false;
  #failure: Error | null = null;

  constructor(stream: Readable) {
    this.#stream = stream;
    // Who gave the body up does not listen any more, and its failure must not end the process.
    stream.on('error', () => {});
  }

  fail(error: Error): void {
    if (this.#hasReader) this.#stream.destroy(error);
    else this.#failure ??= error;
  }

  /** Somebody reads, and therefore listens; only the stream itself, reading ahead, asks for 0 bytes. */
  reading(bytes: number | undefined): void {
    if (bytes !== 0) this.#hasReader = true;
    if (this.#hasReader && this.#failure) this.#stream.destroy(this.#failure);
  }
}

/** A body that is written by one side and read by the other. */
export class BodyPipe extends PassThrough {
  readonly #held = new HeldFailure(this);

  fail(error: Error): void {
    this.#held.fail(error);
  }

  override read(bytes?: number): Buffer | null {
    this.#held.reading(bytes);
    return super.read(bytes) as Buffer | null;
  }
}
