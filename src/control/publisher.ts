/**
 * Who has which snapshot. Every connected POP gets the newest one, and answers with the version it now serves from,
 * or why it does not. Whoever published can wait until all connected POPs have answered.
 */
import type { Snapshot } from '../artifact/snapshot.ts';
import type { Clock } from '../base/clock.ts';
import type { PurgeReceipt } from './contract.ts';
import { Problem } from './problem.ts';

/** A POP's answer to a snapshot. */
export interface Ack {
  readonly pop: string;
  /** Tells processes apart that were given the same name; each has its own connection. */
  readonly instance?: string;
  readonly version: number;
  /** The snapshot as a whole was refused and the POP serves what it had. */
  readonly error?: string;
  /** Deployments (`<project>-<environment>-<number>`) that could not be made ready; the rest is served. */
  readonly failed?: readonly { readonly deployment: string; readonly message: string }[];
}

/** How a version was received by the POPs that were connected. */
export interface Settlement {
  readonly confirmed: readonly string[];
  /** Answered with an error or failed deployments. */
  readonly refused: readonly Ack[];
  /** Have not answered in time. */
  readonly silent: readonly string[];
}

/** A POP's answer to purges. */
export interface PurgeAck {
  readonly pop: string;
  readonly instance?: string;
  /** All up to this one are in force there. */
  readonly upTo: number;
  /** In force, but a restart might forget it. */
  readonly error?: string;
}

export interface PopStatus {
  readonly name: string;
  readonly connectedAt: string;
  /** Version last answered for; 0 before the first answer. */
  readonly version: number;
  /** The last purge that is in force there. */
  readonly purgedUpTo: number;
  readonly error?: string;
  readonly failed?: Ack['failed'];
}

/**
 * Serves from a snapshot, or keeps what it has and says why: resolves with `error` or `failed`, or rejects.
 * Resolves when everything `staged` is ready.
 */
export type ApplySnapshot = (snapshot: Snapshot) => Promise<Pick<Ack, 'error' | 'failed'>>;

export interface Subscriber {
  /** A newer snapshot; never called after `replaced`. */
  send(snapshot: Snapshot): void;
  /** There are purges that it has not been told of. */
  purged(): void;
  /** Another connection took the POP's name, or the control plane ends. */
  replaced(): void;
}

interface Connection {
  readonly pop: string;
  readonly subscriber: Subscriber;
  readonly connectedAtMs: number;
  ack: Ack | undefined;
  purgeAck: PurgeAck | undefined;
}

export class Publisher {
  readonly #clock: Clock;
  readonly #ackTimeoutMs: number;
  readonly #pops = new Map<string, Connection>();
  readonly #watchers = new Set<() => void>();
  #current: Snapshot;
  #lastPurge: number;
  #closed = false;

  constructor(clock: Clock, ackTimeoutMs: number, first: Snapshot, lastPurge = 0) {
    this.#lastPurge = lastPurge;
    this.#clock = clock;
    this.#ackTimeoutMs = ackTimeoutMs;
    this.#current = first;
  }

  get current(): Snapshot {
    return this.#current;
  }

  /** An older version than the current one is dropped: two publishers may overtake each other. */
  publish(snapshot: Snapshot): void {
    if (snapshot.version <= this.#current.version) return;
    this.#current = snapshot;
    for (const { subscriber } of this.#pops.values()) subscriber.send(snapshot);
  }

  /** Sends the current snapshot at once. Returns how to leave. */
  connect(pop: string, subscriber: Subscriber, instance?: string): () => void {
    const key = keyOf({ pop, instance });
    this.#pops.get(key)?.subscriber.replaced();
    this.#pops.set(key, { pop, subscriber, connectedAtMs: this.#clock.nowMs(), ack: undefined, purgeAck: undefined });
    subscriber.send(this.#current);
    return () => {
      if (this.#pops.get(key)?.subscriber !== subscriber) return;
      this.#pops.delete(key);
      this.#changed();
    };
  }

  /** False when no such POP is connected. */
  ack(ack: Ack): boolean {
    const connection = this.#pops.get(keyOf(ack));
    if (connection === undefined) return false;
    if (connection.ack === undefined || ack.version >= connection.ack.version) connection.ack = ack;
    this.#changed();
    return true;
  }

  /**
   * Resolves when every connected POP has answered for this version or a later one, or the time is up. Rejects with
   * a 503 `Problem` when the control plane ends first.
   */
  async settled(version: number): Promise<Settlement> {
    await this.#until(() => this.#settlement(version).silent.length === 0);
    return this.#settlement(version);
  }

  announcePurge(sequence: number): void {
    this.#lastPurge = Math.max(this.#lastPurge, sequence);
    for (const { subscriber } of this.#pops.values()) subscriber.purged();
  }

  /** The last purge that POPs are to be told of. */
  get lastPurge(): number {
    return this.#lastPurge;
  }

  /** False when no such POP is connected. */
  ackPurge(ack: PurgeAck): boolean {
    const connection = this.#pops.get(keyOf(ack));
    if (connection === undefined) return false;
    if (ack.upTo >= (connection.purgeAck?.upTo ?? 0)) connection.purgeAck = ack;
    this.#changed();
    return true;
  }

  /** As `settled`, for a purge. */
  purged(sequence: number): Promise<void> {
    return this.#until(() => this.receipts(sequence).every(({ state }) => state !== 'waiting'));
  }

  receipts(sequence: number): PurgeReceipt[] {
    return [...this.#pops.values()].map(({ pop, purgeAck }) => {
      if (purgeAck === undefined || purgeAck.upTo < sequence) return { pop, state: 'waiting' };
      return purgeAck.error === undefined ? { pop, state: 'done' } : { pop, state: 'failed', error: purgeAck.error };
    });
  }

  pops(): PopStatus[] {
    return [...this.#pops.values()].map(({ pop, connectedAtMs, ack, purgeAck }) => ({
      name: pop,
      connectedAt: new Date(connectedAtMs).toISOString(),
      version: ack?.version ?? 0,
      purgedUpTo: purgeAck?.upTo ?? 0,
      ...(ack?.error === undefined ? {} : { error: ack.error }),
      ...(ack?.failed === undefined ? {} : { failed: ack.failed }),
    }));
  }

  close(): void {
    this.#closed = true;
    for (const { subscriber } of this.#pops.values()) subscriber.replaced();
    this.#pops.clear();
    this.#changed();
  }

  #until(isOver: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = () => {
        timer.cancel();
        this.#watchers.delete(check);
        if (this.#closed) reject(stopping());
        else resolve();
      };
      const check = () => {
        if (this.#closed || isOver()) finish();
      };
      const timer = this.#clock.setTimer(this.#ackTimeoutMs, finish);
      this.#watchers.add(check);
      check();
    });
  }

  #changed(): void {
    for (const check of [...this.#watchers]) check();
  }

  #settlement(version: number): Settlement {
    const confirmed: string[] = [];
    const refused: Ack[] = [];
    const silent: string[] = [];
    for (const { pop, ack } of this.#pops.values()) {
      if (ack === undefined || ack.version < version) silent.push(pop);
      else if (ack.error !== undefined || (ack.failed?.length ?? 0) > 0) refused.push(ack);
      else confirmed.push(pop);
    }
    return { confirmed, refused, silent };
  }
}

const keyOf = ({ pop, instance }: { readonly pop: string; readonly instance?: string | undefined }): string =>
  instance === undefined ? pop : `${pop}\n${instance}`;

const stopping = (): Problem =>
  new Problem({ status: 503, reason: 'stopping', detail: 'the control plane is being stopped; ask again in a moment' });
