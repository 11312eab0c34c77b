/**
 * The service worker's part: fetches what a page asks for at low priority, keeps it, and answers from it when the
 * visitor gets there. A prefetch that the edge has not cached is answered 412, which is normal and silent.
 * Source: spec "Caching", section 10.
 */
import {
  DEFAULT_COOKIE_PREFIX,
  DEFAULT_MAX_AGE_SECONDS,
  type PrefetchAs,
  type PrefetchMessage,
  type PrefetchOptions,
  prefetchUrl,
  storageUrl,
} from '../names.ts';
import { AnswerStore } from './store.ts';

/** Is told about each answer that was prefetched and kept. */
export interface PrefetchPlugin {
  prefetched(answer: PrefetchedAnswer): Promise<void> | void;
}

export interface PrefetchedAnswer {
  /** Absolute, without the platform's parameters. */
  readonly url: string;
  /** A copy of its own for every plugin. */
  readonly response: Response;
  /** Prefetches what the answer refers to; relative URLs are relative to the answer. Plugins are not asked again. */
  readonly prefetch: (url: string, as?: PrefetchAs, options?: PrefetchOptions) => Promise<boolean>;
}

export interface PrefetcherOptions {
  readonly plugins?: readonly PrefetchPlugin[];
  /** Host whose edge is asked instead of the URL's own: for sites with another CDN in front. */
  readonly cacheHost?: string;
  /** Seconds to keep answers, over what routes say by `serviceWorkerSeconds`. Without both: 120. */
  readonly defaultMaxAgeSeconds?: number;
  /** `{cookie}` of the site's branding for prefetches that the worker itself starts. Default `selvedge`. */
  readonly cookiePrefix?: string;
}

/** What is needed of the service worker's global scope. */
export type WorkerScope = Pick<ServiceWorkerGlobalScope, 'caches' | 'location' | 'clients' | 'skipWaiting'> &
  Pick<EventTarget, 'addEventListener'>;

/** Members that `lib.dom` of some versions does not know. */
type LowPriority = RequestInit & { priority: 'low' };
const ACCEPT: Partial<Record<PrefetchAs, string>> = { document: 'text/html', image: 'image/*', style: 'text/css' };

export class Prefetcher {
  readonly #options: PrefetcherOptions;
  readonly #scope: WorkerScope;
  readonly #store: AnswerStore;
  readonly #kept: { readonly pattern: RegExp; readonly maxAgeSeconds: number }[] = [];

  constructor(options: PrefetcherOptions = {}, scope = globalThis as unknown as WorkerScope, now = Date.now) {
    this.#options = options;
    this.#scope = scope;
    this.#store = new AnswerStore(scope.caches, now);
    this.#on<ExtendableEvent>('install', (event) => event.waitUntil(scope.skipWaiting()));
    this.#on<ExtendableEvent>('activate', (event) =>
      event.waitUntil(Promise.all([scope.clients.claim(), this.#store.sweep()])),
    );
    this.#on<ExtendableMessageEvent>('message', (event) => {
      if (isPrefetch(event.data)) event.waitUntil(this.#prefetch(event.data, this.#options.plugins ?? []));
    });
  }

  /** Answers the site's requests from what was prefetched. */
  route(): this {
    this.#on<FetchEvent>('fetch', (event) => {
      if (this.#mayAnswer(event.request)) event.respondWith(this.#answer(event));
    });
    return this;
  }

  /** Also keeps ordinary answers whose URL (the path, for patterns that start with `/`) fits; a string is a prefix. */
  cache(pattern: string | RegExp, maxAgeSeconds: number): this {
    const expression =
      typeof pattern === 'string' ? new RegExp(`^${pattern.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}`) : pattern;
    this.#kept.push({ pattern: expression, maxAgeSeconds });
    return this;
  }

  /** True when the answer was kept; false when no cache had it, or it could not be fetched. Never rejects. */
  prefetch(url: string, as?: PrefetchAs, options: PrefetchOptions = {}): Promise<boolean> {
    const cookiePrefix = this.#options.cookiePrefix ?? DEFAULT_COOKIE_PREFIX;
    const absolute = new URL(url, this.#scope.location.href).href;
    return this.#prefetch(
      { ...options, action: 'selvedge:prefetch', url: absolute, as, cookiePrefix },
      this.#options.plugins ?? [],
    );
  }

  async #prefetch(message: PrefetchMessage, plugins: readonly PrefetchPlugin[]): Promise<boolean> {
    const { url, method, body } = message;
    const key = storageUrl(url, method, body);
    if (await this.#store.find(key)) return true;
    const response = await this.#fetch(message).catch(() => null);
    // 412: no cache has it. Errors are for the visitor who really goes there.
    if (response === null || response.type === 'opaque' || !response.ok) return false;
    const copies = plugins.map((plugin) => ({ plugin, response: response.clone() }));
    await this.#store.put(key, response, this.#maxAge(response, message));
    const prefetch: PrefetchedAnswer['prefetch'] = (target, as, options = {}) => {
      const { cookiePrefix } = message;
      return this.#prefetch(
        { ...options, action: message.action, url: new URL(target, url).href, as, cookiePrefix },
        [],
      );
    };
    await Promise.all(
      copies.map(async ({ plugin, response }) => plugin.prefetched({ url: storageUrl(url), response, prefetch })),
    );
    return true;
  }

  #fetch(message: PrefetchMessage): Promise<Response> {
    const { url, as, cors, cookiePrefix } = message;
    const { cacheHost } = this.#options;
    const isOwn = new URL(url).host === this.#scope.location.host;
    const target = new URL(isOwn || cors ? prefetchUrl(url, cookiePrefix, message) : url);
    if (isOwn && cacheHost !== undefined) target.host = cacheHost;
    const accept = as === undefined ? undefined : ACCEPT[as];
    const init: LowPriority = {
      priority: 'low',
      mode: isOwn || cors ? 'cors' : 'no-cors',
      // Another host would get no cookies of this one, and could not be read with credentials.
      credentials: cacheHost === undefined ? 'same-origin' : 'omit',
      headers: accept === undefined ? {} : { accept },
    };
    return fetch(target.href, init);
  }

  /** The call's own, else the worker's, else the route's. */
  #maxAge(response: Response, { maxAgeSeconds }: PrefetchMessage): number {
    const said = /max-age=(\d+)/.exec(response.headers.get('x-sw-cache-control') ?? '')?.[1];
    const ofRoute = said === undefined ? undefined : Number(said);
    return maxAgeSeconds ?? this.#options.defaultMaxAgeSeconds ?? ofRoute ?? DEFAULT_MAX_AGE_SECONDS;
  }

  /** A reload asks for the truth, a range for a part: both go to the network. */
  #mayAnswer({ method, url, cache, headers }: Request): boolean {
    if (['reload', 'no-cache', 'no-store'].includes(cache) || headers.has('range')) return false;
    if (method === 'GET') return url.startsWith('http');
    return method === 'POST' && /json/.test(headers.get('content-type') ?? '');
  }

  async #answer(event: FetchEvent): Promise<Response> {
    const { request } = event;
    const { url, method } = request;
    const key = storageUrl(url, method, method === 'GET' ? '' : await request.clone().text());
    const found = await this.#store.find(key).catch(() => undefined);
    if (found) return found;
    const response = await fetch(request);
    const path = new URL(url).pathname;
    const kept = this.#kept.find(({ pattern }) => pattern.test(url) || pattern.test(path));
    if (kept && method === 'GET' && response.ok && response.type !== 'opaque')
      event.waitUntil(this.#store.put(key, response.clone(), kept.maxAgeSeconds));
    return response;
  }

  #on<Kind extends Event>(name: string, listener: (event: Kind) => void): void {
    this.#scope.addEventListener(name, listener as (event: Event) => void);
  }
}

const isPrefetch = (data: unknown): data is PrefetchMessage =>
  (data as PrefetchMessage | null)?.action === 'selvedge:prefetch' && typeof (data as PrefetchMessage).url === 'string';
