/**
 * What lies under a key: a response, the list of headers that its variants depend on, or the memory that nothing
 * here can be stored. All of them live in the same bounded store and go with their space.
 */
import type { Readable } from 'node:stream';
import type { Fields } from '../http/fields.ts';
import type { FileBody } from './disk/body-files.ts';
import type { DiskTier } from './disk/disk-tier.ts';
import { spaceOf } from './key-text.ts';
import { PurgeTable } from './purges.ts';
import { unionOfNames, variantKey } from './semantics/vary.ts';
import { MemoryStore, type Space, type StoreLimits } from './store.ts';
import type { StoreVerdict } from './types.ts';

/** How something stored stands to purges. */
interface Stamped {
  /** The last purge that was known when its fetch began. */
  readonly sequence: number;
  /** Surrogate keys. */
  readonly tags: readonly string[];
  /** No purge up to this one covers it. */
  checkedUpTo: number;
}

export interface StoredResponse extends Stamped {
  readonly kind: 'response';
  readonly status: number;
  readonly reason: string | undefined;
  /** Filtered; never changed, hits take copies. */
  readonly fields: Fields;
  readonly body: Buffer | FileBody;
  readonly verdict: StoreVerdict;
  /** Wall clock: when the response was made (arrival minus initial age). */
  readonly madeAtMs: number;
  readonly freshUntilMs: number;
  readonly staleUntilMs: number;
  /** The exchange that filled it. */
  readonly requestId: string;
  /** No refresh before this moment, because one has just failed. */
  refreshNotBeforeMs: number;
}

/** A recent answer could not be stored. */
export interface PassMark extends Stamped {
  readonly kind: 'pass';
  readonly untilMs: number;
  /** What was said about that answer. */
  readonly verdict: StoreVerdict;
  /** Hit-for-pass: nothing is stored until then. Otherwise only coalescing is off, and a storable answer ends it. */
  readonly strict: boolean;
}

export interface VaryList {
  readonly kind: 'vary';
  readonly names: readonly string[];
}

/** What a mark or a response starts with. */
export const stampedNow = (sequence: number, tags: readonly string[] = []): Stamped => ({
  ...{ sequence, tags, checkedUpTo: sequence },
});

type Slot = StoredResponse | PassMark | VaryList;

export interface Found {
  /** Key of the slot: the primary key, or that of the variant which the request selects. */
  readonly slotKey: string;
  /** The URL has variants. */
  readonly varies: boolean;
  readonly slot: StoredResponse | PassMark | undefined;
}

const MARK_BYTES = 300;
const RESPONSE_OVERHEAD_BYTES = 700;
const FIELD_OVERHEAD_BYTES = 48;

export class Slots {
  readonly store: MemoryStore<Slot>;
  readonly purges = new PurgeTable();
  readonly #disk: DiskTier | undefined;
  readonly #limits: StoreLimits;
  /** Spaces that were dropped lately: what is left of them on the disk is not for requests that were on their way. */
  readonly #dropped = new Set<string>();

  constructor(limits: StoreLimits, disk?: DiskTier) {
    this.store = new MemoryStore(limits);
    this.#limits = limits;
    this.#disk = disk;
    if (!disk) return;
    const { purges, upTo } = disk.purges();
    this.purges.add(purges, upTo);
    disk.onLost = (key) => this.store.delete(key);
    disk.isUsed = (key) => this.store.held(key)?.used === true;
  }

  find(key: string, request: Fields, nowMs: number): Found {
    this.#takeChanges();
    const primary = this.#get(key);
    if (primary?.kind !== 'vary') return { slotKey: key, varies: false, slot: this.#unpurged(key, primary, nowMs) };
    const slotKey = variantKey(key, primary.names, request);
    const slot = this.#get(slotKey);
    return { slotKey, varies: true, slot: slot?.kind === 'vary' ? undefined : this.#unpurged(slotKey, slot, nowMs) };
  }

  /** Notes on what a response varies; gives the key of its slot. A list only ever grows while it is kept. */
  vary(
    space: Space,
    key: string,
    names: readonly string[],
    request: Fields,
  ): { slotKey: string; names: readonly string[] } {
    const primary = this.#get(key);
    const known = primary?.kind === 'vary' ? primary.names : [];
    const all = unionOfNames(known, names);
    if (all !== known) this.#set(space, key, { kind: 'vary', names: all });
    return { slotKey: variantKey(key, all, request), names: all };
  }

  /** Not what a purge has overtaken: that would only take the place of something better. */
  putResponse(space: Space, slotKey: string, response: StoredResponse): boolean {
    if (this.purges.verdict(space.name, { ...response, key: slotKey })?.kind === 'gone') return false;
    return this.#set(space, slotKey, response);
  }

  putMark(space: Space, slotKey: string, mark: PassMark): void {
    this.store.set(space, slotKey, mark, MARK_BYTES);
    this.#disk?.delete(slotKey);
  }

  delete(key: string): void {
    this.store.delete(key);
    this.#disk?.delete(key);
  }

  dropSpace(name: string): void {
    this.store.dropSpace(name);
    this.purges.dropSpace(name);
    if (!this.#disk) return;
    this.#dropped.add(name);
    if (this.#dropped.size > DROPPED_KEPT) this.#dropped.delete(this.#dropped.values().next().value!);
  }

  /** The body as it can be sent: a stream is the caller's to end. Undefined when it is lost; then so is the entry. */
  async bodyOf(slotKey: string, response: StoredResponse): Promise<Buffer | Readable | undefined> {
    const { body } = response;
    if (Buffer.isBuffer(body)) return body;
    if (body.length > PROMOTED_BYTES) {
      return body.open();
    }
    const loaded = await body.load();
    // unless it was replaced meanwhile
    if (loaded && this.store.get(slotKey) === response) this.#remember(slotKey, { ...response, body: loaded });
    return loaded;
  }

  // ── tiers ──

  #get(key: string): Slot | undefined {
    const known = this.store.get(key);
    if (known || !this.#disk || this.#dropped.has(spaceOf(key))) return known;
    const kept = this.#disk.get(key);
    if (kept) this.#remember(key, kept);
    return kept;
  }

  #remember(key: string, kept: Kept): void {
    if (this.#fitsMemory(kept)) this.store.set(this.store.space(spaceOf(key)), key, kept, slotBytes(kept));
  }

  #set(space: Space, key: string, kept: Kept): boolean {
    if (space.dropped) return false;
    const fits = this.#fitsMemory(kept);
    if (fits) this.store.set(space, key, kept, slotBytes(kept));
    else this.store.delete(key);
    return this.#disk?.put(key, kept) === true || fits;
  }

  /** Where there is a disk, one large body does not drive a thousand small ones out. */
  #fitsMemory(kept: Kept): boolean {
    const share = this.#disk ? LARGEST_SHARE : 1;
    return slotBytes(kept) <= this.#limits.maxBytes * share;
  }

  /** What other processes have replaced or deleted. */
  #takeChanges(): void {
    const keys = this.#disk?.changed() ?? [];
    if (keys === 'all') this.store.clear();
    else for (const key of keys) this.store.delete(key);
  }

  // ── purges ──

  /** Asked once per entry and purge. */
  #unpurged<Kept extends StoredResponse | PassMark>(
    key: string,
    slot: Kept | undefined,
    nowMs: number,
  ): Kept | StoredResponse | undefined {
    if (!slot || slot.checkedUpTo >= this.purges.latest) return slot;
    const verdict = this.purges.verdict(spaceOf(key), { ...slot, key });
    if (verdict?.kind === 'gone') {
      this.delete(key);
      return undefined;
    }
    if (verdict && slot.kind === 'response') return this.#agedTo(Math.min(verdict.sinceMs, nowMs), key, slot);
    slot.checkedUpTo = this.purges.latest;
    this.store.confirm(key);
    return slot;
  }

  /** As if its freshness had ended then; the windows after that are as long as before. */
  #agedTo(endMs: number, key: string, slot: StoredResponse): StoredResponse {
    const earlierMs = Math.max(0, slot.freshUntilMs - endMs);
    const checkedUpTo = this.purges.latest;
    const { freshUntilMs, staleUntilMs } = slot;
    const aged: StoredResponse = {
      ...{ ...slot, checkedUpTo },
      freshUntilMs: freshUntilMs - earlierMs,
      staleUntilMs: staleUntilMs - earlierMs,
    };
    this.putResponse(this.store.space(spaceOf(key)), key, aged);
    return aged;
  }
}

type Kept = StoredResponse | VaryList;

const DROPPED_KEPT = 1_000;
/** Largest body that is taken from the disk into the memory tier. */
const PROMOTED_BYTES = 1_048_576;
const LARGEST_SHARE = 1 / 32;

const slotBytes = (kept: Kept): number =>
  kept.kind === 'vary' ? MARK_BYTES + kept.names.join().length : storedBytes(kept);

/** Memory of a stored response: body, head with the headers of its strings, and the records around them. */
function storedBytes({ body, fields }: StoredResponse): number {
  const bodyBytes = Buffer.isBuffer(body) ? body.length : 0;
  return RESPONSE_OVERHEAD_BYTES + bodyBytes + fields.byteLength() + fields.length * FIELD_OVERHEAD_BYTES;
}
