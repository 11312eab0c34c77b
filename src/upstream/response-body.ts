import { Readable } from 'node:stream';
import { HeldFailure } from '../http/held-failure.ts';

/** The body as its reader sees it: asks for more when there is room, and says when it is given up early. */
export class ResponseBody extends Readable {
  readonly #wanted: () => void;
  readonly #dropped: (error: Error | null) => void;
  readonly #held = new HeldFailure(this);

  constructor(hooks: { wanted: () => void; dropped: (error: Error | null) => void }) {
    super();
    this.#wanted = hooks.wanted;
    this.#dropped = hooks.dropped;
  }

  /** The upstream broke off, or must not be listened to any longer. */
  fail(error: Error): void {
    this.#held.fail(error);
  }

  override read(bytes?: number): Buffer | null {
    this.#held.reading(bytes);
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
