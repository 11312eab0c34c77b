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
import { type Holder, mayStart, mayTake } from './shares.ts';
import { telemetry, withEvidence } from './telemetry.ts';
import type { Compute, ComputeAnswer, ComputeCall, Runnable } from './types.ts';
import type { Worker } from './worker.ts';

/** An environment that was asked for this recently may be asked again. */
const ACTIVE_MS = 60_000;

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
    const tooLarge = requestFault(call.request, this.#pool(call.runnable).room.limits.requestBytes);
    if (tooLarge) throw tooLarge;
    const exchange = await this.#handOver(call, askedMs, 1);
    try {
      return await exchange.answer;
    } catch (fault) {
      if (!exchange.repeatable || this.#closed || call.signal.aborted) throw fault;
    }
    return (await this.#handOver(call, askedMs, 2)).answer;
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
    for (const ticket of this.#queue.all()) this.#refuse(ticket, draining());
    const workers = [...this.#pools.values()].flatMap((pool) => {
      for (const caller of pool.preparing.splice(0)) caller.reject(draining());
      pool.stop();
      return [...pool.workers];
    });
    for (const worker of workers) worker.kill('stop');
    await Promise.all(workers.map((worker) => worker.ended));
    await closeRoom(this.#room);
  }

  #handOver(call: ComputeCall, askedMs: number, attempt: number): Promise<Exchange> {
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
          const submissions = attempt + (ticket.queued ? 1 : 0);
          const exchange = new Exchange(ticket.pool.room, worker, call, { askedMs, handedOverMs, submissions });
          void exchange.released.then(() => this.#dispatch());
          resolve(exchange);
        },
        refuse: (reason) => {
          done();
          reject(reason);
        },
      };
      call.signal.addEventListener('abort', onAbort, { once: true });
      ticket.pool.askedMs = this.#room.clock.monotonicMs();
      this.#queue.add(ticket);
      this.#dispatch();
      this.#settleIn(ticket);
    });
  }

  /** What the first look did not serve either waits, within the limits, or is refused. */
  #settleIn(ticket: Ticket): void {
    if (!this.#queue.has(ticket)) return;
    const { scheduleMs, queueDepth } = ticket.pool.room.limits;
    ticket.queued = true;
    if (this.#queue.size > queueDepth) {
      const others = this.#queue.newestOfLargest();
      const own = this.#queue.waitingOf(ticket.pool.owner);
      const isTheirs = others !== undefined && this.#queue.waitingOf(others.pool.owner) > own;
      const refused = isTheirs ? others : ticket;
      this.#giveUp(refused, 'queue-full', queueDepth);
      if (refused === ticket) return;
    }
    this.#room.clock.setTimer(this.#room.growMs, () => this.#queue.has(ticket) && this.#grow(ticket.pool));
    ticket.timer = this.#room.clock.setTimer(scheduleMs, () => {
      // A worker that came free in the same turn still counts.
      this.#dispatch();
      this.#giveUp(ticket, 'queue-timeout', scheduleMs);
    });
  }

  #refuse(ticket: Ticket, reason: unknown): void {
    if (this.#queue.delete(ticket)) ticket.refuse(reason);
  }

  #giveUp(ticket: Ticket, kind: 'queue-full' | 'queue-timeout', value: number): void {
    if (this.#queue.delete(ticket)) ticket.refuse(this.#outOfWorkers(ticket, kind, value));
  }

  /** What those who still wait and those who run look like to one who does not get through. */
  #outOfWorkers({ askedMs, pool }: Ticket, kind: 'queue-full' | 'queue-timeout', value: number): Fault {
    const nowMs = this.#room.clock.monotonicMs();
    return new Fault({
      cause: `compute.${kind}`,
      hop: 'compute',
      evidence: {
        limit: kind === 'queue-full' ? 'compute.queueDepth' : 'compute.scheduleMs',
        value,
        waiting: this.#queue.size,
        waitingHere: this.#queue.waitingOf(pool.owner),
        workers: pool.live,
        workersInAll: this.#processes(),
        longestRunMs: pool.longestRunMs(),
        telemetry: telemetry({ askedMs, handedOverMs: nowMs, submissions: 1 }, nowMs),
      },
    });
  }

  /** Brings together what can be; called whenever something changed. */
  #dispatch(): void {
    if (this.#closed) return;
    for (const pool of this.#queue.pools()) this.#serve(pool);
    for (const pool of this.#wantingInOrder())
      if (!this.#needs(pool) || this.#start(pool, true)) this.#wanting.delete(pool);
    for (const pool of this.#pools.values())
      while (pool.live < pool.keep && !pool.failure() && this.#start(pool, false));
  }

  #serve(pool: Pool): void {
    const failure = pool.failure();
    for (let ticket = this.#queue.first(pool); ticket; ticket = this.#queue.first(pool)) {
      const worker = pool.available() ?? (failure ? undefined : this.#firstWorker(pool));
      if (worker) {
        this.#queue.delete(ticket);
        ticket.take(worker);
      } else if (failure && pool.live === 0) this.#refuse(ticket, this.#stillFailing(ticket, failure));
      else return;
    }
  }

  /** Who has none before who has some, production first among equals. */
  #wantingInOrder(): Pool[] {
    if (this.#wanting.size < 2) return [...this.#wanting];
    const holders = this.#holders();
    const workers = (pool: Pool): number => holders.get(pool.owner)?.workers ?? 0;
    const first = (pool: Pool): number => (workers(pool) === 0 ? 0 : pool.runnable.production ? 1 : 2);
    return [...this.#wanting].sort((a, b) => first(a) - first(b) || workers(a) - workers(b));
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

  /** Undefined when there is none to have; `taking` ends an idle worker of another deployment for it. */
  #start(pool: Pool, taking: boolean): Worker | undefined {
    const { maxWorkers } = this.#room;
    const holders = this.#holders();
    if (mayStart(pool.owner, holders, maxWorkers, maxWorkers - this.#processes())) return pool.start();
    if (!taking) return undefined;
    this.#wanting.add(pool);
    const all = [...this.#pools.values()];
    if (all.some(({ workers }) => [...workers].some(isLeaving))) return undefined;
    const mine = holders.get(pool.owner)?.workers ?? 0;
    const [victim] = all
      .filter((other) => other !== pool)
      .filter(({ owner }) => owner === pool.owner || mayTake(mine, holders.get(owner)?.workers ?? 0))
      .flatMap((other) => other.idle())
      .sort((a, b) => a.idleSinceMs - b.idleSinceMs);
    // Its end is a change, and then this is asked again.
    victim?.retire();
    return undefined;
  }

  #processes(): number {
    let count = 0;
    for (const { workers } of this.#pools.values()) count += workers.size;
    return count;
  }

  /** Environments with what they have. */
  #holders(): Map<string, Holder> {
    const recentMs = this.#room.clock.monotonicMs() - ACTIVE_MS;
    const holders = new Map<string, Holder>();
    for (const { owner, workers, askedMs } of this.#pools.values()) {
      const known = holders.get(owner);
      const active = known?.active === true || askedMs >= recentMs;
      holders.set(owner, { workers: (known?.workers ?? 0) + workers.size, active });
    }
    return holders;
  }

  #pool(runnable: Runnable): Pool {
    const known = this.#poolOf.get(runnable);
    if (known && this.#pools.get(known.key) === known) return known;
    const key = `${runnable.id}\n${JSON.stringify([runnable.environmentName, runnable.directory, runnable.variables, runnable.limits])}`;
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
      const { scheduleMs } = pool.room.limits;
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
