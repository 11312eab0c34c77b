/**
 * `selvedge/prefetch/window/install`: registers the service worker and prefetches the links that come into view, when
 * their routes are kept by the edge (`edge.maxAgeSeconds`) and by the service worker (`serviceWorkerSeconds`).
 * Source: spec "Caching", section 10.
 */
import { type CacheManifest, manifestUrl, manifestVariable, shouldPrefetch, spaRoutes } from '../manifest.ts';
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
  /** `{cookie}` of the site's branding. Default `selvedge`. */
  readonly cookiePrefix?: string;
}

/** Resolves with a function that stops watching; insecure pages and browsers that save data get no prefetching. */
export async function install(options: InstallOptions = {}): Promise<() => void> {
  const nothing = (): void => {};
  if (!('serviceWorker' in navigator) || !window.isSecureContext) return nothing;
  page.cookiePrefix = options.cookiePrefix ?? page.cookiePrefix;
  page.includeCacheMisses = options.includeCacheMisses ?? page.includeCacheMisses;
  page.forcePrefetchRatio = options.forcePrefetchRatio ?? page.forcePrefetchRatio;
  const { serviceWorkerPath = '/service-worker.js', serviceWorkerScope = '/' } = options;
  await navigator.serviceWorker.register(serviceWorkerPath, { scope: serviceWorkerScope });
  if ((navigator as { connection?: { saveData?: boolean } }).connection?.saveData) return nothing;
  for (const url of options.prefetchURLs ?? []) void prefetch(url);
  const watches = [...(options.watch ?? [])];
  if (!options.observe?.disabled) watches.push(await linkWatch(options));
  return watchVisible(watches, options.observe?.attributes);
}

async function linkWatch(options: InstallOptions): Promise<Watch> {
  const manifest = await loadManifest(page.cookiePrefix);
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

/** A site without the platform's own routes has none; then only `prefetchPatterns` count. */
async function loadManifest(prefix: string): Promise<CacheManifest> {
  const variables = globalThis as unknown as Record<string, CacheManifest | undefined>;
  if (variables[manifestVariable(prefix)] === undefined) {
    const script = document.createElement('script');
    const done = new Promise<void>((resolve) => {
      script.onload = script.onerror = () => resolve();
    });
    script.src = manifestUrl(prefix);
    document.head.append(script);
    await done;
  }
  return variables[manifestVariable(prefix)] ?? [];
}

// biome-ignore lint/style/noDefaultExport: projects import it both ways
export default install;
