/**
 * Every limit of the platform: one table from which types, defaults, the loader's checks, `selvedge config --help`
 * and docs/configuration.md follow. Equal to a limit passes, one above fails.
 * KB = 1,024 bytes. Source: spec page limits.
 */
export type LimitUnit = 'bytes' | 'ms' | 'seconds' | 'hours' | 'MiB' | 'lines' | 'count';

/** The narrowest thing that may carry its own value; the installation's value is the default for all of them. */
export type LimitScope = 'installation' | 'environment' | 'backend';

export interface LimitRow {
  /** Infinity: off. */
  readonly default: number;
  readonly unit: LimitUnit;
  readonly scope: LimitScope;
  /** Who enforces it, and what is measured. */
  readonly at: string;
  /** Status code of a breach; absent when a breach is not an answer to a request. */
  readonly code?: number;
  /** What a breach does, where that is more or other than answering with `code`. */
  readonly breach?: string;
  readonly doc: string;
  /** Smallest value that makes sense; 0 where not given. */
  readonly min?: number;
}

const KB = 1024;
const MB = 1024 * KB;
const GB = 1024 * MB;
const OFF = Number.POSITIVE_INFINITY;

export const LIMITS = {
  'url.pathQueryBytes': {
    default: 8 * KB,
    unit: 'bytes',
    scope: 'installation',
    at: 'client side, raw request target',
    code: 400,
    doc: 'Path and query of a request, in bytes as received.',
  },
  'request.cookieBytes': {
    default: 32 * KB,
    unit: 'bytes',
    scope: 'installation',
    at: 'client side, sum of Cookie values',
    code: 400,
    doc: 'All cookies of a request together.',
  },
  'request.headerBytes': {
    default: 64 * KB,
    unit: 'bytes',
    scope: 'installation',
    at: 'client side, sum of name + value + 4 over all lines',
    code: 400,
    doc: 'All header lines of a request together.',
  },
  'request.headerCount': {
    default: 70,
    unit: 'lines',
    scope: 'environment',
    at: 'edge entry, lines outside the reserved prefix',
    code: 542,
    doc: 'Number of header lines of a request.',
  },
  'response.cookieBytes': {
    default: 32 * KB,
    unit: 'bytes',
    scope: 'environment',
    at: 'dialling hop or compute, sum of Set-Cookie values',
    code: 542,
    doc: 'All cookies that a response sets.',
  },
  'response.headerBytes': {
    default: 64 * KB,
    unit: 'bytes',
    scope: 'environment',
    at: 'dialling hop or compute, sum over all lines',
    code: 542,
    doc: 'All header lines of a response together.',
  },
  'response.headerCount': {
    default: 70,
    unit: 'lines',
    scope: 'environment',
    at: 'dialling hop or compute, lines outside the reserved prefix',
    code: 542,
    doc: 'Number of header lines of a response; every Set-Cookie line counts.',
  },
  'response.headerFieldBytes': {
    default: OFF,
    unit: 'bytes',
    scope: 'environment',
    at: 'dialling hop or compute, single line',
    code: 542,
    doc: 'One header line of a response.',
  },
  nestedRequests: {
    default: 3,
    unit: 'count',
    scope: 'installation',
    at: 'edge entry, own passes recorded in CDN-Loop',
    code: 538,
    doc: 'How often a request may already have passed through this platform.',
  },
  'upstream.dnsMs': {
    default: 5_000,
    unit: 'ms',
    scope: 'environment',
    at: 'dialling hop, resolver',
    code: 537,
    doc: "Resolving a backend's host name.",
    min: 1,
  },
  'upstream.connectMs': {
    default: 5_000,
    unit: 'ms',
    scope: 'environment',
    at: 'dialling hop, all addresses together',
    code: 531,
    doc: 'TCP connect to a backend.',
    min: 1,
  },
  'upstream.tlsMs': {
    default: 5_000,
    unit: 'ms',
    scope: 'environment',
    at: 'dialling hop, handshake',
    code: 533,
    doc: 'TLS handshake with a backend.',
    min: 1,
  },
  'upstream.writeIdleMs': {
    default: 60_000,
    unit: 'ms',
    scope: 'environment',
    at: 'dialling hop, no progress while sending the request',
    code: 536,
    doc: 'Longest pause while a request body is being sent to a backend.',
    min: 1,
  },
  'upstream.responseMs': {
    default: 60_000,
    unit: 'ms',
    scope: 'backend',
    at: 'dialling hop, request sent until response head complete',
    code: 536,
    doc: 'Waiting for the response head of a backend; `firstByteTimeout` of a backend replaces it.',
    min: 1,
  },
  'upstream.bodyIdleMs': {
    default: 60_000,
    unit: 'ms',
    scope: 'environment',
    at: 'dialling hop, gap between body bytes',
    code: 536,
    breach: 'the transfer is aborted when the head is already out',
    doc: 'Longest pause inside a response body.',
    min: 1,
  },
  'upstream.bodyBytes': {
    default: 2 * GB,
    unit: 'bytes',
    scope: 'environment',
    at: 'dialling hop',
    code: 532,
    breach: 'the transfer is aborted when the head is already out',
    doc: 'Response body of a backend.',
  },
  'upstream.poolSize': {
    default: 256,
    unit: 'count',
    scope: 'environment',
    at: 'dialling hop, connections to one backend',
    code: 531,
    breach: 'requests wait for `upstream.poolWaitMs` first',
    doc: 'Open connections to one backend, per process.',
    min: 1,
  },
  'upstream.poolWaitMs': {
    default: 1_000,
    unit: 'ms',
    scope: 'environment',
    at: 'dialling hop, waiting for a connection of the pool',
    code: 531,
    doc: 'Waiting for a free connection when the pool is used up.',
  },
  'static.bodyBytes': {
    default: 2 * GB,
    unit: 'bytes',
    scope: 'installation',
    at: 'deploy',
    breach: 'the deployment is refused',
    doc: 'One static file.',
  },
  'pop.dnsMs': {
    default: 2_000,
    unit: 'ms',
    scope: 'installation',
    at: 'edge',
    code: 548,
    doc: "Resolving the global POP's host name.",
    min: 1,
  },
  'pop.connectMs': {
    default: 2_000,
    unit: 'ms',
    scope: 'installation',
    at: 'edge',
    code: 543,
    doc: 'TCP connect to the global POP.',
    min: 1,
  },
  'pop.tlsMs': {
    default: 2_000,
    unit: 'ms',
    scope: 'installation',
    at: 'edge',
    code: 546,
    doc: 'TLS handshake with the global POP.',
    min: 1,
  },
  'pop.silenceMs': {
    default: 10_000,
    unit: 'ms',
    scope: 'installation',
    at: 'edge: neither a byte nor an interim 102 from the global POP',
    code: 543,
    doc: 'How long the global POP may say nothing. Must be longer than `pop.heartbeatMs`.',
    min: 1,
  },
  'pop.poolSize': {
    default: 1_024,
    unit: 'count',
    scope: 'installation',
    at: 'edge, connections to the global POP',
    code: 543,
    breach: 'requests wait for `upstream.poolWaitMs` first',
    doc: 'Open connections to the global POP, per process; all projects share them.',
    min: 1,
  },
  'pop.heartbeatMs': {
    default: 2_000,
    unit: 'ms',
    scope: 'installation',
    at: 'global POP',
    doc: 'Interval of the interim 102 responses that the global POP sends while something behind it is at work.',
    min: 1,
  },
  'compute.scheduleMs': {
    default: 60_000,
    unit: 'ms',
    scope: 'environment',
    at: 'scheduler queue',
    code: 541,
    doc: 'Waiting for a free worker.',
    min: 1,
  },
  'compute.queueDepth': {
    default: 1_000,
    unit: 'count',
    scope: 'installation',
    at: 'scheduler queue',
    code: 541,
    doc: 'Requests waiting for a worker at the same time.',
  },
  'compute.responseMs': {
    default: 20_000,
    unit: 'ms',
    scope: 'environment',
    at: 'scheduler, hand-over until end of response',
    code: 539,
    doc: 'How long project code may work on one request.',
    min: 1,
  },
  'compute.loadMs': {
    default: 20_000,
    unit: 'ms',
    scope: 'installation',
    at: 'worker, from the start of loading until ready',
    code: 539,
    doc: 'How long a new worker may load its bundle.',
    min: 1,
  },
  'compute.reservedMs': {
    default: 250,
    unit: 'ms',
    scope: 'installation',
    at: 'scheduler',
    doc: 'Part of `compute.responseMs` that is kept for sending the error before the worker is ended.',
  },
  'compute.requestBytes': {
    default: 6 * MB,
    unit: 'bytes',
    scope: 'environment',
    at: 'scheduler',
    code: 413,
    doc: 'Request body handed to project code.',
  },
  'compute.responseBytes': {
    default: 6 * MB,
    unit: 'bytes',
    scope: 'environment',
    at: 'scheduler, bytes as produced, before compression',
    code: 532,
    doc: 'Response body made by project code.',
  },
  'compute.memoryMiB': {
    default: 896,
    unit: 'MiB',
    scope: 'environment',
    at: 'worker process',
    code: 540,
    doc: 'Memory of one worker.',
    min: 32,
  },
  'compute.reservedMemoryMiB': {
    default: 50,
    unit: 'MiB',
    scope: 'installation',
    at: 'worker process',
    doc: "The supervisor's share of `compute.memoryMiB`.",
  },
  'compute.tmpMiB': {
    default: 512,
    unit: 'MiB',
    scope: 'installation',
    at: 'temporary directory of a worker (not part of this version)',
    breach: 'writes fail with ENOSPC in project code',
    doc: 'Temporary files of one worker.',
  },
  'compute.concurrencyPerWorker': {
    default: 1,
    unit: 'count',
    scope: 'environment',
    at: 'scheduler',
    breach: 'requests queue',
    doc: 'Requests that one worker handles at the same time.',
    min: 1,
  },
  drainMs: {
    default: 30_000,
    unit: 'ms',
    scope: 'installation',
    at: 'every component while it stops',
    code: 545,
    breach: 'new requests are refused, running ones are cut at the end',
    doc: 'How long a stopping component waits for its running requests.',
  },
  'client.headMs': {
    default: 60_000,
    unit: 'ms',
    scope: 'installation',
    at: 'client side',
    code: 408,
    doc: 'Time for a client to send a complete request head.',
    min: 1,
  },
  'client.idleMs': {
    default: 5_000,
    unit: 'ms',
    scope: 'installation',
    at: 'client side',
    breach: 'the connection is closed',
    doc: 'How long an idle client connection is kept open.',
    min: 1,
  },
  'cache.keyBodyBytes': {
    default: 8_000,
    unit: 'bytes',
    scope: 'environment',
    at: 'edge, request body used in a cache key',
    breach: 'not cached, caching status `body-too-big`',
    doc: 'Largest request body that can be part of a cache key.',
  },
  'cache.hitForPassSeconds': {
    default: 120,
    unit: 'seconds',
    scope: 'installation',
    at: 'edge and global',
    doc: 'How long an answer that may not be stored stops requests of the same key from waiting for each other.',
  },
  'cache.deploymentSettleSeconds': {
    default: 30,
    unit: 'seconds',
    scope: 'installation',
    at: 'nowhere: what is stored belongs to one version, so that nothing has to settle',
    breach: 'caching status `deployment` until then',
    doc: 'Longest time that a new version may take to propagate; answers are not stored while it does.',
  },
  'prefetch.defaultTtlSeconds': {
    default: 120,
    unit: 'seconds',
    scope: 'installation',
    at: 'edge, told to the service worker with the prefetched answer',
    doc: 'Freshness of prefetched answers for which nothing else is set.',
  },
  'prerender.concurrency': {
    default: 200,
    unit: 'count',
    scope: 'installation',
    at: 'prerender runner',
    breach: 'capped',
    doc: 'Prerender requests at the same time.',
    min: 1,
  },
  'prerender.requestsPerDeployment': {
    default: 25_000,
    unit: 'count',
    scope: 'installation',
    at: 'prerender runner',
    breach: 'the rest is skipped with a warning',
    doc: 'Prerender requests after one deployment.',
  },
  'purge.tagsPerResponse': {
    default: OFF,
    unit: 'count',
    scope: 'environment',
    at: 'dialling hop',
    breach: 'further tags are ignored and logged',
    doc: 'Surrogate keys of one response.',
  },
  'bundle.compressedBytes': {
    default: 50 * MB,
    unit: 'bytes',
    scope: 'installation',
    at: 'deploy',
    breach: 'the deployment is refused, both figures are named',
    doc: 'Compressed size of a project bundle.',
  },
  'bundle.uncompressedBytes': {
    default: 250 * MB,
    unit: 'bytes',
    scope: 'installation',
    at: 'deploy',
    breach: 'the deployment is refused, both figures are named',
    doc: 'Unpacked size of a project bundle.',
  },
  environments: {
    default: OFF,
    unit: 'count',
    scope: 'installation',
    at: 'control plane',
    breach: 'the new environment is refused',
    doc: 'Environments of one project.',
    min: 1,
  },
  'log.userTimingBytes': {
    default: 50,
    unit: 'bytes',
    scope: 'installation',
    at: 'access log, field `xut`',
    breach: 'cut',
    doc: 'User timings kept in the access log.',
  },
  'log.accessRetentionHours': {
    default: 24,
    unit: 'hours',
    scope: 'installation',
    at: 'log store',
    breach: 'older files are removed',
    doc: 'How long access and server logs are kept.',
  },
  'why.retentionHours': {
    default: 24,
    unit: 'hours',
    scope: 'installation',
    at: 'store of request stories',
    breach: 'older stories are removed',
    doc: 'How long `selvedge why` can tell the story of a request.',
  },
  'why.bytes': {
    default: 256 * MB,
    unit: 'bytes',
    scope: 'installation',
    at: 'store of request stories, failures and the others half each',
    breach: 'the oldest stories are removed; 0: none are kept',
    doc: 'Disk space of request stories.',
  },
  'dri.bodyBytes': {
    default: 16 * KB,
    unit: 'bytes',
    scope: 'installation',
    at: 'request inspection (not part of this version)',
    breach: 'cut, `bodyTruncated: true`',
    doc: 'Body bytes recorded for one inspected request.',
  },
  'redirects.perEnvironment': {
    default: 10_000,
    unit: 'count',
    scope: 'installation',
    at: 'control plane (not part of this version)',
    breach: 'the import is refused',
    doc: 'Configured redirects of one environment.',
  },
  'experiments.variants': {
    default: 100,
    unit: 'count',
    scope: 'installation',
    at: 'control plane (not part of this version)',
    breach: 'refused',
    doc: 'Variants of one experiment; an experiment has at least two.',
    min: 2,
  },
} as const satisfies Record<string, LimitRow>;

export type LimitKey = keyof typeof LIMITS;

/** Values by key, in the unit that the key's name ends with. Infinity: off. */
export type Limits = Readonly<Record<LimitKey, number>>;

export const LIMIT_KEYS = Object.keys(LIMITS) as readonly LimitKey[];

/** The same rows with every optional member visible. */
export const limitRow = (key: LimitKey): LimitRow => LIMITS[key];

export const DEFAULT_LIMITS: Limits = Object.freeze(
  Object.fromEntries(LIMIT_KEYS.map((key) => [key, LIMITS[key].default])) as Record<LimitKey, number>,
);

/** Node fires timers beyond this at once, so it is the largest time; "off" of a time means this (24.8 days). */
export const LONGEST_TIMER_MS = 2 ** 31 - 1;
