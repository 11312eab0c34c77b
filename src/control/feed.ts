/**
 * The lines of `GET /v1/feed`: the purges that the POP has missed and the current snapshot at once, then what is
 * newer, and a heartbeat when nothing happens. A POP that reads slowly misses intermediate snapshots, never the
 * newest, and no purge.
 */
import type { Purge } from '../artifact/purge.ts';
import type { Snapshot } from '../artifact/snapshot.ts';
import type { FeedLine } from './contract.ts';
import type { Publisher } from './publisher.ts';

export interface FeedReader {
  readonly pop: string;
  readonly instance?: string | undefined;
  /** The last purge that it knows of. */
  readonly purgedUpTo: number;
}

export interface FeedSource {
  readonly publisher: Publisher;
  readonly purgesAfter: (sequence: number) => Promise<readonly Purge[]>;
  readonly heartbeatMs: number;
}

export async function* feedLines(
  { publisher, purgesAfter, heartbeatMs }: FeedSource,
  { pop, instance, purgedUpTo }: FeedReader,
  signal: AbortSignal,
): AsyncGenerator<FeedLine> {
  const mailbox = new Mailbox();
  const subscriber = {
    send: (snapshot: Snapshot) => mailbox.put(snapshot),
    purged: () => mailbox.notePurges(),
    replaced: () => mailbox.end(),
  };
  const leave = publisher.connect(pop, subscriber, instance);
  const end = () => mailbox.end();
  signal.addEventListener('abort', end);
  try {
    if (signal.aborted) return;
    let toldUpTo = purgedUpTo;
    while (!mailbox.ended) {
      const { snapshot, purges } = await mailbox.take(heartbeatMs);
      if (purges) {
        const upTo = publisher.lastPurge;
        yield { purges: await purgesAfter(toldUpTo), upTo };
        toldUpTo = upTo;
      }
      if (snapshot) yield { snapshot };
      else if (!purges && !mailbox.ended) yield { heartbeat: publisher.current.version };
    }
  } finally {
    signal.removeEventListener('abort', end);
    leave();
  }
}

interface Mail {
  readonly snapshot: Snapshot | undefined;
  readonly purges: boolean;
}

/** Holds the newest snapshot that has not been taken, and whether there are new purges. */
class Mailbox {
  ended = false;
  #newest: Snapshot | undefined;
  /** What came before the connection is new to the reader. */
  #purges = true;
  #wake: () => void = () => {};

  put(snapshot: Snapshot): void {
    this.#newest = snapshot;
    this.#wake();
  }

  notePurges(): void {
    this.#purges = true;
    this.#wake();
  }

  end(): void {
    this.ended = true;
    this.#wake();
  }

  /** Empty when none came in time, or none will come. */
  async take(waitMs: number): Promise<Mail> {
    if (this.#newest === undefined && !this.#purges && !this.ended) await this.#arrival(waitMs);
    const mail: Mail = { snapshot: this.#newest, purges: this.#purges };
    this.#newest = undefined;
    this.#purges = false;
    return mail;
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
