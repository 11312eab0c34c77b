/**
 * May this response be stored, for how long, and if not, why. The rows stand in the order of the caching page,
 * section 3; the first that refuses gives the public status. Pure, time is an argument.
 */
import type { Fields } from '../../http/fields.ts';
import type { CacheSettings } from '../../router/table.ts';
import type { CachingStatus, StoreVerdict } from '../types.ts';
import { type CacheControl, responseCacheControl } from './cache-control.ts';
import { type ExchangeTimes, initialAgeMs, upstreamLifetimeMs, upstreamStaleWhileRevalidateMs } from './freshness.ts';
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
  readonly control: CacheControl & { readonly targeted: boolean };
  readonly ttlMs: number;
}
type Refusal = readonly [status: CachingStatus, reason: string];
type Rule = (question: Case) => Refusal | false;

const RULES: readonly Rule[] = [
  ({ method, bodyKey }) => !isStorableMethod(method, bodyKey) && ['method', `${method} on a route without a body key`],
  ({ status }) => status >= 400 && ['code', `status ${status}`],
  ({ status }) => isFragment(status) && ['pass', `status ${status} is not a whole response`],
  ({ fields }) => fields.has('set-cookie') && ['set-cookie', 'the response sets a cookie'],
  (question) => question.ttlMs <= 0 && ['no-max-age', whyNoTtl(question)],
  ({ control, edge }) => !edge.forcePrivateCaching && forbidden(control),
  (question) => hasUnkeyedAuthorization(question) && !isPublic(question.control) && PERSONAL,
  ({ fields }) => varyNames(fields)[0] === VARIES_ON_EVERYTHING && ['pass', 'vary: *'],
  ({ fields }) => isEventStream(fields) && ['pass', 'an event stream has no end'],
  ({ bodyBytes = 0, maxObjectBytes }) => bodyBytes > maxObjectBytes && ['pass', tooLarge(maxObjectBytes)],
];

const PERSONAL: Refusal = ['private', 'the request had Authorization and the response is not marked as public'];

export const tooLarge = (maxObjectBytes: number) => `the body is larger than ${maxObjectBytes} bytes`;
export const isStorableMethod = (method: string, bodyKey: boolean) => method === 'GET' || method === 'HEAD' || bodyKey;

/** RFC 9111 section 3.5, unless the project put the header into the key. */
export const hasUnkeyedAuthorization = (request: Pick<StoreQuestion, 'requestFields' | 'keyedHeaders'>): boolean =>
  request.requestFields.has('authorization') && !request.keyedHeaders.includes('authorization');

/** The verdict on a response; `ok` carries TTL and stale window. */
export function judge(question: StoreQuestion): StoreVerdict {
  const edge = question.settings?.edge;
  if (edge === false) return refused('disabled', 'edge: false');
  const control = responseCacheControl(question.fields);
  const ttlMs = ttlOf(question, control, edge?.maxAgeSeconds);
  const asked: Case = { ...question, edge: edge ?? {}, control, ttlMs };
  for (const rule of RULES) {
    const refusal = rule(asked);
    if (refusal) return refused(...refusal);
  }
  const swrSeconds = edge?.staleWhileRevalidateSeconds;
  const staleWhileRevalidateMs = swrSeconds === undefined ? upstreamStaleWhileRevalidateMs(control) : swrSeconds * 1000;
  const reason = edge?.maxAgeSeconds === undefined ? 'lifetime from the upstream' : 'lifetime from cache()';
  return { status: 'ok', reason, ttlMs, staleWhileRevalidateMs };
}

export const refused = (status: CachingStatus, reason: string): StoreVerdict => ({
  status,
  reason,
  ttlMs: 0,
  staleWhileRevalidateMs: 0,
});

/**
 * `cache()` wins over the upstream and counts from arrival, whatever Age or Date the upstream sends; the
 * upstream's own lifetime counts from generation. Our next POP's remaining time bounds both.
 */
function ttlOf(question: StoreQuestion, control: Case['control'], maxAgeSeconds: number | undefined): number {
  const { fields, times, nextHopTtlMs = Number.POSITIVE_INFINITY } = question;
  if (maxAgeSeconds !== undefined) return Math.min(maxAgeSeconds * 1000, nextHopTtlMs);
  const lifetimeMs = upstreamLifetimeMs(control, fields, times.respondedAtMs) ?? 0;
  return Math.min(lifetimeMs - initialAgeMs(fields, times), nextHopTtlMs);
}

function whyNoTtl({ control, edge, fields, times }: Case): string {
  if (edge.maxAgeSeconds !== undefined) return 'cache() gives no positive lifetime';
  if (control.has('no-cache')) return 'the upstream said no-cache';
  const lifetimeMs = upstreamLifetimeMs(control, fields, times.respondedAtMs);
  if (lifetimeMs === undefined) return 'neither cache() nor the upstream gave a lifetime';
  return lifetimeMs <= 0 ? 'the upstream gave a lifetime of 0' : 'the response was stale on arrival';
}

function forbidden(control: CacheControl): Refusal | false {
  const word = ['private', 'no-store'].find((name) => control.has(name));
  return word !== undefined && ['private', `the upstream said ${word}`];
}

const isPublic = (control: CacheControl) =>
  ['public', 's-maxage', 'must-revalidate'].some((directive) => control.has(directive));
const isFragment = (status: number) => status < 200 || status === 206 || status === 304;
const isEventStream = (fields: Fields) => /^text\/event-stream\b/i.test(fields.get('content-type') ?? '');
