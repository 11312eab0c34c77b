/**
 * The cache of one POP: looks up, lets concurrent misses share one fetch, serves stale while refreshing. What may be
 * stored is decided in `semantics/`, what comes back from a fetch is handled in `landing.ts`.
 *
 * A request with Authorization that is not in the key may be answered from store but never shares a fetch.
 */
import type { Readable } from 'node:stream';
import type { Purge } from '../artifact/purge.ts';
import type { HttpResponse } from '../http/message.ts';
import { asFault, Fault } from '../status/fault.ts';
import { bridgedAnswer, fetchedAnswer, type How, hitAnswer } from './answers.ts';
import { asksForLess, bypassOf, directivesOf, forwardReason, isPersonal, selects } from './asked.ts';
import type { ForwardReason } from './cache-status.ts';
import type { BridgedLanding, Flight, Landing, PrivateLanding, SharedLanding } from './flight.ts';
import { Flights } from './flights.ts';
import { type Asked, Lander } from './landing.ts';
import { type CacheOptions, fillLimitsOf } from './options.ts';
import { refused } from './semantics/storable.ts';
import { storedFieldsFor } from './semantics/stored-fields.ts';
import { type RequestDirectives, useOf } from './semantics/use.ts';
import { type Found, type PassMark, Slots, type StoredResponse } from './slots.ts';
import type { Cache, CacheAnswer, CacheRequest, Fetch } from './types.ts';

/** A cache with an empty memory tier. Never throws but for what `fetch` throws, an abort, and `cache.only-if-cached`. */
export const createCache = (options: CacheOptions): Cache => new ResponseCache(options);

/** A waiter that selects another variant than it waited for looks again, this many times at most. */
const MAX_LOOKUPS = 3;

class ResponseCache implements Cache {
  readonly #options: CacheOptions;
  readonly #slots: Slots;
  readonly #flights: Flights;

  constructor(options: CacheOptions) {
    const { clock, memoryBytes, maxEntries = 200_000, headerPrefix, refreshBackoffMs = 1000, disk } = options;
    this.#options = options;
    this.#slots = new Slots({ maxBytes: memoryBytes, maxEntries }, disk);
    const lander: Lander = new Lander({
      ...{ clock, slots: this.#slots, fillLimits: fillLimitsOf(options), hop: options.hop, refreshBackoffMs },
      hitForPassMs: (options.hitForPassSeconds ?? 120) * 1000,
      errorName: `${headerPrefix}-error`,
      storedFields: storedFieldsFor(headerPrefix),
      nextHopTtlMs: options.nextHopTtlMs ?? (() => undefined),
      moved: (flight, slotKey) => this.#flights.move(flight, slotKey),
    });
    const { finishFraction = 0.75 } = options;
    this.#flights = new Flights({ clock, slots: this.#slots, finishFraction, lander: () => lander });
  }

  async answer(request: CacheRequest, fetch: Fetch, signal: AbortSignal): Promise<CacheAnswer | null> {
    signal.throwIfAborted();
    const visit: Visit = { request, fetch, signal, directives: directivesOf(request), coalescedMs: undefined };
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

  async invalidate(urlKeys: readonly string[]): Promise<void> {
    for (const urlKey of urlKeys) this.#slots.invalidate(urlKey, this.#options.clock.nowMs());
    await this.#slots.store.deleted();
  }

  get purgedUpTo(): number {
    return this.#slots.purges.latest;
  }

  stats(): { readonly bytes: number; readonly entries: number } {
    return { bytes: this.#slots.store.bytes, entries: this.#slots.store.entries };
  }

  close(): void {
    this.#flights.abortAll();
    this.#slots.store.clear();
  }

  async #tryOnce(visit: Visit): Promise<CacheAnswer | null | 'again'> {
    const { request, directives } = visit;
    const found = this.#find(request);
    const nowMs = this.#options.clock.nowMs();
    const stored = found.slot?.kind === 'response' ? found.slot : undefined;
    const use = stored && !found.outdated ? useOf(stored, directives, nowMs) : undefined;
    if (stored && use?.kind === 'serve') {
      if (use.refresh && !request.lookupOnly) this.#refresh(visit, found, stored);
      const body = await this.#bodyOf(request, found.slotKey, stored);
      // what a directive allows now it may not allow a moment later, whoever repeats the answer
      const held = directives.obeyed ? undefined : this.#slots.held(found);
      return body === undefined ? 'again' : hitAnswer(stored, body, nowMs, held);
    }
    if (request.lookupOnly) return null;
    if (directives.onlyIfCached) throw new Fault({ cause: 'cache.only-if-cached', hop: this.#options.hop });
    const reason = use?.kind === 'forward' ? use.reason : forwardReason(found);
    return this.#forward(visit, found, reason, nowMs);
  }

  #forward(
    visit: Visit,
    { slotKey, slot, outdated }: Found,
    reason: ForwardReason,
    nowMs: number,
  ): Promise<CacheAnswer | 'again'> {
    const { request, directives } = visit;
    if (directives.obeyed?.has('no-store')) return this.#alone(visit, { reason: 'request', refusal: NOT_WANTED });
    if (isPersonal(request) || request.nested) return this.#alone(visit, { reason });
    if (slot?.kind === 'pass' && nowMs < slot.untilMs) return this.#underMark(visit, slot, reason);
    const stale = slot?.kind === 'response' ? slot : undefined;
    if (stale?.verdict.validate) return this.#alone(visit, { reason, stale });
    const flight = reason === 'request' ? undefined : this.#flights.boardable(slotKey, nowMs);
    if (flight) return this.#wait(visit, flight, reason);
    if (request.method === 'HEAD') return this.#alone(visit, { reason });
    return this.#lead(visit, this.#flights.depart(slotKey, { ...asked(visit), stale, outdated }), reason);
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

  async #lead(visit: Visit, flight: Flight, reason: ForwardReason): Promise<CacheAnswer> {
    const landing = await this.#landingOf(flight, visit.signal, true);
    if (landing.kind === 'bridged') return this.#bridged(visit, flight, landing);
    if (landing.kind === 'shared') return this.#share(visit, flight, landing, { reason, collapsed: false });
    visit.signal.addEventListener('abort', () => flight.abort(), { once: true });
    return this.#fetched(visit, landing, landing.response, { reason, collapsed: false });
  }

  async #wait(visit: Visit, flight: Flight, reason: ForwardReason): Promise<CacheAnswer | 'again'> {
    const { clock } = this.#options;
    const sinceMs = clock.monotonicMs();
    const landing = await this.#landingOf(flight, visit.signal, false);
    visit.coalescedMs = (visit.coalescedMs ?? 0) + clock.monotonicMs() - sinceMs;
    if (landing.kind === 'bridged') return this.#bridged(visit, flight, landing);
    const isForAll = landing.kind === 'shared' && !landing.exclusive;
    if (isForAll && selects(visit.request, landing)) {
      return this.#share(visit, flight, landing, { reason, collapsed: true });
    }
    flight.leave();
    // an answer for somebody else: fetch without waiting again, or the waiters would form a queue
    return isForAll ? 'again' : this.#onOwn(visit, reason);
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
    if (slot?.kind === 'pass') return this.#underMark(visit, slot, reason);
    const stale = slot?.kind === 'response' && slot.verdict.validate ? slot : undefined;
    return this.#alone(visit, { reason, stale });
  }

  /** A strict mark decides; else the answer may be stored, unless the client asks for less than a whole one. */
  #underMark(visit: Visit, mark: PassMark, reason: ForwardReason): Promise<CacheAnswer> {
    if (mark.strict) {
      const refusal = refused('pass', `hit-for-pass after: ${mark.verdict.reason}`);
      return this.#alone(visit, { reason: 'bypass', refusal });
    }
    return this.#alone(visit, { reason, refusal: asksForLess(visit.request) ? mark.verdict : undefined });
  }

  #alone(visit: Visit, { reason, ...rest }: Pick<Asked, 'refusal' | 'stale'> & { reason: ForwardReason }) {
    const { slotKey } = this.#find(visit.request);
    return this.#lead(visit, this.#flights.start(slotKey, { ...asked(visit), ...rest }), reason);
  }

  // ── refresh ──

  #refresh(visit: Visit, { slotKey }: Found, stale: StoredResponse): void {
    const nowMs = this.#options.clock.nowMs();
    const { request } = visit;
    if (nowMs < stale.refreshNotBeforeMs || this.#flights.has(slotKey)) return;
    if (request.method === 'HEAD' || isPersonal(request)) return;
    const flight = this.#flights.depart(slotKey, { ...asked(visit), stale, refresh: true });
    // the cache itself stays aboard, whoever else comes and goes
    flight.board();
    const { refreshBackoffMs = 1000, clock, onRefreshFault } = this.#options;
    const backOff = () => {
      stale.refreshNotBeforeMs = clock.nowMs() + refreshBackoffMs;
    };
    flight.landing.then(
      (landing) => {
        if (landing.kind === 'bridged' || landing.verdict.status !== 'ok') backOff();
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

  async #bridged(visit: Visit, flight: Flight, { stored, failure }: BridgedLanding): Promise<CacheAnswer> {
    const { request, coalescedMs } = visit;
    flight.leave();
    const body = await this.#bodyOf(request, flight.slotKey, stored);
    if (body === undefined && failure instanceof Fault) throw failure;
    if (body === undefined) return this.#alone(visit, { reason: 'stale' });
    const answer = bridgedAnswer(stored, body, this.#options.clock.nowMs(), failure);
    return coalescedMs === undefined ? answer : { ...answer, coalescedMs };
  }

  #fetched(
    { coalescedMs }: Visit,
    landing: SharedLanding | PrivateLanding,
    response: HttpResponse,
    how: How,
  ): CacheAnswer {
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
  readonly directives: RequestDirectives;
  coalescedMs: number | undefined;
}

const asked = ({ request, fetch }: Visit): Asked => ({ request, fetch });

const NOT_WANTED = refused('pass', 'the request said no-store');

/** Settles as the promise does, or rejects with the signal's reason when that comes first. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
