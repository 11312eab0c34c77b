/**
 * The cache manifest: which routes answer from a cache, as the edge lists them at `/__{cookie}__/cache-manifest.js`.
 * Only links that edge and service worker both keep are worth prefetching. Source: spec "Caching", section 10.
 */

type Matcher =
  | { readonly is: string }
  | { readonly pattern: string; readonly flags: string }
  | { readonly absent: true }
  | { readonly capture: string };

export interface ManifestEntry {
  /** Regular expression on the path. */
  readonly route: string;
  readonly criteriaPath?: string;
  readonly query?: Readonly<Record<string, Matcher>>;
  readonly cacheOptions?: {
    readonly edge?: false | { readonly maxAgeSeconds?: number };
    readonly browser?: false | { readonly serviceWorkerSeconds?: number; readonly spa?: boolean };
  };
  readonly method?: string;
  /** False: later routes add to this one. */
  readonly returnsResponse?: boolean;
}

export type CacheManifest = readonly ManifestEntry[];

/** Where the manifest script leaves its list. */
export const manifestVariable = (prefix: string): string => `__${prefix.toUpperCase()}_CACHE_MANIFEST__`;
export const manifestUrl = (prefix: string): string => `/__${prefix}__/cache-manifest.js`;

/** True when the merged settings of the routes that answer this URL keep it at the edge and in the service worker. */
export function shouldPrefetch(manifest: CacheManifest, url: URL): boolean {
  let edge: number | undefined;
  let worker: number | undefined;
  for (const entry of manifest) {
    if (!matches(entry, url)) continue;
    const { edge: atEdge, browser } = entry.cacheOptions ?? {};
    if (atEdge !== undefined) edge = atEdge === false ? 0 : (atEdge.maxAgeSeconds ?? edge);
    if (browser !== undefined) worker = browser === false ? 0 : (browser.serviceWorkerSeconds ?? worker);
    if (entry.returnsResponse) break;
  }
  return (edge ?? 0) > 0 && (worker ?? 0) > 0;
}

/** Expressions of the routes that are one application in the browser. */
export const spaRoutes = (manifest: CacheManifest): RegExp[] =>
  manifest
    .filter(({ cacheOptions: { browser } = {} }) => typeof browser === 'object' && browser.spa)
    .map(({ route }) => new RegExp(route, 'i'));

function matches({ route, method, query }: ManifestEntry, url: URL): boolean {
  if (method !== undefined && method.toUpperCase() !== 'GET') return false;
  if (!new RegExp(route, 'i').test(url.pathname)) return false;
  return Object.entries(query ?? {}).every(([name, matcher]) => fits(matcher, url.searchParams.get(name)));
}

function fits(matcher: Matcher, value: string | null): boolean {
  if ('absent' in matcher) return value === null;
  if (value === null) return false;
  if ('is' in matcher) return value === matcher.is;
  return 'capture' in matcher || new RegExp(matcher.pattern, matcher.flags.replace(/[gy]/g, '')).test(value);
}
