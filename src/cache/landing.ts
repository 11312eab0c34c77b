/**
 * From a fetch to a judged answer: asks the next hop, judges, and either opens the answer to everybody who waits
 * (and stores it when its body is whole), or keeps it for the one who asked and remembers why.
 */
import type { Clock } from '../base/clock.ts';
import type { Fields } from '../http/fields.ts';
import type { HttpResponse } from '../http/message.ts';
import { asFault, Fault, type Hop } from '../status/fault.ts';
import { Fill, type FillLimits, ownBuffer } from './fill.ts';
import type { BridgedLanding, Flight, Landing, PrivateLanding, SharedLanding } from './flight.ts';
import { type ExchangeTimes, initialAgeMs } from './semantics/freshness.ts';
import { hasUnkeyedAuthorization, judge, refused, tooLarge } from './semantics/storable.ts';
import { freshenedFields } from './semantics/stored-fields.ts';
import { bridges } from './semantics/use.ts';
import { varyNames } from './semantics/vary.ts';
import { type Slots, type StoredResponse, stampedNow } from './slots.ts';
import type { CacheRequest, Fetch, FetchPlan, StoreVerdict } from './types.ts';

export interface LandingOptions {
  readonly clock: Clock;
  readonly slots: Slots;
  readonly fillLimits: FillLimits;
  readonly hitForPassMs: number;
  readonly hop: Hop;
  /** So long is a next hop that has failed not asked again while something stored takes its place. */
  readonly refreshBackoffMs: number;
  /** `{prefix}-error`: the mark of an answer that an inner POP of ours made itself. */
  readonly errorName: string;
  readonly storedFields: (fields: Fields, shareCookies: boolean) => Fields;
  readonly nextHopTtlMs: (response: HttpResponse) => number | undefined;
  /** The answer belongs under another key than the one that the flight is known by. */
  readonly moved: (flight: Flight, slotKey: string) => void;
}

export interface Asked {
  readonly request: CacheRequest;
  readonly fetch: Fetch;
  /** Decided before the fetch: nothing will be stored, the request is forwarded as it came. */
  readonly refusal?: StoreVerdict | undefined;
  /** An expired response whose validators may save the body. */
  readonly stale?: StoredResponse | undefined;
  /** In the background, while `stale` is still served: a failing next hop does not end that. */
  readonly refresh?: boolean;
  /** `stale` was changed since: it cannot take the place of an answer. */
  readonly outdated?: boolean;
}

interface Fetched {
  /** The last purge that was known when the fetch began, here and at the POP behind us. */
  readonly sequence: number;
  /** With the stored status, fields and body after a 304 to our own condition. */
  readonly response: HttpResponse;
  readonly fetchedStatus: number;
  readonly times: ExchangeTimes;
}

/** RFC 5861 section 4. */
const BRIDGED_STATUSES = new Set([500, 502, 503, 504]);

/** Outcomes that are remembered as hit-for-pass; the others only switch coalescing off. */
const STRICT = new Set(['set-cookie', 'code']);

export class Lander {
  readonly #options: LandingOptions;

  constructor(options: LandingOptions) {
    this.#options = options;
  }

  async land(flight: Flight, asked: Asked): Promise<Landing> {
    const fetched = await this.#fetch(flight.signal, asked).catch((error: unknown) =>
      this.#failed(flight, asked, error),
    );
    if ('kind' in fetched) return fetched;
    const verdict = this.#judge(asked, fetched);
    if (asked.refusal) return this.#keepPrivate(fetched, verdict);
    const bridged = BRIDGED_STATUSES.has(fetched.response.status) ? this.#bridge(asked, fetched.response) : undefined;
    if (bridged) return bridged;
    // platform errors are shared with those who wait, never stored, and leave no mark
    const isOurError = fetched.response.fields.has(this.#options.errorName);
    if (verdict.status === 'ok' || verdict.validate || isOurError) return this.#share(flight, asked, fetched, verdict);
    this.#remember(flight, asked, fetched, verdict);
    if (this.#wantsPartOfTooMuch(asked, fetched.response)) return this.#fetchPart(flight, asked, fetched, verdict);
    return this.#keepPrivate(fetched, verdict);
  }

  // ── failing (RFC 5861 section 4) ──

  #failed({ signal }: Flight, asked: Asked, error: unknown): BridgedLanding {
    const bridged = signal.aborted ? undefined : this.#bridge(asked, asFault(error, this.#options.hop));
    if (!bridged) throw error;
    return bridged;
  }

  #bridge({ stale, outdated, refresh }: Asked, failure: Fault | HttpResponse): BridgedLanding | undefined {
    const nowMs = this.#options.clock.nowMs();
    if (!stale || outdated || stale.verdict.validate || !bridges(stale, nowMs)) return undefined;
    // as long as it is served anyway, the failure is only for the log
    if (refresh && nowMs < stale.staleUntilMs) return undefined;
    if (!(failure instanceof Fault)) discard(failure);
    stale.refreshNotBeforeMs = nowMs + this.#options.refreshBackoffMs;
    const said = failure instanceof Fault ? failure : { status: failure.status };
    return { kind: 'bridged', verdict: stale.verdict, stored: stale, failure: said };
  }

  // ── asking ──

  async #fetch(signal: AbortSignal, asked: Asked): Promise<Fetched> {
    const plan = planOf(asked);
    const fetched = await this.#exchange(signal, asked.fetch, plan);
    const conditional = plan.ifNoneMatch !== undefined || plan.ifModifiedSince !== undefined;
    if (!conditional || fetched.response.status !== 304) return fetched;
    const stale = asked.stale!;
    const body = validates(fetched.response.fields, stale) ? await wholeBody(stale) : undefined;
    if (body) return freshened(fetched, stale, body);
    discard(fetched.response);
    return this.#exchange(signal, asked.fetch, { whole: true });
  }

  async #exchange(signal: AbortSignal, fetch: Fetch, plan: FetchPlan): Promise<Fetched> {
    const requestedAtMs = this.#options.clock.nowMs();
    const { latest } = this.#options.slots.purges;
    const response = await fetch(signal, plan);
    const times = { requestedAtMs, respondedAtMs: this.#options.clock.nowMs() };
    const sequence = Math.min(latest, response.purgeSequence ?? latest);
    return { response, fetchedStatus: response.status, times, sequence };
  }

  #wantsPartOfTooMuch({ request }: Asked, response: HttpResponse): boolean {
    const bytes = announcedBytes(response) ?? 0;
    return request.fields.has('range') && bytes > this.#options.fillLimits.maxObjectBytes;
  }

  /** The body is too large to be kept and the client wants a range of it: that range alone is fetched. */
  async #fetchPart(flight: Flight, asked: Asked, whole: Fetched, verdict: StoreVerdict): Promise<PrivateLanding> {
    discard(whole.response);
    return this.#keepPrivate(await this.#exchange(flight.signal, asked.fetch, { whole: false }), verdict);
  }

  // ── judging ──

  #judge({ request, refusal }: Asked, { response, times }: Fetched): StoreVerdict {
    if (refusal) return refusal;
    const { keyedHeaders = [], fields: requestFields, method, bodyKey, settings } = request;
    const verdict = judge({
      ...{ method, bodyKey, settings, requestFields, keyedHeaders, times },
      status: response.status,
      fields: response.fields,
      bodyBytes: Buffer.isBuffer(response.body) ? response.body.length : announcedBytes(response),
      maxObjectBytes: this.#options.fillLimits.maxObjectBytes,
      nextHopTtlMs: this.#options.nextHopTtlMs(response),
    });
    if (verdict.status !== 'ok') return verdict;
    if (method === 'HEAD') return refused('pass', 'the answer to HEAD has no body to store');
    return hasWrongLength(response) ? refused('pass', 'content-length disagrees with the body') : verdict;
  }

  /** Not for what says nothing about the URL: a credential of one client, a HEAD, a next hop in trouble. */
  #remember(flight: Flight, { request, refresh }: Asked, { response }: Fetched, verdict: StoreVerdict): void {
    if (request.method === 'HEAD' || (refresh && response.status >= 500)) return;
    // our own next POP bridges a failure behind it: that ends soon, and what is stored here may still be good then
    if ((this.#options.nextHopTtlMs(response) ?? 1) <= 0) return;
    if (hasUnkeyedAuthorization({ requestFields: request.fields, keyedHeaders: request.keyedHeaders ?? [] })) return;
    this.#mark(flight, verdict);
  }

  #mark(flight: Flight, verdict: StoreVerdict): void {
    const untilMs = this.#options.clock.nowMs() + this.#options.hitForPassMs;
    const strict = STRICT.has(verdict.status);
    const mark = { kind: 'pass', untilMs, verdict, strict, ...stampedNow(flight.sequence, flight.begunAtMs) } as const;
    this.#options.slots.putMark(flight.space, flight.slotKey, mark);
  }

  // ── sharing ──

  #keepPrivate({ response, times, fetchedStatus, sequence }: Fetched, verdict: StoreVerdict): PrivateLanding {
    const madeAtMs = times.respondedAtMs - initialAgeMs(response.fields, times);
    return { kind: 'private', verdict, response, madeAtMs, fetchedStatus, sequence };
  }

  #share(flight: Flight, asked: Asked, fetched: Fetched, verdict: StoreVerdict): SharedLanding {
    const { slots } = this.#options;
    const { response, times, fetchedStatus, sequence } = fetched;
    const { request } = asked;
    const tags = tagsOf(response.fields, request.surrogateKeyName);
    const stored = verdict.status === 'ok' || verdict.validate === true;
    const names = stored ? varyNames(response.fields, request.keyedHeaders) : [];
    const place = stored
      ? slots.vary(flight.space, request.key, request.fields, { names, language: languageOf(response.fields) })
      : { slotKey: flight.slotKey, names: [] };
    this.#options.moved(flight, place.slotKey);
    const freshUntilMs = times.respondedAtMs + verdict.ttlMs;
    const head: Omit<StoredResponse, 'body'> = {
      ...{ kind: 'response', status: response.status, reason: response.reason, verdict, freshUntilMs },
      fields: dated(stored ? this.#storable(asked, response.fields, verdict) : withoutCookies(response.fields), times),
      madeAtMs: times.respondedAtMs - initialAgeMs(response.fields, times),
      staleUntilMs: freshUntilMs + verdict.staleWhileRevalidateMs,
      requestId: request.requestId,
      refreshNotBeforeMs: 0,
      ...stampedNow(sequence, times.requestedAtMs, tags),
    };
    const keep = (body: Buffer) => {
      if (stored) slots.putResponse(flight.space, place.slotKey, { ...head, fields: withLength(head, body), body });
    };
    const { fields, madeAtMs } = head;
    const body = this.#bodyOf(flight, response, keep);
    return {
      ...{ kind: 'shared', verdict, response, fields, body, madeAtMs, freshUntilMs, fetchedStatus },
      ...{ slotKey: place.slotKey, varyNames: place.names, stored: stored && !flight.space.dropped, sequence, tags },
      exclusive: verdict.validate === true,
    };
  }

  #storable({ request: { settings } }: Asked, fields: Fields, { unkept = [] }: StoreVerdict): Fields {
    const shareCookies = settings?.edge ? settings.edge.forceSetCookieCaching === true : false;
    return this.#options.storedFields(fields, shareCookies).deleteWhere((name) => unkept.includes(name));
  }

  #bodyOf(flight: Flight, response: HttpResponse, keep: (body: Buffer) => void): Fill | Buffer {
    if (response.body === null || Buffer.isBuffer(response.body)) {
      const body = ownBuffer(response.body === null ? [] : [response.body], response.body?.length ?? 0);
      keep(body);
      return body;
    }
    const fill = new Fill(response.body, announcedBytes(response), this.#options.fillLimits, (end) => {
      if (end.kind === 'whole') keep(end.body);
      if (end.kind === 'window' && end.tooLarge) {
        this.#mark(flight, refused('pass', tooLarge(this.#options.fillLimits.maxObjectBytes)));
      }
      flight.over();
    });
    // everybody who waited for the head takes a reader before the first byte is read
    setImmediate(() => fill.start());
    return fill;
  }
}

function planOf({ request, refusal, stale }: Asked): FetchPlan {
  if (refusal || request.method === 'HEAD') return { whole: false };
  if (!stale || request.method !== 'GET') return { whole: true };
  const ifNoneMatch = stale.fields.get('etag');
  const ifModifiedSince = stale.fields.get('last-modified');
  return { whole: true, ...(ifNoneMatch ? { ifNoneMatch } : {}), ...(ifModifiedSince ? { ifModifiedSince } : {}) };
}

/** A 304 that names another entity than ours is about something else (RFC 9111 section 4.3.4). */
function validates(update: Fields, stale: StoredResponse): boolean {
  const opaque = (tag: string | undefined) => tag?.replace(/^W\//, '');
  const named = opaque(update.get('etag'));
  return named === undefined || named === opaque(stale.fields.get('etag'));
}

/** Undefined when it lay on the disk and is lost. */
async function wholeBody({ body }: StoredResponse): Promise<Buffer | undefined> {
  return Buffer.isBuffer(body) ? body : body.load();
}

function freshened({ response, ...fetched }: Fetched, stale: StoredResponse, body: Buffer): Fetched {
  discard(response);
  const { status, reason } = stale;
  const fields = freshenedFields(stale.fields, response.fields);
  return { ...fetched, response: { status, ...(reason === undefined ? {} : { reason }), fields, body } };
}

function languageOf(fields: Fields): string | undefined {
  const value = fields.get('content-language')?.trim().toLowerCase();
  return value && /^[a-z0-9-]+$/.test(value) ? value : undefined;
}

const withoutCookies = (fields: Fields): Fields => fields.clone().delete('set-cookie').delete('set-cookie2');

function discard({ body }: HttpResponse): void {
  if (body && !Buffer.isBuffer(body)) body.on('error', () => {}).destroy();
}

const NO_TAGS: readonly string[] = [];

function tagsOf(fields: Fields, name: string): readonly string[] {
  const text = fields.get(name);
  return text === undefined ? NO_TAGS : [...new Set(text.split(/[\s,]+/).filter((tag) => tag !== ''))];
}

function announcedBytes({ fields }: HttpResponse): number | undefined {
  const value = fields.get('content-length');
  return value !== undefined && /^\d+$/.test(value) ? Number(value) : undefined;
}

/** Of a body that is already here; a streamed one is counted while it flows. */
function hasWrongLength(response: HttpResponse): boolean {
  const { body } = response;
  const announced = announcedBytes(response);
  return announced !== undefined && (body === null || Buffer.isBuffer(body)) && announced !== (body?.length ?? 0);
}

/** Without Date the moment of arrival is the date (RFC 9110 section 6.6.1). `fields` is our own copy. */
const dated = (fields: Fields, { respondedAtMs }: ExchangeTimes): Fields =>
  fields.has('date') ? fields : fields.append('date', new Date(respondedAtMs).toUTCString());

/** A stored body has a length, however it came; a status without content gets none. */
const withLength = ({ status, fields }: Pick<StoredResponse, 'status' | 'fields'>, body: Buffer): Fields =>
  status === 204 ? fields : fields.clone().set('content-length', String(body.length));
