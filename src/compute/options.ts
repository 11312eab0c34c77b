/** What a compute room is made with. Limits are the platform's `compute.*` and `response.*`, as plain numbers. */
import type { Clock } from '../base/clock.ts';
import type { ServerLogLine } from './types.ts';

export interface ComputeLimits {
  /** Longest wait for a worker before `compute.queue-timeout`. */
  readonly scheduleMs: number;
  /** Most requests that may wait at once; one more is `compute.queue-full`. */
  readonly queueDepth: number;
  /** Hand-over to the worker → end of the response. */
  readonly responseMs: number;
  /** Longest that a worker may load its bundle. */
  readonly loadMs: number;
  /** Part of `responseMs` that is kept for finding the cause and sending the error. */
  readonly reservedMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly memoryMiB: number;
  /** Part of `memoryMiB` that is not given to the JavaScript heap. */
  readonly reservedMemoryMiB: number;
  /** Temporary files of one worker, where it is confined. */
  readonly tmpMiB: number;
  readonly concurrencyPerWorker: number;
  /** Response lines without the platform's own, each Set-Cookie line counted. */
  readonly headerCount: number;
  /** Σ(name + value + 4). */
  readonly headerBytes: number;
  /** Σ of Set-Cookie values. */
  readonly cookieBytes: number;
  /** One line; Infinity: off. */
  readonly headerFieldBytes: number;
}

export interface ComputeOptions {
  readonly clock: Clock;
  readonly limits: ComputeLimits;
  /** Most worker processes at once, of all deployments together. */
  readonly maxWorkers: number;
  /** Workers that a prepared deployment keeps, idle or not. */
  readonly prewarm: number;
  /** A worker above `prewarm` is stopped after this long without a request. */
  readonly idleMs: number;
  /** Existing directory for private files of workers; everything below it that is ours is removed on `close`. */
  readonly runDir: string;
  readonly onLog: (line: ServerLogLine) => void;
  /** 549 tells the end of a process apart from other project errors (534). */
  readonly projectCrashed: 534 | 549;
  /** True for names of the platform: not counted against `headerCount`. */
  readonly isPlatformHeader: (lowerName: string) => boolean;
  /** The branding's header prefix, for what project code may write under it. Default: the native one. */
  readonly headerPrefix?: string;
  /** Prefix of `…_ENVIRONMENT_NAME` and its companions. Default `SELVEDGE`. */
  readonly variablePrefix?: string;
  /** `auto`: namespaces for each worker where the system lets its users make them. Default `auto`. */
  readonly isolation?: 'auto' | 'none';
  /** Directories that workers have no business in; confined ones do not see them. */
  readonly hidden?: readonly string[];
  /** Told what an operator should know about this machine. */
  readonly report?: (message: string) => void;
  /** A worker is replaced after this many requests. Default: never. */
  readonly requestsPerWorker?: number;
  /** How long a request waits for a busy worker before another one is started beside it. Default 25. */
  readonly growMs?: number;
}
