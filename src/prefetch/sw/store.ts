/**
 * Prefetched answers with an end: Cache Storage keeps for ever, so each answer carries the moment after which it is
 * not used any more. Whole answers only; what another origin hides (opaque) tells no status and is not kept.
 */
import { CACHE_NAME } from '../names.ts';

const EXPIRES = 'x-prefetch-expires';

export class AnswerStore {
  readonly #caches: CacheStorage;
  readonly #now: () => number;

  constructor(caches: CacheStorage, now: () => number) {
    this.#caches = caches;
    this.#now = now;
  }

  /** Undefined when there is none, or none that is still fresh. */
  async find(url: string): Promise<Response | undefined> {
    const cache = await this.#caches.open(CACHE_NAME);
    const found = await cache.match(url, { ignoreVary: true });
    if (found === undefined || this.#isFresh(found)) return found;
    await cache.delete(url, { ignoreVary: true });
    return undefined;
  }

  async put(url: string, response: Response, maxAgeSeconds: number): Promise<void> {
    const headers = new Headers(response.headers);
    headers.set(EXPIRES, String(this.#now() + maxAgeSeconds * 1000));
    // The body is decoded already. `vary` names request headers that the edge has weighed, `*` could not be stored.
    for (const name of ['content-encoding', 'content-length', 'vary']) headers.delete(name);
    const { status, statusText } = response;
    const cache = await this.#caches.open(CACHE_NAME);
    await cache.put(url, new Response(await response.arrayBuffer(), { status, statusText, headers }));
  }

  /** Removes what has ended. */
  async sweep(): Promise<void> {
    const cache = await this.#caches.open(CACHE_NAME);
    for (const request of await cache.keys()) {
      const response = await cache.match(request, { ignoreVary: true });
      if (response && !this.#isFresh(response)) await cache.delete(request, { ignoreVary: true });
    }
  }

  #isFresh(response: Response): boolean {
    return Number(response.headers.get(EXPIRES)) > this.#now();
  }
}
