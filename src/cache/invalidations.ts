/**
 * What unsafe requests made out of date (RFC 9111 section 4.4): URLs and when. Everything stored knows when its fetch
 * began; what began no later than its URL was changed is not used unasked again. Bounded: beyond, the older half of
 * the URLs is taken as if everything had been changed then.
 */
import { urlKeyOf } from './key-text.ts';

const MOST_URLS = 20_000;

export class Invalidations {
  /** In order of time. */
  readonly #changedAtMs = new Map<string, number>();
  #everythingAtMs = Number.NEGATIVE_INFINITY;
  #latestMs = Number.NEGATIVE_INFINITY;

  /** `urlKey` as the function of that name gives it. */
  add(urlKey: string, nowMs: number): void {
    this.#latestMs = Math.max(this.#latestMs, nowMs);
    this.#changedAtMs.delete(urlKey);
    this.#changedAtMs.set(urlKey, this.#latestMs);
    if (this.#changedAtMs.size > MOST_URLS) this.#fold();
  }

  /** `key` of the store. What is stored under the body of a request is a project's affair, not its URL's. */
  covers(key: string, begunAtMs: number): boolean {
    if (begunAtMs > this.#latestMs) return false;
    if (begunAtMs <= this.#everythingAtMs) return true;
    const url = urlKeyOf(key);
    const changedAtMs = url.ofBody ? undefined : this.#changedAtMs.get(url.urlKey);
    return changedAtMs !== undefined && begunAtMs <= changedAtMs;
  }

  #fold(): void {
    let left = MOST_URLS / 2;
    for (const [urlKey, atMs] of this.#changedAtMs) {
      if (left-- === 0) return;
      this.#changedAtMs.delete(urlKey);
      this.#everythingAtMs = atMs;
    }
  }
}
