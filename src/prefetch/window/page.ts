/** What the modules of one page share: its settings, and the way to its service worker. */
import { DEFAULT_COOKIE_PREFIX, type PrefetchMessage } from '../names.ts';

export interface PageSettings {
  cookiePrefix: string;
  includeCacheMisses: boolean;
  /** Share of prefetches, 0 to 1, that may reach the servers behind the edge: they warm its cache. */
  forcePrefetchRatio: number;
}

export const page: PageSettings = {
  cookiePrefix: DEFAULT_COOKIE_PREFIX,
  includeCacheMisses: false,
  forcePrefetchRatio: 0,
};

/** Waits for the worker of a first visit. Browsers without service workers, and insecure pages, do without. */
export async function tellWorker(message: PrefetchMessage): Promise<void> {
  if (!('serviceWorker' in navigator)) return;
  const registration = await navigator.serviceWorker.ready;
  registration.active?.postMessage(message);
}
