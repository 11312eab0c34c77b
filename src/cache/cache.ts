/**
 * The cache of one POP: looks up, lets concurrent misses share one fetch, serves stale while refreshing. What may be
 * stored is decided in `semantics/`, what comes back from a fetch is handled in `landing.ts`.
 *
 * Requests: a client's `Cache-Control: no-cache`, `no-store` and `max-age` and `Pragma` are ignored, as in other
 * edges, because they would hand the origin's load to any client; `only-if-cached` is honoured. A request with
 * Authorization that is not in the key may be answered from store but never shares a fetch.
 */
import type { Readable } from 'node:stream';
import type { Purge } from '../artifact/purge.ts';
import type { Clock } from '../base/clock.ts';
import type { HttpResponse } from '../http/message.ts';
import { asFault, Fault, type Hop } from '../status/fault.ts';
import { fetchedAnswer, type How, hitAnswer } from './answers.ts';
import type { ForwardReason } from './cache-status.ts';
import type { DiskTier } from './disk/disk-tier.ts';
import type { FillLimits } from './fill.ts';
import { Flight, type Landing, type SharedLanding } from './flight.ts';
import { spaceOf } from './key-text.ts';
import { type Asked, Lander } from './landing.ts';
import { parseCacheControl } from './semantics/cache-control.ts';
import { hasUnkeyedAuthorization, isStorableMethod, refused } from './semantics/storable.ts';
import { storedFieldsFor } from './semantics/stored-fields.ts';
import { variantKey } from './semantics/vary.ts';
import { type Found, type PassMark, Slots, type StoredResponse } from './slots.ts';
import type { Cache, CacheAnswer, CacheRequest, Fetch, StoreVerdict } from './types.ts';

export interface CacheOptions {
  readonly clock: Clock;
  /** The hop of this POP, for the faults that the cache itself raises. */
  readonly hop: Hop;
  /** The branding's header prefix, e.g. `x-sv`. */
  readonly headerPrefix: string;
  /** `cache.memoryBytes`: bound of the memory tier, index included. */
  readonly memoryBytes: number;
  /** `cache.maxEntries`. Default 200,000. */
  readonly maxEntries?: number;
  /** Behind the memory tier, shared with other processes; whoever opened it closes it. */
  readonly disk?: DiskTier;
  /** `cache.maxObjectBytes`: larger bodies are passed on without being stored. */
  readonly maxObjectBytes: number;
  /** `cache.hitForPassSeconds`. Default 120. */
  readonly hitForPassSeconds?: number;
  /** How far a body that is not stored may be ahead of its slowest reader. Default 1 MiB. */
  readonly windowBytes?: number;
  /** Memory of all bodies that are being fetched, beside `memoryBytes`. Default half of it. */
  readonly fillBytes?: number;
  /** A reader of a windowed body that takes nothing for so long while others wait is cut off. Default 10,000. */
  readonly laggardMs?: number;
  /** Part of an announced body from which on it is finished although its clients have left. Default 0.75. */
  readonly finishFraction?: number;
  /** Pause after a failed refresh. Default 1,000. */
  readonly refreshBackoffMs?: number;
  /** Remaining freshness as our own next POP tells it, in ms; undefined for an answer that is not from one. */
  readonly nextHopTtlMs?: (response: HttpResponse) => number | undefined;
  /** A refresh in the background failed; the stale response stays until its window ends. For the log. */
  readonly onRefreshFault?: (fault: Fault, request: CacheRequest) => void;
}

/** A cache with an empty memory tier. Never throws but for what `fetch` throws, an abort, and `cache.only-if-cached`. */
export const createCache = (options: CacheOptions): Cache => new ResponseCache(options);

/** A waiter that selects another variant than it waited for looks again, this many times at most. */
const MAX_LOOKUPS = 3;

class ResponseCache implements Cache {
  readonly #options: CacheOptions;
  readonly #slots: Slots;
  readonly #lander: Lander;
  /** By slot key. */
  readonly #flights = new Map<string, Flight>();

  constructor(options: CacheOptions) {
    const { clock, memoryBytes, maxEntries = 200_000, headerPrefix, disk } = options;
    this.#options = options;
    this.#slots = new Slots({ maxBytes: memoryBytes, maxEntries }, disk);
    this.#lander = new Lander({
      clock,
      slots: this.#slots,
      fillLimits: fillLimitsOf(options),
      hitForPassMs: (options.hitForPassSeconds ?? 120) * 1000,
      errorName: `${headerPrefix}-error`,
      storedFields: storedFieldsFor(headerPrefix),
      nextHopTtlMs: options.nextHopTtlMs ?? (() => undefined),
      moved: (flight, slotKey) => this.#move(flight, slotKey),
    });
  }

  async answer(request: CacheRequest, fetch: Fetch, signal: AbortSignal): Promise<CacheAnswer | null> {
    signal.throwIfAborted();
    const visit: Visit = { request, fetch, signal, coalescedMs: undefined };
    const bypass = bypassOf(request);
    if (bypass) {
      if (request.lookupOnly) return null;
      return this.#alone(visit, { reason: bypass.status === 'method' ? 'method' : 'bypass', refusal: bypass });
    }
    for (let lookups = 0; lookups < MAX_LOOKUPS; lookups++) {
      const answer = await this.#tryOnce(visit);
      if (answer !== 'again') return answer;
    }
    return this.#alone(visit, { reason: 'vary-miss' });
  }

  catchUp(): void {
    this.#slots.store.catchUp();
  }

  dropSpace(space: string): void {
    this.#slots.store.dropSpace(space);
    this.#slots.purges.dropSpace(space);
  }

  async purge(purges: readonly Purge[], upTo: number): Promise<void> {
    this.#slots.purges.add(purges, upTo);
    if (purges.length > 0) this.#slots.store.doubtAll();
    await this.#options.disk?.keepPurges(purges, upTo, () => this.#slots.purges.all());
  }

  get purgedUpTo(): number {
    return this.#slots.purges.latest;
  }

  stats(): { readonly bytes: number; readonly entries: number } {
    return { bytes: this.#slots.store.bytes, entries: this.#slots.store.entries };
  }

  close(): void {
    for (const flight of [...this.#flights.values()]) flight.abort();
    this.#slots.store.clear();
  }

  async #tryOnce(visit: Visit): Promise<CacheAnswer | null | 'again'> {
    const { request } = visit;
    const found = this.#find(request);
    const { slot } = found;
    const nowMs = this.#options.clock.nowMs();
    if (slot?.kind === 'response' && nowMs < slot.staleUntilMs) {
      if (nowMs >= slot.freshUntilMs && !request.lookupOnly) this.#refresh(visit, found, slot);
      const body = await this.#bodyOf(request, found.slotKey, slot);
      return body === undefined ? 'again' : hitAnswer(slot, body, nowMs, this.#slots.held(request.key, found));
    }
    if (request.lookupOnly) return null;
    if (onlyIfCached(request)) throw new Fault({ cause: 'cache.only-if-cached', hop: this.#options.hop });
    const reason = forwardReason(found);
    const flight = this.#boardable(found.slotKey, nowMs);
    const isPersonal = hasUnkeyedAuthorization({
      requestFields: request.fields,
      keyedHeaders: request.keyedHeaders ?? [],
    });
    if (isPersonal || request.nested) return this.#alone(visit, { reason });
    if (slot?.kind === 'pass' && nowMs < slot.untilMs) return this.#underMark(visit, slot, reason);
    if (flight) return this.#wait(visit, flight, reason);
    if (request.method === 'HEAD') return this.#alone(visit, { reason });
    const stale = slot?.kind === 'response' ? slot : undefined;
    return this.#lead(visit, this.#depart(visit, found.slotKey, { stale }), reason);
  }

  #find({ key, fields }: CacheRequest): Found {
    return this.#slots.find(key, fields, this.#options.clock.nowMs());
  }

  /** Undefined when it lay on the disk and is lost. */
  #bodyOf({ method }: CacheRequest, slotKey: string, stored: StoredResponse) {
    if (method === 'HEAD') return null;
    return Buffer.isBuffer(stored.body) ? stored.body : this.#slots.store.bodyOf(slotKey, stored);
  }

  // ── flights ──

  /** Not one that was begun before a purge that covers its answer, or may. */
  #boardable(slotKey: string, nowMs: number): Flight | undefined {
    const flight = this.#flights.get(slotKey);
    if (!flight?.boardable(nowMs)) return undefined;
    return this.#slots.purges.verdict(flight.space.name, flight.stamp) ? undefined : flight;
  }

  /** Starts a fetch that others may join. */
  #depart(visit: Visit, slotKey: string, asked: Omit<Asked, 'request' | 'fetch'>): Flight {
    const flight = this.#start(visit, slotKey, asked);
    if (!flight.landed) this.#flights.set(slotKey, flight);
    return flight;
  }

  #start({ request, fetch }: Visit, slotKey: string, asked: Omit<Asked, 'request' | 'fetch'>): Flight {
    return new Flight({
      slotKey,
      space: this.#slots.store.space(spaceOf(request.key)),
      sequence: this.#slots.purges.latest,
      requestId: request.requestId,
      finishFraction: this.#options.finishFraction ?? 0.75,
      land: (flight) => this.#lander.land(flight, { request, fetch, ...asked }),
      onOver: (flight) => {
        if (this.#flights.get(flight.slotKey) === flight) this.#flights.delete(flight.slotKey);
      },
    });
  }

  /** The answer turned out to belong under another key, where new requests will look for it. */
  #move(flight: Flight, slotKey: string): void {
    if (slotKey === flight.slotKey || this.#flights.get(flight.slotKey) !== flight) return;
    this.#flights.delete(flight.slotKey);
    flight.slotKey = slotKey;
    this.#flights.set(slotKey, flight);
  }

  async #lead(visit: Visit, flight: Flight, reason: ForwardReason): Promise<CacheAnswer> {
    const landing = await this.#landingOf(flight, visit.signal, true);
    if (landing.kind === 'shared') return this.#share(visit, flight, landing, { reason, collapsed: false });
    visit.signal.addEventListener('abort', () => flight.abort(), { once: true });
    return this.#fetched(visit, landing, landing.response, { reason, collapsed: false });
  }

  async #wait(visit: Visit, flight: Flight, reason: ForwardReason): Promise<CacheAnswer | 'again'> {
    const { clock } = this.#options;
    const sinceMs = clock.monotonicMs();
    const landing = await this.#landingOf(flight, visit.signal, false);
    visit.coalescedMs = (visit.coalescedMs ?? 0) + clock.monotonicMs() - sinceMs;
    if (landing.kind === 'shared' && selects(visit.request, landing)) {
      return this.#share(visit, flight, landing, { reason, collapsed: true });
    }
    flight.leave();
    // an answer for somebody else: fetch without waiting again, or the waiters would form a queue
    return landing.kind === 'shared' ? 'again' : this.#onOwn(visit, reason);
  }

  async #landingOf(flight: Flight, signal: AbortSignal, isStarter: boolean): Promise<Landing> {
    flight.board();
    try {
      return await abortable(flight.landing, signal);
    } catch (error) {
      if (isStarter) flight.starterLeft();
      else flight.leave();
      throw error;
    }
  }

  // ── fetches that nobody shares ──

  #onOwn(visit: Visit, reason: ForwardReason): Promise<CacheAnswer> {
    const { slot } = this.#find(visit.request);
    return slot?.kind === 'pass' ? this.#underMark(visit, slot, reason) : this.#alone(visit, { reason });
  }

  /** A strict mark decides; else the answer may be stored, unless the client asks for less than a whole one. */
  #underMark(visit: Visit, mark: PassMark, reason: ForwardReason): Promise<CacheAnswer> {
    if (mark.strict) {
      const refusal = refused('pass', `hit-for-pass after: ${mark.verdict.reason}`);
      return this.#alone(visit, { reason: 'bypass', refusal });
    }
    return this.#alone(visit, { reason, refusal: asksForLess(visit.request) ? mark.verdict : undefined });
  }

  #alone(
    visit: Visit,
    { reason, refusal }: { reason: ForwardReason; refusal?: StoreVerdict | undefined },
  ): Promise<CacheAnswer> {
    const { request } = visit;
    const { slotKey } = this.#find(request);
    return this.#lead(visit, this.#start(visit, slotKey, { refusal }), reason);
  }

  // ── refresh ──

  #refresh(visit: Visit, { slotKey }: Found, stale: StoredResponse): void {
    const nowMs = this.#options.clock.nowMs();
    const { request } = visit;
    if (nowMs < stale.refreshNotBeforeMs || this.#flights.has(slotKey)) return;
    if (request.method === 'HEAD' || isPersonal(request)) return;
    const flight = this.#depart(visit, slotKey, { stale, refresh: true });
    // the cache itself stays aboard, whoever else comes and goes
    flight.board();
    const { refreshBackoffMs = 1000, clock, onRefreshFault } = this.#options;
    const backOff = () => {
      stale.refreshNotBeforeMs = clock.nowMs() + refreshBackoffMs;
    };
    flight.landing.then(
      (landing) => {
        if (landing.verdict.status !== 'ok') backOff();
        if (landing.kind === 'private') flight.starterLeft();
      },
      (error) => {
        backOff();
        onRefreshFault?.(asFault(error, this.#options.hop), request);
      },
    );
  }

  // ── answers ──

  #share(visit: Visit, flight: Flight, landing: SharedLanding, how: How): CacheAnswer {
    const { fields, response } = landing;
    const body = this.#takeBody(visit, flight, landing);
    const { status, reason } = response;
    const answer: HttpResponse = how.collapsed
      ? { status, ...(reason === undefined ? {} : { reason }), fields: fields.clone(), body }
      : { ...response, body };
    const fetched = this.#fetched(visit, landing, answer, how);
    return how.collapsed ? { ...fetched, hitRequestId: flight.requestId } : fetched;
  }

  #fetched({ coalescedMs }: Visit, landing: Landing, response: HttpResponse, how: How): CacheAnswer {
    const answer = fetchedAnswer(landing, response, how, this.#options.clock.nowMs());
    return coalescedMs === undefined ? answer : { ...answer, coalescedMs };
  }

  #takeBody({ request, signal }: Visit, flight: Flight, { body }: SharedLanding): HttpResponse['body'] {
    if (request.method === 'HEAD' || Buffer.isBuffer(body)) {
      flight.leave();
      return request.method === 'HEAD' ? null : (body as Buffer);
    }
    const reader: Readable = body.reader(() => flight.leave());
    signal.addEventListener('abort', () => reader.destroy(), { once: true });
    return reader;
  }
}

/** One call of `answer`. */
interface Visit {
  readonly request: CacheRequest;
  readonly fetch: Fetch;
  readonly signal: AbortSignal;
  coalescedMs: number | undefined;
}

function bypassOf({ bypass, settings, method, bodyKey }: CacheRequest): StoreVerdict | undefined {
  if (bypass) return refused(bypass.status, bypass.reason);
  if (settings?.edge === false) return refused('disabled', 'edge: false');
  return isStorableMethod(method, bodyKey) ? undefined : refused('method', `${method} on a route without a body key`);
}

function forwardReason({ slot, varies }: Found): ForwardReason {
  if (slot?.kind === 'response') return 'stale';
  return varies && !slot ? 'vary-miss' : 'uri-miss';
}

const isPersonal = ({ fields, keyedHeaders = [] }: CacheRequest) =>
  hasUnkeyedAuthorization({ requestFields: fields, keyedHeaders });

const selects = ({ key, fields }: CacheRequest, { varyNames, slotKey }: SharedLanding) =>
  varyNames.length === 0 || variantKey(key, varyNames, fields) === slotKey;

const onlyIfCached = ({ fields }: CacheRequest) => parseCacheControl(fields.all('cache-control')).has('only-if-cached');

const PARTIAL_OR_CONDITIONAL = [
  ...['range', 'if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'if-range'],
];
const asksForLess = ({ fields }: CacheRequest) => PARTIAL_OR_CONDITIONAL.some((name) => fields.has(name));

function fillLimitsOf(options: CacheOptions): FillLimits {
  const { clock, hop, memoryBytes, maxObjectBytes } = options;
  return {
    ...{ clock, maxObjectBytes },
    windowBytes: options.windowBytes ?? 1_048_576,
    laggardMs: options.laggardMs ?? 10_000,
    budget: { usedBytes: 0, maxBytes: options.fillBytes ?? memoryBytes / 2 },
    lengthError: () => new Fault({ cause: 'upstream.body.incomplete', hop }),
    laggardError: () => new Fault({ cause: 'request.timeout', hop, details: 'slow-reader' }),
  };
}

/** Settles as the promise does, or rejects with the signal's reason when that comes first. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
