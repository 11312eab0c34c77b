/**
 * Project code behind one call. Requests meet workers here: a free one at once, a new one when there is none, a
 * second one when the first keeps somebody waiting, or the queue with its two limits. Processes are bounded over
 * all deployments; who needs one takes it from an idle worker of somebody else.
 */
import type { Timer } from '../base/clock.ts';
import { Fault } from '../status/fault.ts';
import { Exchange } from './exchange.ts';
import type { ComputeOptions } from './options.ts';
import { Pool } from './pool.ts';
import { Queue, type Ticket } from './queue.ts';
import { requestFault } from './request.ts';
import { closeRoom, openRoom, type Room } from './room.ts';
import { telemetry, withEvidence } from './telemetry.ts';
import type { Compute, ComputeAnswer, ComputeCall, Runnable } from './types.ts';
import type { Worker } from './worker.ts';

/** Throws when `runDir` cannot be written. */
export function createCompute(options: ComputeOptions): Compute {
  return new Scheduler(openRoom(options));
}

class Scheduler implements Compute {
  readonly #room: Room;
  /** By id and state of the environment: a changed variable means other workers. */
  readonly #pools = new Map<string, Pool>();
  readonly #poolOf = new WeakMap<Runnable, Pool>();
  readonly #queue = new Queue();
  /** Need a process and got none; the next one that comes free is theirs. */
  readonly #wanting = new Set<Pool>();
  readonly #sweep: { timer?: Timer } = {};
  #closed = false;

  constructor(room: Room) {
    this.#room = room;
    this.#scheduleSweep();
  }

  async prepare(runnable: Runnable): Promise<void> {
    if (this.#closed) throw draining();
    const pool = this.#pool(runnable);
    pool.keep = Math.max(1, this.#room.prewarm);
    const failure = pool.failure();
    if (failure) throw failure;
    if (![...pool.workers].some((worker) => worker.state === 'ready')) await this.#firstReady(pool);
    else this.#dispatch();
    this.#retireOthers(pool);
  }

  async run(call: ComputeCall): Promise<ComputeAnswer> {
    const askedMs = this.#room.clock.monotonicMs();
    if (this.#closed) throw draining();
    call.signal.throwIfAborted();
    const tooLarge = requestFault(call.request, this.#room.limits.requestBytes);
    if (tooLarge) throw tooLarge;
    const exchange = await this.#handOver(call, askedMs);
    void exchange.released.then(() => this.#dispatch());
    return exchange.answer;
  }

  release(id: string): void {
    for (const [key, pool] of this.#pools) {
      if (pool.runnable.id !== id) continue;
      pool.stop();
      if (pool.workers.size === 0 && this.#queue.waitingFor(pool) === 0) this.#pools.delete(key);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#sweep.timer?.cancel();
    for (const ticket of this.#queue) this.#refuse(ticket, draining());
    const workers = [...this.#pools.values()].flatMap((pool) => {
      for (const caller of pool.preparing.splice(0)) caller.reject(draining());
      pool.stop();
      return [...pool.workers];
    });
    for (const worker of workers) worker.kill('stop');
    await Promise.all(workers.map((worker) => worker.ended));
    await closeRoom(this.#room);
  }

  #handOver(call: ComputeCall, askedMs: number): Promise<Exchange> {
    return new Promise((resolve, reject) => {
      const onAbort = (): void => this.#refuse(ticket, call.signal.reason);
      const done = (): void => call.signal.removeEventListener('abort', onAbort);
      const ticket: Ticket = {
        call,
        pool: this.#pool(call.runnable),
        askedMs,
        queued: false,
        take: (worker) => {
          done();
          const handedOverMs = this.#room.clock.monotonicMs();
          const submissions = ticket.queued ? 2 : 1;
          resolve(new Exchange(this.#room, worker, call, { askedMs, handedOverMs, submissions }));
        },
        refuse: (reason) => {
          done();
          reject(reason);
        },
      };
      call.signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.add(ticket);
      this.#dispatch();
      this.#settleIn(ticket);
    });
  }

  /** What the first look did not serve either waits, within the limits, or is refused. */
  #settleIn(ticket: Ticket): void {
    if (!this.#queue.has(ticket)) return;
    const { scheduleMs, queueDepth } = this.#room.limits;
    ticket.queued = true;
    if (this.#queue.size > queueDepth) {
      this.#refuse(ticket, this.#outOfWorkers(ticket, 'queue-full', queueDepth));
      return;
    }
    this.#room.clock.setTimer(this.#room.growMs, () => this.#queue.has(ticket) && this.#grow(ticket.pool));
    ticket.timer = this.#room.clock.setTimer(scheduleMs, () => {
      // A worker that came free in the same turn still counts.
      this.#dispatch();
      if (this.#queue.has(ticket)) this.#refuse(ticket, this.#outOfWorkers(ticket, 'queue-timeout', scheduleMs));
    });
  }

  #refuse(ticket: Ticket, reason: unknown): void {
    if (this.#queue.delete(ticket)) ticket.refuse(reason);
  }

  #outOfWorkers({ askedMs, pool }: Ticket, kind: 'queue-full' | 'queue-timeout', value: number): Fault {
    const nowMs = this.#room.clock.monotonicMs();
    return new Fault({
      cause: `compute.${kind}`,
      hop: 'compute',
      evidence: {
        limit: kind === 'queue-full' ? 'compute.queueDepth' : 'compute.scheduleMs',
        value,
        waiting: this.#queue.size,
        workers: pool.live,
        telemetry: telemetry({ askedMs, handedOverMs: nowMs, submissions: 1 }, nowMs),
      },
    });
  }

  /** Brings together what can be; called whenever something changed. */
  #dispatch(): void {
    if (this.#closed) return;
    for (const ticket of this.#queue) {
      const failure = ticket.pool.failure();
      const worker = ticket.pool.available() ?? (failure ? undefined : this.#firstWorker(ticket.pool));
      if (worker) {
        this.#queue.delete(ticket);
        ticket.take(worker);
      } else if (failure && ticket.pool.live === 0) this.#refuse(ticket, this.#stillFailing(ticket, failure));
    }
    for (const pool of this.#wanting) if (!this.#needs(pool) || this.#start(pool, true)) this.#wanting.delete(pool);
    if (this.#wanting.size > 0) return;
    for (const pool of this.#pools.values())
      while (pool.live < pool.keep && !pool.failure() && this.#start(pool, false));
  }

  #needs(pool: Pool): boolean {
    if (pool.failure()) return false;
    return (pool.live === 0 && pool.preparing.length > 0) || pool.coming < this.#queue.waitingFor(pool);
  }

  /** A failed start answers for all who come before it is tried again. */
  #stillFailing({ askedMs }: Ticket, failure: Fault): Fault {
    const nowMs = this.#room.clock.monotonicMs();
    return withEvidence(failure, { telemetry: telemetry({ askedMs, handedOverMs: nowMs, submissions: 1 }, nowMs) });
  }

  #firstWorker(pool: Pool): Worker | undefined {
    return pool.live === 0 ? this.#start(pool, true) : undefined;
  }

  /** Another worker beside the busy ones, if more wait than are on the way. */
  #grow(pool: Pool): void {
    if (!this.#closed && this.#needs(pool)) this.#start(pool, true);
  }

  /** Undefined when every process is in use; `mayTake` ends an idle worker of another deployment for it. */
  #start(pool: Pool, mayTake: boolean): Worker | undefined {
    const all = [...this.#pools.values()];
    const processes = all.reduce((sum, { workers }) => sum + workers.size, 0);
    if (processes < this.#room.maxWorkers) return pool.start();
    if (!mayTake) return undefined;
    this.#wanting.add(pool);
    if (all.some(({ workers }) => [...workers].some(isLeaving))) return undefined;
    const [victim] = all
      .filter((other) => other !== pool)
      .flatMap((other) => other.idle())
      .sort((a, b) => a.idleSinceMs - b.idleSinceMs);
    // Its end is a change, and then this is asked again.
    victim?.retire();
    return undefined;
  }

  #pool(runnable: Runnable): Pool {
    const known = this.#poolOf.get(runnable);
    if (known && this.#pools.get(known.key) === known) return known;
    const key = `${runnable.id}\n${JSON.stringify([runnable.environmentName, runnable.directory, runnable.variables])}`;
    let pool = this.#pools.get(key);
    if (!pool) {
      pool = new Pool(this.#room, key, runnable, () => this.#dispatch());
      this.#pools.set(key, pool);
    }
    this.#poolOf.set(runnable, pool);
    return pool;
  }

  #firstReady(pool: Pool): Promise<void> {
    return new Promise((resolve, reject) => {
      const { scheduleMs } = this.#room.limits;
      const { clock } = this.#room;
      // Bounds the wait for a process; how long loading may take is the worker's own limit.
      const timer = clock.setTimer(scheduleMs, () => {
        if (pool.live === 0) caller.reject(new Fault({ cause: 'compute.queue-timeout', hop: 'compute' }));
      });
      const settle = (): void => {
        timer.cancel();
        const at = pool.preparing.indexOf(caller);
        if (at >= 0) pool.preparing.splice(at, 1);
      };
      const caller = {
        resolve: () => {
          settle();
          resolve();
        },
        reject: (fault: unknown) => {
          settle();
          reject(fault);
        },
      };
      pool.preparing.push(caller);
      if (pool.live === 0) this.#start(pool, true);
      this.#dispatch();
    });
  }

  /** Workers of the same deployment in an earlier state of its environment finish what they have. */
  #retireOthers(current: Pool): void {
    for (const [key, pool] of this.#pools) {
      if (pool === current || pool.runnable.id !== current.runnable.id) continue;
      pool.stop();
      if (pool.workers.size === 0) this.#pools.delete(key);
    }
  }

  #scheduleSweep(): void {
    const { clock, idleMs } = this.#room;
    this.#sweep.timer = clock.setTimer(Math.max(10, idleMs / 2), () => {
      for (const [key, pool] of this.#pools) this.#stopIdle(key, pool);
      this.#scheduleSweep();
    });
  }

  #stopIdle(key: string, pool: Pool): void {
    const nowMs = this.#room.clock.monotonicMs();
    for (const worker of pool.idle()) {
      if (pool.live <= pool.keep) break;
      if (nowMs - worker.idleSinceMs >= this.#room.idleMs) worker.retire();
    }
    const forgotten = pool.keep === 0 && pool.workers.size === 0 && !pool.failure();
    if (forgotten && this.#queue.waitingFor(pool) === 0) this.#pools.delete(key);
  }
}

const isLeaving = ({ state, runs }: Worker): boolean => state === 'retiring' && runs.size === 0;

const draining = (): Fault => new Fault({ cause: 'platform.draining', hop: 'compute' });
