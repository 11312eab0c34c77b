/**
 * Requests that wait for a worker, in the order in which they came, apart for each pool: production environments
 * first. Bounded in all; when it is full, who has most waiting gives way, so that nobody fills it for the others.
 */
import type { Timer } from '../base/clock.ts';
import type { Pool } from './pool.ts';
import type { ComputeCall } from './types.ts';
import type { Worker } from './worker.ts';

export interface Ticket {
  readonly call: ComputeCall;
  readonly pool: Pool;
  readonly askedMs: number;
  /** Once the first look found no worker. */
  queued: boolean;
  timer?: Timer;
  readonly take: (worker: Worker) => void;
  readonly refuse: (reason: unknown) => void;
}

export class Queue {
  readonly #waiting = new Map<Pool, Set<Ticket>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(ticket: Ticket): void {
    const tickets = this.#waiting.get(ticket.pool);
    if (tickets) tickets.add(ticket);
    else this.#waiting.set(ticket.pool, new Set([ticket]));
    this.#size++;
  }

  has(ticket: Ticket): boolean {
    return this.#waiting.get(ticket.pool)?.has(ticket) === true;
  }

  delete(ticket: Ticket): boolean {
    ticket.timer?.cancel();
    const tickets = this.#waiting.get(ticket.pool);
    if (!tickets?.delete(ticket)) return false;
    this.#size--;
    if (tickets.size === 0) this.#waiting.delete(ticket.pool);
    return true;
  }

  all(): Ticket[] {
    return [...this.#waiting.values()].flatMap((tickets) => [...tickets]);
  }

  /** Those with somebody waiting, in the order in which they are served. */
  pools(): Pool[] {
    const pools = [...this.#waiting.keys()];
    return pools.sort((a, b) => Number(b.runnable.production) - Number(a.runnable.production));
  }

  /** Who waits longest for this pool. */
  first(pool: Pool): Ticket | undefined {
    return this.#waiting.get(pool)?.values().next().value;
  }

  waitingFor(pool: Pool): number {
    return this.#waiting.get(pool)?.size ?? 0;
  }

  waitingOf(owner: string): number {
    let count = 0;
    for (const [pool, tickets] of this.#waiting) if (pool.owner === owner) count += tickets.size;
    return count;
  }

  /** The newest request of the owner that has most waiting. */
  newestOfLargest(): Ticket | undefined {
    const largest = [...this.#waiting.keys()].sort((a, b) => this.waitingOf(b.owner) - this.waitingOf(a.owner))[0];
    if (!largest) return undefined;
    const ofOwner = [...this.#waiting].filter(([pool]) => pool.owner === largest.owner);
    return ofOwner.flatMap(([, tickets]) => [...tickets]).sort((a, b) => b.askedMs - a.askedMs)[0];
  }
}
