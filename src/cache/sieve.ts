/**
 * Which entry goes first: SIEVE (Zhang et al., NSDI 2024). One queue in order of arrival and a hand that walks from
 * the oldest to the newest, sparing once what was used since it last came by. A hit only sets a bit.
 */
export interface EvictionPolicy<Entry extends Evictable<Entry>> {
  added(entry: Entry): void;
  removed(entry: Entry): void;
  touched(entry: Entry): void;
  /** The entry to remove next; the caller then removes it. Undefined when there is none. */
  victim(): Entry | undefined;
}

/** Links that belong to the policy; an entry starts with all of them undefined and false. */
export interface Evictable<Self> {
  newer: Self | undefined;
  older: Self | undefined;
  used: boolean;
}

export class Sieve<Entry extends Evictable<Entry>> implements EvictionPolicy<Entry> {
  #newest: Entry | undefined;
  #oldest: Entry | undefined;
  #hand: Entry | undefined;

  added(entry: Entry): void {
    entry.older = this.#newest;
    if (this.#newest) this.#newest.newer = entry;
    this.#newest = entry;
    this.#oldest ??= entry;
  }

  touched(entry: Entry): void {
    entry.used = true;
  }

  removed(entry: Entry): void {
    if (this.#hand === entry) this.#hand = entry.newer;
    if (entry.newer) entry.newer.older = entry.older;
    else this.#newest = entry.older;
    if (entry.older) entry.older.newer = entry.newer;
    else this.#oldest = entry.newer;
    entry.newer = undefined;
    entry.older = undefined;
  }

  victim(): Entry | undefined {
    let hand = this.#hand ?? this.#oldest;
    while (hand?.used) {
      hand.used = false;
      hand = hand.newer ?? this.#oldest;
    }
    this.#hand = hand;
    return hand;
  }
}
