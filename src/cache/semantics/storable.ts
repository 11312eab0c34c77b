/**
 * May this response be stored, for how long, and if not, why. The rows stand in the order of the caching page,
 * section 3; the first that refuses gives the public status. Pure, time is an argument.
 */
import type { Fields } from '../../http/fields.ts';
import type { CacheSettings } from '../../router/table.ts';
import type { CachingStatus, StoreVerdict } from '../types.ts';
import { responseCacheControl } from './cache-control.ts';
import {
  type ExchangeTimes,
  type GoverningControl,
  initialAgeMs,
  type LifetimeContext,
  staleWindows,
  upstreamLifetimeMs,
} from './freshness.ts';
import { VARIES_ON_EVERYTHING, varyNames } from './vary.ts';

export interface StoreQuestion {
  readonly method: string;
  /** A body route: its method may be stored although it is not GET or HEAD. */
  readonly bodyKey: boolean;
  readonly requestFields: Fields;
  /** Lower-case names of request headers that the key covers. */
  readonly keyedHeaders: readonly string[];
  readonly settings: CacheSettings | undefined;
  readonly status: number;
  readonly fields: Fields;
  readonly times: ExchangeTimes;
  /** Known length of the body, and the largest that is stored. */
  readonly bodyBytes: number | undefined;
  readonly maxObjectBytes: number;
  /** Remaining freshness as our own next POP told it: an upper bound. */
  readonly nextHopTtlMs?: number | undefined;
}

interface Case extends StoreQuestion {
  readonly edge: Exclude<CacheSettings['edge'], false | undefined>;
  readonly control: GoverningControl;
  readonly ttlMs: number;
}
type Refusal = readonly [status: CachingStatus, reason: string];
type Rule = (question: Case) => Refusal | false;

const RULES: readonly Rule[] = [
  ({ method, bodyKey }) => !isStorableMethod(method, bodyKey) && ['method', `${method} on a route without a body key`],
  ({ status, settings }) => status >= 400 && !settings?.cacheableStatusCodes?.includes(status) && errorStatus(status),
  ({ status }) => isFragment(status) && ['pass', `status ${status} is not a whole response`],
  (question) => setsCookie(question) && ['set-cookie', 'the response sets a cookie'],
  (question) => isExpired(question) && ['no-max-age', whyNoTtl(question)],
  ({ control, status }) => control.has('must-understand') && !UNDERSTOOD.has(status) && notUnderstood(status),
  ({ control, edge }) => !edge.forcePrivateCaching && forbidden(control),
  (question) => hasUnkeyedAuthorization(question) && !isPublic(question.control) && PERSONAL,
  ({ fields }) => varyNames(fields)[0] === VARIES_ON_EVERYTHING && ['pass', 'vary: *'],
  ({ fields }) => isEventStream(fields) && ['pass', 'an event stream has no end'],
  ({ bodyBytes = 0, maxObjectBytes }) => bodyBytes > maxObjectBytes && ['pass', tooLarge(maxObjectBytes)],
];

const errorStatus = (status: number): Refusal => ['code', `status ${status}`];
const PERSONAL: Refusal = ['private', 'the request had Authorization and the response is not marked as public'];

export const tooLarge = (maxObjectBytes: number) => `the body is larger than ${maxObjectBytes} bytes`;
export const isStorableMethod = (method: string, bodyKey: boolean) => method === 'GET' || method === 'HEAD' || bodyKey;

/** RFC 9111 section 3.5, unless the project put the header into the key. */
export const hasUnkeyedAuthorization = (request: Pick<StoreQuestion, 'requestFields' | 'keyedHeaders'>): boolean =>
  request.requestFields.has('authorization') && !request.keyedHeaders.includes('authorization');

/** The verdict on a response; `ok` carries TTL and stale windows. */
export function judge(question: StoreQuestion): StoreVerdict {
  const edge = question.settings?.edge;
  if (edge === false) return refused('disabled', 'edge: false');
  const control = responseCacheControl(question.fields);
  const asked: Case = { ...question, edge: edge ?? {}, control, ttlMs: ttlOf(question, control, edge?.maxAgeSeconds) };
  const refusals = RULES.map((rule) => rule(asked)).filter((refusal) => refusal !== false);
  if (refusals[0])
    return { ...refused(...refusals[0]), ...(isForValidation(asked, refusals) ? { validate: true } : {}) };
  const reason = edge?.maxAgeSeconds === undefined ? 'lifetime from the upstream' : 'lifetime from cache()';
  const unkept = [...(control.fieldNames('no-cache') ?? []), ...(control.fieldNames('private') ?? [])];
  return {
    ...{ status: 'ok', reason, ttlMs: asked.ttlMs, ...staleWindows(control, edge ?? {}) },
    ...(unkept.length > 0 ? { unkept } : {}),
  };
}

/**
 * All that is missing is a lifetime, and the upstream said that there is none, or none any more: with a validator
 * the body may be kept to save sending it again. Where it had none to begin with, only an entity tag will do, and not
 * in an answer to somebody with a cookie, unless it is public: a validator that does not tell users apart would be
 * enough to show one the page of another.
 */
function isForValidation(asked: Case, refusals: readonly Refusal[]): boolean {
  const { edge, control, requestFields, fields } = asked;
  if (refusals.length > 1 || refusals[0]![0] !== 'no-max-age' || edge.maxAgeSeconds !== undefined) return false;
  const lifetimeMs = upstreamLifetimeMs(control, fields, lifetimeContext(asked));
  if (lifetimeMs === undefined) return false;
  if (lifetimeMs > 0) return fields.has('etag') || fields.has('last-modified');
  return fields.has('etag') && (control.has('public') || !requestFields.has('cookie'));
}

export const refused = (status: CachingStatus, reason: string): StoreVerdict => ({
  status,
  reason,
  ttlMs: 0,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
});

/**
 * `cache()` wins over the upstream and counts from arrival, whatever Age or Date the upstream sends; the
 * upstream's own lifetime counts from generation. Our next POP's remaining time bounds both.
 */
function ttlOf(question: StoreQuestion, control: Case['control'], maxAgeSeconds: number | undefined): number {
  const { fields, times, nextHopTtlMs = Number.POSITIVE_INFINITY } = question;
  if (maxAgeSeconds !== undefined) return Math.min(maxAgeSeconds * 1000, nextHopTtlMs);
  const lifetimeMs = upstreamLifetimeMs(control, fields, lifetimeContext(question)) ?? 0;
  return Math.min(lifetimeMs - initialAgeMs(fields, times), nextHopTtlMs);
}

function lifetimeContext({ status, times, settings }: StoreQuestion): LifetimeContext {
  const heuristicSeconds = settings?.edge ? settings.edge.heuristicMaxAgeSeconds : undefined;
  const heuristicMaxMs = heuristicSeconds === undefined ? undefined : heuristicSeconds * 1000;
  return { status, respondedAtMs: times.respondedAtMs, heuristicMaxMs };
}

/** What our next POP serves stale while it fetches anew may be served so here as well, until the same moment. */
function isExpired({ ttlMs, nextHopTtlMs, control, edge }: Case): boolean {
  const windowMs = nextHopTtlMs === undefined ? 0 : staleWindows(control, edge).staleWhileRevalidateMs;
  return ttlMs + windowMs <= 0;
}

function whyNoTtl(question: Case): string {
  const { control, edge, fields } = question;
  if (edge.maxAgeSeconds !== undefined) return 'cache() gives no positive lifetime';
  if (control.fieldNames('no-cache') === null) return 'the upstream said no-cache';
  const lifetimeMs = upstreamLifetimeMs(control, fields, lifetimeContext(question));
  if (lifetimeMs === undefined) return 'neither cache() nor the upstream gave a lifetime';
  return lifetimeMs <= 0 ? 'the upstream gave a lifetime of 0' : 'the response was stale on arrival';
}

/** `must-understand` takes the place of `no-store` for those who do (RFC 9111 section 5.2.2.3). */
function forbidden(control: GoverningControl): Refusal | false {
  if (control.fieldNames('private') === null) return ['private', 'the upstream said private'];
  return control.has('no-store') && !control.has('must-understand') && ['private', 'the upstream said no-store'];
}

const notUnderstood = (status: number): Refusal => ['private', `must-understand, which ${status} is not`];

/** Whose rules for caching this cache knows. */
const UNDERSTOOD = new Set([200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 421, 451, 501]);

/** A cookie in a field that is not stored harms nobody. */
function setsCookie({ fields, control, edge }: Case): boolean {
  const names = ['set-cookie', 'set-cookie2'].filter((name) => fields.has(name));
  const unkept = [...(control.fieldNames('private') ?? []), ...(control.fieldNames('no-cache') ?? [])];
  return !edge.forceSetCookieCaching && names.some((name) => !unkept.includes(name));
}

const isPublic = (control: GoverningControl) =>
  ['public', 's-maxage', 'must-revalidate'].some((directive) => control.has(directive));
const isFragment = (status: number) => status < 200 || status === 206 || status === 304;
const isEventStream = (fields: Fields) => /^text\/event-stream\b/i.test(fields.get('content-type') ?? '');
