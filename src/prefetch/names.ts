/**
 * What page, service worker and edge agree on. A prefetch carries `{cookie}_prefetch=1`: the edge answers it from a
 * cache or with 412, and never asks anybody behind it. Source: spec "Caching", section 10.
 */

/** `{cookie}` of the default branding; sites on another branding pass `cookiePrefix`. */
export const DEFAULT_COOKIE_PREFIX = 'selvedge';
/** In Cache Storage. Pages may delete it: `forget()`. */
export const CACHE_NAME = 'prefetch';
/** Seconds that a prefetched answer is kept when nobody says otherwise. */
export const DEFAULT_MAX_AGE_SECONDS = 120;

export interface PrefetchOptions {
  /** Sent along, with `method`: for routes whose body is part of the cache key. */
  readonly body?: string;
  /** Default `GET`. Any other needs `convertToGet` on the route. */
  readonly method?: string;
  /** The URL is on another origin that allows this one to read it. */
  readonly cors?: boolean;
  /** Seconds to keep the answer; wins over everything else. */
  readonly maxAgeSeconds?: number;
  /** Also fetch what no cache has, as an ordinary request. Costs the servers behind the edge what visitors may never read. */
  readonly includeCacheMisses?: boolean;
}

/** What is fetched, in the words of `<link rel="prefetch" as="…">`. */
export type PrefetchAs = 'document' | 'fetch' | 'image' | 'script' | 'style' | 'font';

export interface PrefetchMessage extends PrefetchOptions {
  readonly action: 'selvedge:prefetch';
  readonly url: string;
  readonly as?: PrefetchAs;
  readonly cookiePrefix: string;
}

/** The URL as the prefetch sends it. */
export function prefetchUrl(
  url: string,
  prefix: string,
  { includeCacheMisses, method = 'GET', body }: PrefetchOptions,
): string {
  const target = new URL(url);
  if (!includeCacheMisses) target.searchParams.set(`${prefix}_prefetch`, '1');
  if (method !== 'GET') {
    target.searchParams.set(`pref_${prefix}_method`, method);
    target.searchParams.set(`pref_${prefix}_body`, body ?? '');
  }
  return target.href;
}

/** What an answer is stored under. Bodies go into the URL, because Cache Storage finds by URL alone. */
export function storageUrl(url: string, method = 'GET', body = ''): string {
  const target = new URL(url);
  target.hash = '';
  if (method !== 'GET' && method !== 'HEAD') target.searchParams.set('pref_selvedge_body', `${method} ${body}`);
  return target.href;
}
