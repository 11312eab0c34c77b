/** What a cache is made of: bounds, pauses, and what it is told of the POP around it. */
import type { Clock } from '../base/clock.ts';
import type { HttpResponse } from '../http/message.ts';
import { Fault, type Hop } from '../status/fault.ts';
import type { DiskTier } from './disk/disk-tier.ts';
import type { FillLimits } from './fill.ts';
import type { CacheRequest } from './types.ts';

export interface CacheOptions {
  readonly clock: Clock;
  /** The hop of this POP, for the faults that the cache itself raises. */
  readonly hop: Hop;
  /** The branding's header prefix, e.g. `x-sv`. */
  readonly headerPrefix: string;
  /** `cache.memoryBytes`: bound of the memory tier, index included. */
  readonly memoryBytes: number;
  /** `cache.maxEntries`. Default 200,000. */
  readonly maxEntries?: number;
  /** Behind the memory tier, shared with other processes; whoever opened it closes it. */
  readonly disk?: DiskTier;
  /** `cache.maxObjectBytes`: larger bodies are passed on without being stored. */
  readonly maxObjectBytes: number;
  /** `cache.hitForPassSeconds`. Default 120. */
  readonly hitForPassSeconds?: number;
  /** How far a body that is not stored may be ahead of its slowest reader. Default 1 MiB. */
  readonly windowBytes?: number;
  /** Memory of all bodies that are being fetched, beside `memoryBytes`. Default half of it. */
  readonly fillBytes?: number;
  /** A reader of a windowed body that takes nothing for so long while others wait is cut off. Default 10,000. */
  readonly laggardMs?: number;
  /** Part of an announced body from which on it is finished although its clients have left. Default 0.75. */
  readonly finishFraction?: number;
  /** Pause after a failed refresh. Default 1,000. */
  readonly refreshBackoffMs?: number;
  /** Remaining freshness as our own next POP tells it, in ms; undefined for an answer that is not from one. */
  readonly nextHopTtlMs?: (response: HttpResponse) => number | undefined;
  /** A refresh in the background failed; the stale response stays until its window ends. For the log. */
  readonly onRefreshFault?: (fault: Fault, request: CacheRequest) => void;
}

export function fillLimitsOf(options: CacheOptions): FillLimits {
  const { clock, hop, memoryBytes, maxObjectBytes } = options;
  return {
    ...{ clock, maxObjectBytes },
    windowBytes: options.windowBytes ?? 1_048_576,
    laggardMs: options.laggardMs ?? 10_000,
    budget: { usedBytes: 0, maxBytes: options.fillBytes ?? memoryBytes / 2 },
    lengthError: () => new Fault({ cause: 'upstream.body.incomplete', hop }),
    laggardError: () => new Fault({ cause: 'request.timeout', hop, details: 'slow-reader' }),
  };
}
