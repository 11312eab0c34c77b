/** `selvedge/prefetch/sw`: what a service worker imports. */
export type { PrefetchAs, PrefetchOptions } from '../names.ts';
export {
  type DeepFetchMatch,
  DeepFetchPlugin,
  type DeepFetchRule,
  type HtmlRule,
  type JsonRule,
} from './deep-fetch.ts';
export { type PrefetchedAnswer, Prefetcher, type PrefetcherOptions, type PrefetchPlugin } from './prefetcher.ts';
