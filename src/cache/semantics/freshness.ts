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

/**
 * What the upstream grants a shared cache: s-maxage, else max-age, else Expires minus Date (RFC 9111 section
 * 4.2.1). Undefined when it says nothing. `no-cache` counts as 0: stored copies may not be used unasked.
 */
export function upstreamLifetimeMs(
  control: CacheControl & { readonly targeted: boolean },
  fields: Fields,
  respondedAtMs: number,
): number | undefined {
  if (control.has('no-cache')) return 0;
  const seconds = control.seconds('s-maxage') ?? control.seconds('max-age');
  if (seconds !== undefined) return seconds * 1000;
  if (control.targeted || !fields.has('expires')) return undefined;
  const expires = parseHttpDate(fields.get('expires'));
  const date = parseHttpDate(fields.get('date')) ?? respondedAtMs;
  return expires === undefined ? 0 : Math.max(0, expires - date);
}

/** The upstream's stale-while-revalidate (RFC 5861 section 3); 0 where it forbids any stale use. */
export function upstreamStaleWhileRevalidateMs(control: CacheControl): number {
  if (control.has('must-revalidate') || control.has('proxy-revalidate') || control.has('no-cache')) return 0;
  return (control.seconds('stale-while-revalidate') ?? 0) * 1000;
}
