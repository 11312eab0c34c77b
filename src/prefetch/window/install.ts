/**
 * `selvedge/prefetch/window/install`: registers the service worker and prefetches the links that come into view, when
 * their routes are kept by the edge (`edge.maxAgeSeconds`) and by the service worker (`serviceWorkerSeconds`).
 * Source: spec "Caching", section 10.
 */
import { type CacheManifest, manifestUrl, manifestVariable, shouldPrefetch, spaRoutes } from '../manifest.ts';
import { DEFAULT_COOKIE_PREFIX } from '../names.ts';
import { page } from './page.ts';
import { prefetch } from './prefetch.ts';
import { type Watch, watchVisible } from './visible.ts';

export interface InstallOptions {
  /** Default `/service-worker.js`. */
  readonly serviceWorkerPath?: string;
  /** Paths that the service worker answers. Default `/`. */
  readonly serviceWorkerScope?: string;
  /** Prefetch also what no cache has. Default false: prefetching costs the servers behind the edge nothing. */
  readonly includeCacheMisses?: boolean;
  /** Share of prefetches, 0 to 1, that may be misses. Default 0. */
  readonly forcePrefetchRatio?: number;
  /** URLs to prefetch whatever the routes say; strings are prefixes of the path. */
  readonly prefetchPatterns?: readonly (string | RegExp)[];
  /** Prefetched at once. */
  readonly prefetchURLs?: readonly string[];
  /** Host, beside the page's own, whose links are prefetched. */
  readonly cacheHost?: string;
  /** Elements to tell about when they come into view: to prefetch what only the page knows. */
  readonly watch?: readonly Watch[];
  readonly observe?: {
    /** No automatic prefetch of links. */
    readonly disabled?: boolean;
    /** Attributes whose change makes a link a new one. Default `href`. */
    readonly attributes?: readonly string[];
  };
  /** Paths that the page's own router draws: their HTML is not prefetched. Routes marked `spa` are known already. */
  readonly spaRoutes?: readonly (string | RegExp)[];
  /** `{cookie}` of the site's branding. Default: found out. */
  readonly cookiePrefix?: string;
}

/** Those of the presets. */
const KNOWN_PREFIXES = [DEFAULT_COOKIE_PREFIX, 'layer0', 'edgio'];

/** Resolves with a function that stops watching; insecure pages and browsers that save data get no prefetching. */
export async function install(options: InstallOptions = {}): Promise<() => void> {
  const nothing = (): void => {};
  if (!('serviceWorker' in navigator) || !window.isSecureContext) return nothing;
  page.includeCacheMisses = options.includeCacheMisses ?? page.includeCacheMisses;
  page.forcePrefetchRatio = options.forcePrefetchRatio ?? page.forcePrefetchRatio;
  const { serviceWorkerPath = '/service-worker.js', serviceWorkerScope = '/' } = options;
  await navigator.serviceWorker.register(serviceWorkerPath, { scope: serviceWorkerScope });
  if ((navigator as { connection?: { saveData?: boolean } }).connection?.saveData) return nothing;
  const manifest = await loadManifest(options.cookiePrefix);
  for (const url of options.prefetchURLs ?? []) void prefetch(url);
  const watches = [...(options.watch ?? [])];
  if (!options.observe?.disabled) watches.push(linkWatch(options, manifest));
  return watchVisible(watches, options.observe?.attributes);
}

function linkWatch(options: InstallOptions, manifest: CacheManifest): Watch {
  const patterns = (options.prefetchPatterns ?? []).map(expressionOf);
  const drawnHere = [...(options.spaRoutes ?? []).map(expressionOf), ...spaRoutes(manifest)];
  const hosts = [location.host, options.cacheHost];
  const isWanted = (url: URL): boolean => {
    if (!hosts.includes(url.host) || isHere(url) || drawnHere.some((path) => path.test(url.pathname))) return false;
    return (
      patterns.some((pattern) => pattern.test(url.pathname) || pattern.test(url.href)) || shouldPrefetch(manifest, url)
    );
  };
  return {
    selector: 'a[href]:not([download])',
    callback: (element) => {
      const url = new URL((element as HTMLAnchorElement).href, document.baseURI);
      if (isWanted(url)) whenIdle(() => void prefetch(url));
    },
  };
}

const isHere = ({ pathname, search }: URL): boolean => pathname === location.pathname && search === location.search;

const expressionOf = (pattern: string | RegExp): RegExp =>
  typeof pattern === 'string' ? new RegExp(`^${pattern.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}`) : pattern;

/** Not in every browser. */
const whenIdle = (work: () => void): void => {
  if ('requestIdleCallback' in window) requestIdleCallback(work, { timeout: 2_000 });
  else setTimeout(work, 200);
};

/**
 * The first manifest that there is also tells the site's prefix, which is the operator's choice and not in its code.
 * A site without the platform's own routes has none; then only `prefetchPatterns` count.
 */
async function loadManifest(prefix?: string): Promise<CacheManifest> {
  for (const candidate of prefix === undefined ? KNOWN_PREFIXES : [prefix]) {
    page.cookiePrefix = candidate;
    const variables = globalThis as unknown as Record<string, CacheManifest | undefined>;
    const name = manifestVariable(candidate);
    if (variables[name] === undefined) await loadScript(manifestUrl(candidate));
    if (variables[name] !== undefined) return variables[name];
  }
  page.cookiePrefix = prefix ?? DEFAULT_COOKIE_PREFIX;
  return [];
}

/** Resolves also when there is no such script. */
function loadScript(url: string): Promise<void> {
  const script = document.createElement('script');
  return new Promise((resolve) => {
    script.onload = script.onerror = () => resolve();
    script.src = url;
    document.head.append(script);
  });
}

// biome-ignore lint/style/noDefaultExport: projects import it both ways
export default install;
