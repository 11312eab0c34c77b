/** The seam of the cache room: what a POP asks and what it is told. Semantics, store and coalescing live beside it. */
import type { Purge } from '../artifact/purge.ts';
import type { Fields } from '../http/fields.ts';
import type { HttpResponse } from '../http/message.ts';
import type { CacheSettings } from '../router/table.ts';
import type { Fault } from '../status/fault.ts';
import type { Held } from './store.ts';

/** `{prefix}-caching-status`: may this be stored, and if not, why. */
export type CachingStatus =
  | 'ok'
  | 'disabled'
  | 'no-max-age'
  | 'code'
  | 'private'
  | 'method'
  | 'body-too-big'
  | 'set-cookie'
  | 'deployment'
  | 'debug'
  | 'pass';

/** A decision and why: `status` is the public word, `reason` a sentence for people and logs. */
export interface StoreVerdict {
  readonly status: CachingStatus;
  readonly reason: string;
  /** Set when `status` is `ok`. */
  readonly ttlMs: number;
  readonly staleWhileRevalidateMs: number;
  /** How long after that it may still be served when the next hop fails. */
  readonly staleIfErrorMs: number;
  /** The upstream forbids every stale use. */
  readonly mustRevalidate?: true;
  /** Not `ok`, but kept: every use is asked of the next hop first, which may answer 304. */
  readonly validate?: true;
  /** Lower-case names of fields that the upstream wants left out of what is stored. */
  readonly unkept?: readonly string[];
}

export interface CacheRequest {
  /** Canonical key, environment's space included; made by `cacheKey`. */
  readonly key: string;
  readonly method: string;
  readonly fields: Fields;
  readonly requestId: string;
  /** Merged `cache()` settings of the matched routes. */
  readonly settings: CacheSettings | undefined;
  /** A body route (`post`, body criteria, GraphQL): its method may be stored. */
  readonly bodyKey: boolean;
  /** Known before the lookup that nothing may be stored (`debug`, `body-too-big`, `disabled` …): no lookup, no coalescing. */
  readonly bypass?: { readonly status: CachingStatus; readonly reason: string };
  /** A prefetch: answer from store or not at all, never fetch. */
  readonly lookupOnly?: boolean;
  /** Came through the platform before: answered from store, but never waits for a fetch, which could be its own. */
  readonly nested?: boolean;
  /** Surrogate keys header name, `{prefix}-surrogate-key`. */
  readonly surrogateKeyName: string;
  /** Lower-case names of request headers that `key` covers (`CacheKey.keyedHeaders`): they need no variants. */
  readonly keyedHeaders?: readonly string[];
}

/** The cache metric of the `t` header. */
export type CacheMetric = 'hit' | 'cached' | 'pass' | 'miss';

export interface CacheAnswer {
  /** From the store (body a `Buffer` or a stream that follows a fill) or as fetched. Status and fields are the stored ones. */
  readonly response: HttpResponse;
  readonly metric: CacheMetric;
  readonly verdict: StoreVerdict;
  /** RFC 9211 parameters of our member, e.g. `hit; ttl=57` or `fwd=uri-miss; fwd-status=200; stored; ttl=60`. */
  readonly cacheStatus: string;
  /** Seconds, on hits (and what a fetched response carried). */
  readonly ageSeconds: number;
  readonly stale: boolean;
  /** The next hop failed, and the stored response took its place: what it failed with. */
  readonly bridged?: Fault | { readonly status: number };
  /** Remaining freshness in seconds; negative when stale. */
  readonly ttlSeconds?: number;
  /** The same, exactly. */
  readonly freshForMs?: number;
  /** Milliseconds spent waiting for somebody else's fetch. */
  readonly coalescedMs?: number;
  /** On hits: id of the request that filled the entry. */
  readonly hitRequestId?: string;
  /** The last purge that was known when the content was fetched, here and behind us. */
  readonly purgeSequence: number;
  /** On hits in the memory tier: the entry itself, for whoever prepares answers from it. */
  readonly entry?: MemoryEntry;
}

/** A stored response as somebody sees it who answers from it without asking again. */
export interface MemoryEntry {
  /** Alive until it is replaced, evicted, purged or its space dropped. */
  readonly held: Held;
  /** Wall clock: when the response was made, and until when it may be used without asking the next hop. */
  readonly stored: { readonly madeAtMs: number; readonly freshUntilMs: number };
}

/** What the cache wants of one fetch. */
export interface FetchPlan {
  /**
   * True: the answer may be stored and shared. Ask for the whole representation, without the client's Range,
   * If-Range, If-Match, If-None-Match, If-Modified-Since and If-Unmodified-Since; ranges and 304s are cut from the
   * answer on delivery. False: the answer is this client's alone, forward its request as it came.
   */
  readonly whole: boolean;
  /** Validators of the stale stored response: send them as If-None-Match and If-Modified-Since; a 304 freshens it. */
  readonly ifNoneMatch?: string;
  readonly ifModifiedSince?: string;
}

/**
 * Fetches from the next hop. Throws a `Fault`; waiters share it. `signal` fires when nobody wants the answer any
 * more. May be called after the client got its answer (refresh), and more than once for one request.
 */
export type Fetch = (signal: AbortSignal, plan: FetchPlan) => Promise<HttpResponse>;

export interface Cache {
  /** Null only for `lookupOnly` without a usable entry. */
  answer(request: CacheRequest, fetch: Fetch, signal: AbortSignal): Promise<CacheAnswer | null>;
  /** Forgets everything whose key starts with the space (a new deployment went live). */
  dropSpace(space: string): void;
  /**
   * Takes note of what other processes have replaced or deleted. `answer` does so itself: this is for whoever answers
   * from entries of this cache without asking it.
   */
  catchUp(): void;
  /**
   * An unsafe request has changed what is behind these URLs (RFC 9111 section 4.4), named as by `urlKey`:
   * what is stored, or being fetched, is not used unasked again. Resolves when other processes know as well.
   */
  invalidate(urlKeys: readonly string[]): Promise<void>;
  /**
   * What these cover is gone or stale from now on, that which is being fetched now included. `upTo`: every purge up
   * to this one is known now. Resolves when that outlives a crash as long as what is stored does.
   */
  purge(purges: readonly Purge[], upTo: number): Promise<void>;
  /** The last purge that is known. */
  readonly purgedUpTo: number;
  /** Bytes held, entries, for metrics. */
  stats(): { readonly bytes: number; readonly entries: number };
  close(): void;
}
