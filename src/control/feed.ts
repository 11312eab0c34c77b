/**
 * The lines of `GET /v1/feed`: the current snapshot at once, then every newer one, and a heartbeat when nothing
 * happens. A POP that reads slowly misses intermediate snapshots, never the newest.
 */
import type { Snapshot } from '../artifact/snapshot.ts';
import type { FeedLine } from './contract.ts';
import type { Publisher } from './publisher.ts';

export async function* feedLines(
  publisher: Publisher,
  pop: string,
  heartbeatMs: number,
  signal: AbortSignal,
  instance?: string,
): AsyncGenerator<FeedLine> {
  const mailbox = new Mailbox();
  const leave = publisher.connect(pop, { send: (it) => mailbox.put(it), replaced: () => mailbox.end() }, instance);
  const end = () => mailbox.end();
  signal.addEventListener('abort', end);
  try {
    if (signal.aborted) return;
    while (!mailbox.ended) {
      const snapshot = await mailbox.take(heartbeatMs);
      if (snapshot) yield { snapshot };
      else if (!mailbox.ended) yield { heartbeat: publisher.current.version };
    }
  } finally {
    signal.removeEventListener('abort', end);
    leave();
  }
}

/** Holds the newest snapshot that has not been taken. */
class Mailbox {
  ended = false;
  #newest: Snapshot | undefined;
  #wake: () => void = () => {};

  put(snapshot: Snapshot): void {
    this.#newest = snapshot;
    this.#wake();
  }

  end(): void {
    this.ended = true;
    this.#wake();
  }

  /** Undefined when none came in time, or none will come. */
  async take(waitMs: number): Promise<Snapshot | undefined> {
    if (this.#newest === undefined && !this.ended) await this.#arrival(waitMs);
    const snapshot = this.#newest;
    this.#newest = undefined;
    return snapshot;
  }

  #arrival(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, waitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
