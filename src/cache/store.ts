/**
 * The memory tier: values of any kind under text keys, bounded in bytes and in number. Knows nothing of HTTP. Every value belongs
 * to a space; dropping a space takes constant time, its values are gone at once and their memory is given back a
 * few at a time by later writes.
 */
import { type Evictable, type EvictionPolicy, Sieve } from './sieve.ts';

/** What an entry costs beside its value: index slot, links and object headers, measured on 64-bit V8. */
export const ENTRY_OVERHEAD_BYTES = 240;
/** Dropped entries whose memory one write gives back. */
const RECLAIMED_PER_WRITE = 64;

/** Proof of when a value was begun: a write with the handle of a space that was dropped meanwhile is refused. */
export interface Space {
  readonly name: string;
  readonly dropped: boolean;
}

/** A kept value seen from outside: whoever prepared something from it can tell that it is gone. */
export interface Held {
  /** False once the value was replaced, evicted, deleted or its space dropped, and while it is doubted. */
  readonly alive: boolean;
  /** Set by whoever uses the value without asking the store, so that it is not the next to go. */
  used: boolean;
}

export interface StoreLimits {
  readonly maxBytes: number;
  readonly maxEntries: number;
}

export class MemoryStore<Value> {
  readonly #limits: StoreLimits;
  readonly #policy: EvictionPolicy<Entry<Value>>;
  readonly #index = new Map<string, Entry<Value>>();
  readonly #spaces = new Map<string, LiveSpace<Value>>();
  readonly #dropped: Iterator<Entry<Value>>[] = [];
  readonly #doubts = { raised: 0 };
  #bytes = 0;

  constructor(limits: StoreLimits, policy: EvictionPolicy<Entry<Value>> = new Sieve()) {
    this.#limits = limits;
    this.#policy = policy;
  }

  /** Bytes held, those of dropped entries that are not yet given back included. */
  get bytes(): number {
    return this.#bytes;
  }

  get entries(): number {
    let entries = 0;
    for (const space of this.#spaces.values()) entries += space.members.size;
    return entries;
  }

  /** The current handle of a space. Handles of spaces that were never dropped are kept for ever: they are few. */
  space(name: string): Space {
    let space = this.#spaces.get(name);
    if (!space) {
      space = { name, dropped: false, members: new Set() };
      this.#spaces.set(name, space);
    }
    return space;
  }

  get(key: string): Value | undefined {
    const entry = this.#index.get(key);
    if (!entry || entry.space.dropped) return undefined;
    this.#policy.touched(entry);
    return entry.value;
  }

  /** The entry of a value that `get` gives, without counting as a use. */
  held(key: string): Held | undefined {
    const entry = this.#index.get(key);
    return entry?.alive ? entry : undefined;
  }

  /** Constant time: whoever holds an entry has to ask again, until it is confirmed. `get` gives them all the same. */
  doubtAll(): void {
    this.#doubts.raised++;
  }

  confirm(key: string): void {
    const entry = this.#index.get(key);
    if (entry) entry.confirmed = this.#doubts.raised;
  }

  /** Keeps the value, whose memory the caller counts as `valueBytes`. False when it is too big or its space is gone. */
  set(space: Space, key: string, value: Value, valueBytes: number): boolean {
    this.#reclaim(RECLAIMED_PER_WRITE);
    const bytes = valueBytes + key.length + ENTRY_OVERHEAD_BYTES;
    const { maxBytes, maxEntries } = this.#limits;
    if (space.dropped || bytes > maxBytes) return false;
    this.delete(key);
    while (this.#bytes + bytes > maxBytes || this.#index.size >= maxEntries) this.#makeRoom();
    const live = space as LiveSpace<Value>;
    const entry = new Entry(key, value, bytes, live, this.#doubts);
    this.#index.set(key, entry);
    live.members.add(entry);
    this.#policy.added(entry);
    this.#bytes += bytes;
    return true;
  }

  delete(key: string): void {
    const entry = this.#index.get(key);
    if (entry) this.#remove(entry);
  }

  /** Constant time; writes begun before are refused from now on. */
  dropSpace(name: string): void {
    const space = this.#spaces.get(name);
    if (!space) return;
    space.dropped = true;
    this.#spaces.delete(name);
    this.#dropped.push(space.members.values());
  }

  clear(): void {
    for (const name of [...this.#spaces.keys()]) this.dropSpace(name);
    this.#reclaim(Number.POSITIVE_INFINITY);
  }

  #makeRoom(): void {
    const victim = this.#dropped.length > 0 ? undefined : this.#policy.victim();
    if (victim) this.#remove(victim);
    else this.#reclaim(1);
  }

  #reclaim(count: number): void {
    for (let left = count; left > 0 && this.#dropped.length > 0; left--) {
      const next = this.#dropped.at(-1)!.next();
      if (next.done) this.#dropped.pop();
      else this.#remove(next.value);
    }
  }

  #remove(entry: Entry<Value>): void {
    this.#index.delete(entry.key);
    entry.removed = true;
    entry.space.members.delete(entry);
    this.#policy.removed(entry);
    this.#bytes -= entry.bytes;
  }
}

interface LiveSpace<Value> {
  readonly name: string;
  dropped: boolean;
  readonly members: Set<Entry<Value>>;
}

class Entry<Value> implements Evictable<Entry<Value>>, Held {
  readonly key: string;
  readonly value: Value;
  readonly bytes: number;
  readonly space: LiveSpace<Value>;
  newer: Entry<Value> | undefined;
  older: Entry<Value> | undefined;
  used = false;
  removed = false;
  confirmed: number;
  readonly #doubts: { readonly raised: number };

  constructor(key: string, value: Value, bytes: number, space: LiveSpace<Value>, doubts: { readonly raised: number }) {
    this.key = key;
    this.value = value;
    this.bytes = bytes;
    this.space = space;
    this.#doubts = doubts;
    this.confirmed = doubts.raised;
  }

  get alive(): boolean {
    return !this.removed && !this.space.dropped && this.confirmed === this.#doubts.raised;
  }
}
