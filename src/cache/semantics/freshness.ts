/** Age and freshness lifetime (RFC 9111 section 4.2). Pure: every moment is an argument, all values in milliseconds. */
import { parseHttpDate } from '../../http/date.ts';
import type { Fields } from '../../http/fields.ts';
import type { CacheControl } from './cache-control.ts';

/** When the exchange with the next hop happened, wall clock. */
export interface ExchangeTimes {
  readonly requestedAtMs: number;
  readonly respondedAtMs: number;
}

/** `corrected_initial_age` of RFC 9111 section 4.2.3: how old the response already was when it arrived. */
export function initialAgeMs(fields: Fields, times: ExchangeTimes): number {
  const date = parseHttpDate(fields.get('date'));
  const apparent = date === undefined ? 0 : Math.max(0, times.respondedAtMs - date);
  const delay = Math.max(0, times.respondedAtMs - times.requestedAtMs);
  return Math.max(wholeSeconds(apparent), ageFieldMs(fields) + delay);
}

/** Dates have whole seconds, so the fraction of a difference between clock and date says nothing. */
const wholeSeconds = (ms: number) => Math.floor(ms / 1000) * 1000;

/** The Age field; of several or of a list the first valid one, invalid counts as 0 (RFC 9111 section 5.1). */
function ageFieldMs(fields: Fields): number {
  const first = fields.all('age')[0]?.split(',')[0]?.trim();
  return first !== undefined && /^\d+$/.test(first) ? Math.min(Number(first), 2 ** 31) * 1000 : 0;
}

/** What else than the fields decides about the upstream's lifetime. */
export interface LifetimeContext {
  readonly status: number;
  readonly respondedAtMs: number;
  /** The most that is guessed for a response that says nothing; without it nothing is. */
  readonly heuristicMaxMs?: number | undefined;
}

export type GoverningControl = CacheControl & { readonly targeted: boolean };

/**
 * What the upstream grants a shared cache: s-maxage, else max-age, else Expires minus Date (RFC 9111 section
 * 4.2.1), else the heuristic. Undefined when it says nothing. `no-cache` counts as 0: stored copies may not be used
 * unasked; where it names fields only those are left out, and the lifetime stands.
 */
export function upstreamLifetimeMs(
  control: GoverningControl,
  fields: Fields,
  context: LifetimeContext,
): number | undefined {
  if (control.fieldNames('no-cache') === null) return 0;
  const seconds = control.seconds('s-maxage') ?? control.seconds('max-age');
  if (seconds !== undefined) return seconds * 1000;
  const { respondedAtMs } = context;
  if (control.targeted || !fields.has('expires')) return heuristicMs(control, fields, context);
  const expires = parseHttpDate(fields.get('expires'));
  const date = parseHttpDate(fields.get('date')) ?? respondedAtMs;
  return expires === undefined ? 0 : Math.max(0, expires - date);
}

/** Statuses that may be kept without anybody having said so (RFC 9110 section 15.1). */
const HEURISTIC = new Set([200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501]);
const HEURISTIC_FRACTION = 0.1;

/** A tenth of the time since it was last changed (RFC 9111 section 4.2.2). */
function heuristicMs(
  control: GoverningControl,
  fields: Fields,
  { status, respondedAtMs, heuristicMaxMs = 0 }: LifetimeContext,
): number | undefined {
  const modified = parseHttpDate(fields.get('last-modified'));
  if (heuristicMaxMs === 0 || modified === undefined) return undefined;
  if (!HEURISTIC.has(status) && !control.has('public')) return undefined;
  const date = parseHttpDate(fields.get('date')) ?? respondedAtMs;
  return Math.min(heuristicMaxMs, Math.max(0, date - modified) * HEURISTIC_FRACTION);
}

/** How long a stale response may be served: while it is fetched anew, and when that fails (RFC 5861). */
export interface StaleWindows {
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  readonly mustRevalidate?: true;
}

/**
 * The settings win over the upstream's directives. Serving in place of a failure is another matter: an upstream that
 * forbids a shared cache all stale use (RFC 9111 section 4.2.4, `s-maxage` included) is obeyed, unless it allows this
 * one in the same breath.
 */
export function staleWindows(
  control: CacheControl,
  settings: {
    readonly staleWhileRevalidateSeconds?: number | undefined;
    readonly staleIfErrorSeconds?: number | undefined;
  },
): StaleWindows {
  const strict = mustRevalidate(control);
  const told = (name: string): number | undefined => (strict ? 0 : control.seconds(name));
  const onError = strict || control.has('s-maxage') ? undefined : settings.staleIfErrorSeconds;
  return {
    staleWhileRevalidateMs: (settings.staleWhileRevalidateSeconds ?? told('stale-while-revalidate') ?? 0) * 1000,
    staleIfErrorMs: (onError ?? told('stale-if-error') ?? 0) * 1000,
    ...(strict ? { mustRevalidate: true } : {}),
  };
}

const mustRevalidate = (control: CacheControl): boolean =>
  control.has('must-revalidate') || control.has('proxy-revalidate') || control.fieldNames('no-cache') === null;
