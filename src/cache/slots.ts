/**
 * What lies under a key: a response, the list of headers that its variants depend on, or the memory that nothing
 * here can be stored. All of them live in the same bounded store and go with their space.
 */
import type { Fields } from '../http/fields.ts';
import { unionOfNames, variantKey } from './semantics/vary.ts';
import { type MemoryStore, type Space, MemoryStore as Store, type StoreLimits } from './store.ts';
import type { StoreVerdict } from './types.ts';

export interface StoredResponse {
  readonly kind: 'response';
  readonly status: number;
  readonly reason: string | undefined;
  /** Filtered; never changed, hits take copies. */
  readonly fields: Fields;
  readonly body: Buffer;
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
export interface PassMark {
  readonly kind: 'pass';
  readonly untilMs: number;
  /** What was said about that answer. */
  readonly verdict: StoreVerdict;
  /** Hit-for-pass: nothing is stored until then. Otherwise only coalescing is off, and a storable answer ends it. */
  readonly strict: boolean;
}

interface VaryList {
  readonly kind: 'vary';
  readonly names: readonly string[];
}

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

  constructor(limits: StoreLimits) {
    this.store = new Store(limits);
  }

  find(key: string, request: Fields): Found {
    const primary = this.store.get(key);
    if (primary?.kind !== 'vary') return { slotKey: key, varies: false, slot: primary };
    const slotKey = variantKey(key, primary.names, request);
    const slot = this.store.get(slotKey);
    return { slotKey, varies: true, slot: slot?.kind === 'vary' ? undefined : slot };
  }

  /** Notes on what a response varies; gives the key of its slot. A list only ever grows while it is kept. */
  vary(
    space: Space,
    key: string,
    names: readonly string[],
    request: Fields,
  ): { slotKey: string; names: readonly string[] } {
    const primary = this.store.get(key);
    const known = primary?.kind === 'vary' ? primary.names : [];
    const all = unionOfNames(known, names);
    if (all !== known) this.store.set(space, key, { kind: 'vary', names: all }, MARK_BYTES + all.join().length);
    return { slotKey: variantKey(key, all, request), names: all };
  }

  putResponse(space: Space, slotKey: string, response: StoredResponse): boolean {
    return this.store.set(space, slotKey, response, storedBytes(response));
  }

  putMark(space: Space, slotKey: string, mark: PassMark): void {
    this.store.set(space, slotKey, mark, MARK_BYTES);
  }
}

/** Memory of a stored response: body, head with the headers of its strings, and the records around them. */
function storedBytes({ body, fields }: StoredResponse): number {
  return RESPONSE_OVERHEAD_BYTES + body.length + fields.byteLength() + fields.length * FIELD_OVERHEAD_BYTES;
}
