/** The workers of one deployment in one state of its environment, and what is known about starting them. */
import type { Timer } from '../base/clock.ts';
import type { Fault } from '../status/fault.ts';
import { endFault } from './outcome.ts';
import type { Room } from './room.ts';
import type { Runnable } from './types.ts';
import { Worker } from './worker.ts';

const FIRST_BACKOFF_MS = 1_000;
const LONGEST_BACKOFF_MS = 30_000;
/** A worker that dies sooner than this after its start, without a request, counts as one that failed to start. */
const EARLY_DEATH_MS = 1_000;

export class Pool {
  /** Unique among pools. */
  readonly key: string;
  readonly runnable: Runnable;
  /** Whose processes these are when machines are shared: the environment's. */
  readonly owner: string;
  readonly workers = new Set<Worker>();
  /** When somebody last asked for it, monotonic. */
  askedMs = Number.NEGATIVE_INFINITY;
  /** How many workers to keep without traffic. */
  keep = 0;
  /** Callers of `prepare`, told by the first worker that is ready or fails. */
  readonly preparing: { resolve(): void; reject(fault: unknown): void }[] = [];

  /** With the limits of its environment. */
  readonly room: Room;
  readonly #onChange: (pool: Pool) => void;
  #failure: { readonly fault: Fault; readonly retryAtMs: number } | undefined;
  #backoffMs = FIRST_BACKOFF_MS;
  #retry: Timer | undefined;

  constructor(room: Room, key: string, runnable: Runnable, onChange: (pool: Pool) => void) {
    const { limits } = runnable;
    this.room = limits === undefined ? room : { ...room, limits: { ...room.limits, ...limits } };
    this.key = key;
    this.runnable = runnable;
    this.owner = runnable.owner ?? runnable.id;
    this.#onChange = onChange;
  }

  /** Started, or still starting, and fit for requests. */
  get live(): number {
    return this.#count((worker) => worker.state === 'starting' || worker.state === 'ready');
  }

  /** On the way and promised to nobody. */
  get coming(): number {
    return this.#count((worker) => worker.state === 'starting' && worker.runs.size === 0);
  }

  /** How long the request that has been running longest has been running, ms. */
  longestRunMs(): number {
    const begun = [...this.workers].flatMap(({ runs }) => [...runs.values()].map(({ begunMs }) => begunMs));
    return begun.length === 0 ? 0 : Math.round(this.room.clock.monotonicMs() - Math.min(...begun));
  }

  /** The fault of the last start, while it is too early for another one. */
  failure(): Fault | undefined {
    const failure = this.#failure;
    return failure && this.room.clock.monotonicMs() < failure.retryAtMs ? failure.fault : undefined;
  }

  /** The worker with the fewest requests that takes one more; the most recently used of equals stays warm. */
  available(): Worker | undefined {
    let best: Worker | undefined;
    for (const worker of this.workers) {
      if (worker.state !== 'ready' || worker.runs.size >= this.room.limits.concurrencyPerWorker) continue;
      if (!best || worker.runs.size < best.runs.size) best = worker;
      else if (worker.runs.size === best.runs.size && worker.idleSinceMs > best.idleSinceMs) best = worker;
    }
    return best;
  }

  /** Least recently used first. */
  idle(): Worker[] {
    return [...this.workers]
      .filter((worker) => worker.state === 'ready' && worker.runs.size === 0)
      .sort((a, b) => a.idleSinceMs - b.idleSinceMs);
  }

  start(): Worker {
    const worker = new Worker(this.room, this.runnable);
    this.workers.add(worker);
    worker.ready.then(
      () => this.#started(),
      () => {},
    );
    void worker.ended.then((end) => {
      this.workers.delete(worker);
      const early = worker.served === 0 && this.room.clock.monotonicMs() - worker.startedMs < EARLY_DEATH_MS;
      const ours = end.killed === 'stop' || end.killed === 'deadline';
      if (!ours && (end.phase !== 'serve' || early)) this.#failed(endFault(end, this.room.projectCrashed));
      this.#onChange(this);
    });
    return worker;
  }

  stop(): void {
    this.keep = 0;
    this.#retry?.cancel();
    for (const worker of this.workers) worker.retire();
  }

  #count(wanted: (worker: Worker) => boolean): number {
    let count = 0;
    for (const worker of this.workers) if (wanted(worker)) count++;
    return count;
  }

  #started(): void {
    this.#failure = undefined;
    this.#backoffMs = FIRST_BACKOFF_MS;
    for (const caller of this.preparing.splice(0)) caller.resolve();
    this.#onChange(this);
  }

  #failed(fault: Fault): void {
    this.#failure = { fault, retryAtMs: this.room.clock.monotonicMs() + this.#backoffMs };
    for (const caller of this.preparing.splice(0)) caller.reject(fault);
    this.#retry?.cancel();
    this.#retry = this.room.clock.setTimer(this.#backoffMs + 1, () => this.#onChange(this));
    this.#backoffMs = Math.min(this.#backoffMs * 2, LONGEST_BACKOFF_MS);
  }
}
