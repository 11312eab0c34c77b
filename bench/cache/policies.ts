/**
 * Which eviction policy keeps what is asked for again: hit ratios of LRU, SIEVE (ours), S3-FIFO and W-TinyLFU on
 * generated traces. `node bench/cache/policies.ts` prints the table of docs/decisions/eviction.md; the traces have a
 * seed, so it prints the same everywhere.
 */
import { type Evictable, Sieve } from '../../src/cache/sieve.ts';

interface Simulated {
  /** True for a hit; a miss is stored. */
  ask(key: number): boolean;
}

// ── traces ──

const OBJECTS = 100_000;
const REQUESTS = 1_000_000;

/** mulberry32. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function zipf(exponent: number, dice: () => number): () => number {
  const sums = new Float64Array(OBJECTS);
  let sum = 0;
  for (let rank = 0; rank < OBJECTS; rank++) {
    sum += 1 / (rank + 1) ** exponent;
    sums[rank] = sum;
  }
  return () => {
    const wanted = dice() * sum;
    let [low, high] = [0, OBJECTS - 1];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sums[middle]! < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

function* steady(exponent: number): Generator<number> {
  const next = zipf(exponent, random(1));
  for (let n = 0; n < REQUESTS; n++) yield next();
}

/** A crawler walks through everything now and then, and asks for much that nobody asks for again. */
function* scanned(): Generator<number> {
  const next = zipf(0.9, random(2));
  let page = OBJECTS;
  for (let n = 0; n < REQUESTS; n++) yield n % 100_000 < 25_000 ? page++ : next();
}

/** What is popular moves on: every 2,000 requests the ranks shift by a few places. */
function* drifting(): Generator<number> {
  const next = zipf(0.9, random(3));
  for (let n = 0; n < REQUESTS; n++) yield next() + Math.floor(n / 2_000) * 20;
}

/** News: each hour another tenth of the objects is what everybody reads. */
function* bursts(): Generator<number> {
  const dice = random(4);
  const next = zipf(1, dice);
  for (let n = 0; n < REQUESTS; n++) {
    const hour = Math.floor(n / 50_000);
    yield dice() < 0.6 ? (next() % (OBJECTS / 10)) + hour * OBJECTS : next();
  }
}

const TRACES: Readonly<Record<string, () => Generator<number>>> = {
  'Zipf 0.8': () => steady(0.8),
  'Zipf 1.0': () => steady(1),
  'Zipf 0.9, a quarter of the time scans': scanned,
  'Zipf 0.9, popularity drifts': drifting,
  'Zipf 1.0, bursts of new objects': bursts,
};

// ── policies ──

class Lru implements Simulated {
  readonly #size: number;
  readonly #keys = new Set<number>();

  constructor(size: number) {
    this.#size = size;
  }

  ask(key: number): boolean {
    const isHit = this.#keys.delete(key);
    this.#keys.add(key);
    if (this.#keys.size > this.#size) this.#keys.delete(this.#keys.values().next().value!);
    return isHit;
  }
}

interface Item extends Evictable<Item> {
  readonly key: number;
}

class SieveCache implements Simulated {
  readonly #size: number;
  readonly #policy = new Sieve<Item>();
  readonly #items = new Map<number, Item>();

  constructor(size: number) {
    this.#size = size;
  }

  ask(key: number): boolean {
    const known = this.#items.get(key);
    if (known) {
      this.#policy.touched(known);
      return true;
    }
    if (this.#items.size >= this.#size) {
      const victim = this.#policy.victim()!;
      this.#policy.removed(victim);
      this.#items.delete(victim.key);
    }
    const item: Item = { key, newer: undefined, older: undefined, used: false };
    this.#items.set(key, item);
    this.#policy.added(item);
    return false;
  }
}

/** Yang et al., SOSP 2023: a small queue in front of the main one, and a memory of what left the small one. */
class S3Fifo implements Simulated {
  readonly #size: number;
  readonly #small = new Map<number, number>();
  readonly #main = new Map<number, number>();
  readonly #ghosts = new Set<number>();

  constructor(size: number) {
    this.#size = size;
  }

  ask(key: number): boolean {
    for (const queue of [this.#small, this.#main]) {
      const uses = queue.get(key);
      if (uses === undefined) continue;
      queue.set(key, Math.min(uses + 1, 3));
      return true;
    }
    while (this.#small.size + this.#main.size >= this.#size) this.#evict();
    if (this.#ghosts.delete(key)) this.#main.set(key, 0);
    else this.#small.set(key, 0);
    return false;
  }

  #evict(): void {
    const isSmallFull = this.#small.size >= this.#size / 10 || this.#main.size === 0;
    const queue = isSmallFull ? this.#small : this.#main;
    const [key, uses] = queue.entries().next().value!;
    queue.delete(key);
    if (!isSmallFull) {
      if (uses > 0) this.#main.set(key, uses - 1);
    } else if (uses > 1) this.#main.set(key, 0);
    else {
      this.#ghosts.add(key);
      if (this.#ghosts.size > this.#size * 0.9) this.#ghosts.delete(this.#ghosts.values().next().value!);
    }
  }
}

/** Einziger et al., 2017: a window of 1 % and a segmented LRU that only admits what is asked for more often. */
class WTinyLfu implements Simulated {
  readonly #size: number;
  readonly #window = new Set<number>();
  readonly #probation = new Set<number>();
  readonly #kept = new Set<number>();
  #counts = new Map<number, number>();
  #asked = 0;

  constructor(size: number) {
    this.#size = size;
  }

  ask(key: number): boolean {
    this.#count(key);
    if (this.#window.delete(key)) return !!this.#window.add(key);
    if (this.#kept.delete(key)) return !!this.#kept.add(key);
    if (this.#probation.delete(key)) {
      this.#kept.add(key);
      if (this.#kept.size > this.#size * 0.79) this.#move(this.#kept, this.#probation);
      return true;
    }
    this.#window.add(key);
    if (this.#window.size > Math.max(1, this.#size * 0.01)) this.#admit();
    return false;
  }

  #admit(): void {
    const candidate = this.#window.values().next().value!;
    this.#window.delete(candidate);
    if (this.#probation.size + this.#kept.size >= this.#size * 0.99) {
      const victim = (this.#probation.size > 0 ? this.#probation : this.#kept).values().next().value!;
      if ((this.#counts.get(candidate) ?? 0) <= (this.#counts.get(victim) ?? 0)) return;
      this.#probation.delete(victim);
      this.#kept.delete(victim);
    }
    this.#probation.add(candidate);
  }

  #move(from: Set<number>, to: Set<number>): void {
    const key = from.values().next().value!;
    from.delete(key);
    to.add(key);
  }

  /** Exact counts where the paper has a sketch, halved as it says. */
  #count(key: number): void {
    this.#counts.set(key, Math.min(15, (this.#counts.get(key) ?? 0) + 1));
    if (++this.#asked < this.#size * 10) return;
    this.#asked /= 2;
    this.#counts = new Map(
      [...this.#counts].map(([one, count]) => [one, count >> 1] as const).filter(([, it]) => it > 0),
    );
  }
}

const POLICIES: Readonly<Record<string, (size: number) => Simulated>> = {
  LRU: (size) => new Lru(size),
  SIEVE: (size) => new SieveCache(size),
  'S3-FIFO': (size) => new S3Fifo(size),
  'W-TinyLFU': (size) => new WTinyLfu(size),
};

function hitRatio(trace: Generator<number>, cache: Simulated): number {
  let hits = 0;
  let asked = 0;
  for (const key of trace) {
    if (cache.ask(key)) hits++;
    asked++;
  }
  return hits / asked;
}

console.log(`| trace | room for | ${Object.keys(POLICIES).join(' | ')} |\n| --- | ---${' | ---'.repeat(4)} |`);
for (const [name, trace] of Object.entries(TRACES)) {
  for (const share of [0.01, 0.1]) {
    const ratios = Object.values(POLICIES).map((make) => hitRatio(trace(), make(OBJECTS * share)));
    const best = Math.max(...ratios);
    const cells = ratios.map((ratio) =>
      ratio === best ? `**${(ratio * 100).toFixed(1)}**` : (ratio * 100).toFixed(1),
    );
    console.log(`| ${name} | ${share * 100} % | ${cells.join(' | ')} |`);
  }
}
