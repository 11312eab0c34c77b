/**
 * Keep-alive connections to one origin: as many as its limit allows, the most recently used first, each for one
 * exchange at a time. A call that finds none free waits a bounded time for one (`connect.pool-full`, 531 and 543).
 */
import type { Clock, Timer } from '../base/clock.ts';
import type { Connection } from './connection.ts';
import { within } from './deadline.ts';
import { StageFailure } from './failure.ts';

export interface PoolLimits {
  readonly poolSize: number;
  readonly poolWaitMs: number;
}

export interface Lease {
  /** A kept connection, or null: a place in the pool is reserved and the caller dials. */
  readonly connection: Connection | null;
}

interface Idle {
  readonly connection: Connection;
  readonly timer: Timer;
}

interface Waiter {
  readonly give: (lease: Lease) => void;
}

export class Pool {
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #onEmpty: () => void;
  readonly #idle: Idle[] = [];
  readonly #waiters: Waiter[] = [];
  readonly #open = new Set<Connection>();
  /** Places taken: open connections and dials under way. */
  #places = 0;

  /** `onEmpty`: nothing is open and nobody waits; the pool may be forgotten. */
  constructor(clock: Clock, idleMs: number, onEmpty: () => void) {
    this.#clock = clock;
    this.#idleMs = idleMs;
    this.#onEmpty = onEmpty;
  }

  /** With `fresh`, kept connections are passed over: one of them just turned out to be dead. */
  async lease(limits: PoolLimits, signal: AbortSignal, fresh: boolean): Promise<Lease> {
    const kept = fresh ? null : this.#takeIdle();
    if (kept !== null) return { connection: kept };
    if (this.#places >= limits.poolSize) this.#dropOldestIdle();
    if (this.#places < limits.poolSize) {
      this.#places++;
      return { connection: null };
    }
    return this.#wait(limits, signal);
  }

  /** The reserved place now holds this connection; it is given up when the connection closes. */
  occupy(connection: Connection): void {
    this.#open.add(connection);
    connection.wire.once('close', () => this.#forget(connection));
    if (connection.wire.destroyed) this.#forget(connection);
  }

  /** Dialling failed, so the reserved place is free again. */
  giveUp(): void {
    this.#places--;
    this.#serveWaiter();
  }

  /** An exchange is over: the connection is kept, unless anything about it is in doubt. */
  release(connection: Connection): void {
    if (!this.#open.has(connection)) return;
    const waiter = connection.usable ? this.#waiters.shift() : undefined;
    if (!connection.usable) connection.close();
    else if (waiter !== undefined) waiter.give({ connection });
    else this.#keep(connection);
  }

  /** The connection speaks another protocol from now on and lives as long as its users want. */
  detach(connection: Connection): void {
    this.#forget(connection);
  }

  close(): void {
    for (const connection of [...this.#open]) connection.close();
  }

  #keep(connection: Connection): void {
    const timer = this.#clock.setTimer(this.#idleMs, () => connection.close());
    this.#idle.push({ connection, timer });
  }

  #takeIdle(): Connection | null {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      idle.timer.cancel();
      if (idle.connection.usable) return idle.connection;
      idle.connection.close();
    }
    return null;
  }

  #dropOldestIdle(): void {
    const oldest = this.#idle[0]?.connection;
    if (oldest === undefined) return;
    this.#forget(oldest);
    oldest.close();
  }

  async #wait(limits: PoolLimits, signal: AbortSignal): Promise<Lease> {
    const { promise, resolve } = Promise.withResolvers<Lease>();
    const waiter: Waiter = { give: resolve };
    this.#waiters.push(waiter);
    const bounds = { clock: this.#clock, limitMs: limits.poolWaitMs, signal };
    try {
      return await within(
        promise,
        bounds,
        () => new StageFailure('connect.pool-full', { evidence: { ...limits, value: limits.poolWaitMs } }),
      );
    } catch (error) {
      const at = this.#waiters.indexOf(waiter);
      if (at >= 0) this.#waiters.splice(at, 1);
      // It was given something in the very moment in which it stopped waiting.
      else void promise.then((lease) => this.#takeBack(lease));
      throw error;
    }
  }

  #takeBack(lease: Lease): void {
    if (lease.connection === null) this.giveUp();
    else this.release(lease.connection);
  }

  #forget(connection: Connection): void {
    if (!this.#open.delete(connection)) return;
    const at = this.#idle.findIndex((idle) => idle.connection === connection);
    if (at >= 0) this.#idle.splice(at, 1)[0]!.timer.cancel();
    this.giveUp();
  }

  #serveWaiter(): void {
    const waiter = this.#waiters.shift();
    if (waiter === undefined) {
      if (this.#places === 0) this.#onEmpty();
      return;
    }
    this.#places++;
    waiter.give({ connection: null });
  }
}
