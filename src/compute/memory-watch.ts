/**
 * Looks at the memory of one worker while it works, and says when it has too much. Between requests nothing
 * allocates, so nobody looks.
 */
import type { Clock, Timer } from '../base/clock.ts';
import { kernelKills, residentBytes, treeBytes } from './memory.ts';

const CHECK_MS = 50;
const MIB = 1_048_576;

export interface Watched {
  readonly clock: Clock;
  readonly limitMiB: number;
  /** Children of the process count as well. */
  readonly tree: boolean;
  pid(): number | undefined;
  /** Has anything to do. */
  works(): boolean;
  tooLarge(): void;
}

export class MemoryWatch {
  readonly #watched: Watched;
  #killsBefore = 0;
  #timer: Timer | undefined;
  #over = false;
  #bytes = 0;

  constructor(watched: Watched) {
    this.#watched = watched;
  }

  /** Just before the process is there. */
  start(): void {
    this.#killsBefore = kernelKills();
  }

  /** From now until it has nothing more to do. */
  watch(): void {
    if (this.#timer || this.#over) return;
    this.#timer = this.#watched.clock.setTimer(CHECK_MS, () => this.#look());
  }

  end(): void {
    this.#over = true;
    this.#timer?.cancel();
  }

  /** As last seen. */
  get figures(): { readonly bytes: number; readonly limitBytes: number } {
    return { bytes: this.#bytes, limitBytes: this.#watched.limitMiB * MIB };
  }

  /** The kernel has killed something for want of memory since the start. */
  kernelKilled(): boolean {
    return kernelKills() > this.#killsBefore;
  }

  residentMiB(): number {
    const pid = this.#watched.pid();
    return pid === undefined ? 0 : Math.round(residentBytes(pid) / MIB);
  }

  #look(): void {
    this.#timer = undefined;
    const { tree, works, tooLarge } = this.#watched;
    const pid = this.#watched.pid();
    if (this.#over || pid === undefined) return;
    this.#bytes = tree ? treeBytes(pid) : residentBytes(pid);
    if (this.#bytes > this.figures.limitBytes) tooLarge();
    else if (works()) this.watch();
  }
}
