/** Requests that wait for a worker: production environments first, then first come, first served. */
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
  readonly #production = new Set<Ticket>();
  readonly #others = new Set<Ticket>();

  get size(): number {
    return this.#production.size + this.#others.size;
  }

  add(ticket: Ticket): void {
    this.#of(ticket).add(ticket);
  }

  has(ticket: Ticket): boolean {
    return this.#of(ticket).has(ticket);
  }

  delete(ticket: Ticket): boolean {
    ticket.timer?.cancel();
    return this.#of(ticket).delete(ticket);
  }

  /** In the order in which they are served. */
  *[Symbol.iterator](): Generator<Ticket> {
    yield* [...this.#production];
    yield* [...this.#others];
  }

  waitingFor(pool: Pool): number {
    let count = 0;
    for (const ticket of this.#production) if (ticket.pool === pool) count++;
    for (const ticket of this.#others) if (ticket.pool === pool) count++;
    return count;
  }

  #of({ pool }: Ticket): Set<Ticket> {
    return pool.runnable.production ? this.#production : this.#others;
  }
}
