/** `selvedge/prefetch/window/prefetch`: asks the page's service worker to fetch ahead of the visitor. */
import { CACHE_NAME, type PrefetchAs, type PrefetchOptions } from '../names.ts';
import { page, tellWorker } from './page.ts';

export type { PrefetchAs, PrefetchOptions } from '../names.ts';
export interface WindowPrefetchOptions extends PrefetchOptions {
  /** Share of calls, 0 to 1, that go on to the servers behind the edge when no cache has the URL. */
  readonly forcePrefetchRatio?: number;
}

const asked = new Set<string>();

/**
 * Fetches `url` (relative to the page) into the service worker's cache, if an edge cache has it. Each URL once per
 * page. Resolves when the worker has been asked; that nothing was prefetched is no error.
 */
export async function prefetch(
  url: string | URL,
  as: PrefetchAs = 'document',
  options: WindowPrefetchOptions = {},
): Promise<void> {
  const absolute = new URL(url, document.baseURI);
  absolute.hash = '';
  const { forcePrefetchRatio = page.forcePrefetchRatio, ...rest } = options;
  const once = `${options.method ?? ''} ${absolute.href} ${options.body ?? ''}`;
  if (asked.has(once) || !absolute.protocol.startsWith('http')) return;
  asked.add(once);
  const includeCacheMisses =
    options.includeCacheMisses ?? (page.includeCacheMisses || Math.random() < forcePrefetchRatio);
  const { cookiePrefix } = page;
  await tellWorker({ ...rest, action: 'selvedge:prefetch', url: absolute.href, as, cookiePrefix, includeCacheMisses });
}

/** Drops everything that was prefetched: for moments such as a login, after which the same URLs show something else. */
export async function forget(): Promise<void> {
  asked.clear();
  if ('caches' in window) await caches.delete(CACHE_NAME);
}

// biome-ignore lint/style/noDefaultExport: projects import it both ways
export default prefetch;
