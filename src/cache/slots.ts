/**
 * What lies under a key: a response, the list of headers that its variants depend on, or the memory that nothing
 * here can be stored. All of them live in the same bounded store and go with their space.
 */
import type { Fields } from '../http/fields.ts';
import { ACCEPTED_ENCODINGS } from '../http/negotiate.ts';
import type { FileBody } from './disk/body-files.ts';
import type { DiskTier } from './disk/disk-tier.ts';
import { Invalidations } from './invalidations.ts';
import { isCustomKey, keysOfUrl, otherCodings, spaceOf } from './key-text.ts';
import { PurgeTable } from './purges.ts';
import { variantKey } from './semantics/vary.ts';
import type { Held, Space, StoreLimits } from './store.ts';
import { TieredStore } from './tiers.ts';
import type { StoreVerdict } from './types.ts';
import { placeVariant, spokenVariant, type Variance, type VaryList } from './variants.ts';

/** How something stored stands to purges. */
interface Stamped {
  /** The last purge that was known when its fetch began. */
  readonly sequence: number;
  /** Wall clock: when its fetch began. */
  readonly begunAtMs: number;
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

/** What a mark or a response starts with. */
export const stampedNow = (sequence: number, begunAtMs: number, tags: readonly string[] = []): Stamped => ({
  ...{ sequence, begunAtMs, tags, checkedUpTo: sequence },
});

export type Slot = StoredResponse | PassMark | VaryList;

export interface Found {
  /** Key of the slot: the primary key, or that of the variant which the request selects. */
  readonly slotKey: string;
  /** The key under which it was found, or would be: of another client's codings, where that will do. */
  readonly key: string;
  /** The URL has variants. */
  readonly varies: boolean;
  readonly slot: StoredResponse | PassMark | undefined;
  /** What is stored has been changed since: it may be validated, but not used unasked. */
  readonly outdated: boolean;
}

const MARK_BYTES = 300;
const RESPONSE_OVERHEAD_BYTES = 700;
const FIELD_OVERHEAD_BYTES = 48;

export class Slots {
  readonly store: TieredStore;
  readonly purges = new PurgeTable();
  readonly invalidations = new Invalidations();
  /** Something is stored under more than its URL. */
  #hasCustomKeys = false;

  constructor(limits: StoreLimits, disk?: DiskTier) {
    this.store = new TieredStore(limits, slotBytes, disk);
    const { purges, upTo } = disk?.purges() ?? { purges: [], upTo: 0 };
    this.purges.add(purges, upTo);
  }

  /** What was stored for a client that takes other codings will do, where it is the same for this one. */
  find(key: string, request: Fields, nowMs: number): Found {
    const own = this.#at(key, request, nowMs);
    if (own.slot) return own;
    const { accepted, keys } = otherCodings(key, ACCEPTED_ENCODINGS);
    for (const other of keys) {
      const found = this.#at(other, request, nowMs);
      const { slot, outdated } = found;
      if (slot?.kind !== 'response' || outdated || nowMs >= slot.staleUntilMs) continue;
      if (takesCoding(accepted, slot.fields)) return found;
    }
    return own;
  }

  #at(key: string, request: Fields, nowMs: number): Found {
    const primary = this.store.get(key);
    if (primary?.kind !== 'vary') return this.#found({ key, slotKey: key, varies: false }, primary, nowMs);
    const ownKey = variantKey(key, primary.names, request);
    const own = this.store.get(ownKey);
    const slotKey = own ? ownKey : (spokenVariant(primary, request) ?? ownKey);
    const slot = own ?? this.store.get(slotKey);
    return this.#found({ key, slotKey, varies: true }, slot?.kind === 'vary' ? undefined : slot, nowMs);
  }

  #found(
    place: Pick<Found, 'key' | 'slotKey' | 'varies'>,
    kept: StoredResponse | PassMark | undefined,
    nowMs: number,
  ): Found {
    const slot = this.#unpurged(place.slotKey, kept, nowMs);
    const outdated = slot !== undefined && this.invalidations.covers(place.slotKey, slot.begunAtMs);
    if (slot && !outdated && this.#hasCustomKeys) this.store.confirm(place.slotKey);
    return { ...place, slot, outdated };
  }

  /** What keeps a found response findable: its entry, and for a variant the list that leads to it. */
  held({ key, slotKey, varies }: Found): Held | undefined {
    const held = this.store.held(slotKey);
    if (!varies || !held) return held;
    this.store.confirm(key); // no purge is about a list
    const list = this.store.held(key);
    return list && new HeldVariant(list, held);
  }

  /** Notes on what a response varies; gives the key of its slot. */
  vary(space: Space, key: string, request: Fields, variance: Variance): { slotKey: string; names: readonly string[] } {
    const primary = this.store.get(key);
    const known = primary?.kind === 'vary' ? primary : undefined;
    const { list, gone, ...place } = placeVariant(key, known, request, variance);
    for (const variant of gone) this.store.delete(variant);
    if (list) this.store.set(space, key, list);
    return place;
  }

  /**
   * An unsafe request has changed what is behind a URL. What can be found of it goes, on the disk and for other
   * processes as well; what is stored under parts of a custom key, or on its way, is known by when it began.
   */
  invalidate(urlKey: string, nowMs: number): void {
    this.invalidations.add(urlKey, nowMs);
    for (const key of keysOfUrl(urlKey, ACCEPTED_ENCODINGS)) {
      const primary = this.store.get(key);
      if (primary?.kind === 'vary') for (const variant of primary.variants) this.store.delete(variant);
      if (primary?.kind === 'response') this.store.delete(key);
    }
    if (this.#hasCustomKeys) this.store.doubtAll();
  }

  /** Not what a purge has overtaken: that would only take the place of something better. */
  putResponse(space: Space, slotKey: string, response: StoredResponse): boolean {
    if (this.purges.verdict(space.name, { ...response, key: slotKey })?.kind === 'gone') return false;
    this.#hasCustomKeys ||= isCustomKey(slotKey);
    return this.store.set(space, slotKey, response);
  }

  putMark(space: Space, slotKey: string, mark: PassMark): void {
    this.store.set(space, slotKey, mark);
  }

  /** Asked once per entry and purge. */
  #unpurged<Kept extends StoredResponse | PassMark>(
    key: string,
    slot: Kept | undefined,
    nowMs: number,
  ): Kept | StoredResponse | undefined {
    if (!slot || slot.checkedUpTo >= this.purges.latest) return slot;
    const verdict = this.purges.verdict(spaceOf(key), { ...slot, key });
    if (verdict?.kind === 'gone') {
      this.store.delete(key);
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

function slotBytes(slot: Slot): number {
  if (slot.kind === 'response') return storedBytes(slot);
  return MARK_BYTES + (slot.kind === 'vary' ? JSON.stringify(slot).length : 0);
}

class HeldVariant implements Held {
  readonly #list: Held;
  readonly #variant: Held;

  constructor(list: Held, variant: Held) {
    this.#list = list;
    this.#variant = variant;
  }

  get alive(): boolean {
    return this.#list.alive && this.#variant.alive;
  }

  get used(): boolean {
    return this.#variant.used;
  }

  set used(used: boolean) {
    this.#list.used = used;
    this.#variant.used = used;
  }
}

/** Memory of a stored response: body, head with the headers of its strings, and the records around them. */
function storedBytes({ body, fields }: StoredResponse): number {
  const bodyBytes = Buffer.isBuffer(body) ? body.length : 0;
  return RESPONSE_OVERHEAD_BYTES + bodyBytes + fields.byteLength() + fields.length * FIELD_OVERHEAD_BYTES;
}

/** Plain content that was never a matter of codings, or content in one that the client takes. */
function takesCoding(accepted: string, fields: Fields): boolean {
  const coding = fields.get('content-encoding')?.trim().toLowerCase();
  if (coding !== undefined) return accepted.split(', ').includes(coding);
  return !fields.all('vary').some((line) => /(?:^|[\s,])accept-encoding(?:$|[\s,])/i.test(line));
}
