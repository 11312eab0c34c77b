/**
 * A story: what one hop knows about one request, written when it is over. The parts of a request, told by edge and
 * global POP, are joined by request id and span when somebody asks (`selvedge why`, `GET /v1/requests/:id`). Times
 * are milliseconds since the hop received the request, so that no two clocks have to agree. Names that may carry
 * secrets are redacted before a story is written (`redact.ts`).
 */
import type { Actor, Cause, Phase } from '../status/causes.ts';
import type { Hop } from '../status/fault.ts';

export const STORY_FORMAT = 1;

/** How it ended, as the hop saw it. */
export const STORY_ENDS = {
  sent: 'answered completely',
  cut: 'cut after the head had been sent',
  'client-left': 'the client left before the answer was complete',
  refused: 'refused before it became an exchange',
  tunnel: 'upgraded; the tunnel is open',
  'tunnel-closed': 'upgraded; the tunnel is closed',
  afterwards: 'work that went on after the client had its answer',
} as const;

export type StoryEnd = keyof typeof STORY_ENDS;

/** The phases of an attempt in their order: member of the record, and the word for people. */
export const ATTEMPT_PHASES = [
  ['dnsMs', 'dns'],
  ['connectMs', 'tcp'],
  ['tlsMs', 'tls'],
  ['sendMs', 'send'],
  ['headMs', 'head'],
  ['bodyMs', 'body'],
] as const;

export type AttemptPhase = (typeof ATTEMPT_PHASES)[number][0];

export interface Story {
  readonly format: typeof STORY_FORMAT;
  readonly requestId: string;
  /** The id was the client's own (`X-Request-Id`): others may have used it, too. */
  readonly idFromClient?: boolean;
  /** It was too long to be kept whole. */
  readonly shortened?: boolean;
  /** Unique for the exchange; on an inner hop that of its link call (`StoryCall.span`). */
  readonly span: string;
  readonly hop: 'edge' | 'global';
  /** Identity of the POP. */
  readonly pop: string;
  /** Wall clock when the hop received the request, ms since the epoch. */
  readonly atMs: number;
  readonly durationMs: number;
  readonly end: StoryEnd;
  /** Status that was sent, if any was. */
  readonly status?: number;
  /** Bytes of the body that were sent. */
  readonly bytes?: number;
  readonly client: { readonly ip: string; readonly protocol: string; readonly httpVersion: string };
  readonly request: StoryRequest;
  /** Absent when the request never got so far as to belong to somebody. */
  readonly deployment?: { readonly environment: string; readonly number: number };
  /** Ids of the routes that matched, in order; the last one sends when `action` is there. */
  readonly routes?: readonly string[];
  readonly action?: string;
  /** Error routes that took over. */
  readonly caught?: { readonly status: number; readonly routes: readonly string[] };
  readonly cache?: StoryCache;
  readonly calls?: readonly StoryCall[];
  readonly run?: StoryRun;
  readonly fault?: StoryFault;
  /** Value of the `t` header, and of the `status` header. */
  readonly timings: string;
  readonly statuses: string;
}

export interface StoryRequest {
  readonly method: string;
  readonly host: string;
  /** Path with query. */
  readonly url: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  readonly bodyBytes?: number;
  readonly upgrade?: string;
}

export interface StoryCache {
  /** 1 on an edge, 2 on a global POP. */
  readonly level: 1 | 2;
  readonly metric: string;
  /** `{prefix}-caching-status`. */
  readonly status: string;
  readonly reason: string;
  /** Our Cache-Status member. */
  readonly verdict: string;
  readonly key?: string;
  readonly hash?: string;
  readonly ageSeconds?: number;
  readonly ttlSeconds?: number;
  readonly stale?: boolean;
  /** Spent waiting for somebody else's fetch. */
  readonly coalescedMs?: number;
  /** The request that filled the entry, or whose fetch was shared. */
  readonly filledBy?: string;
}

/** One call of the upstream room: to an upstream, or over the link. */
export interface StoryCall {
  readonly leg: 'upstream' | 'link';
  /** Who asked: a hop, or project code through the platform. */
  readonly by: Hop;
  readonly backend?: string;
  readonly atMs: number;
  /** What was asked, as it was sent. */
  readonly scheme: 'http' | 'https';
  readonly host: string;
  readonly port: number;
  readonly servername?: string;
  /** The certificate is not checked. */
  readonly insecure?: boolean;
  readonly method: string;
  readonly path: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Of a link call: what the inner hop's story has as its span. */
  readonly span?: string;
  readonly attempts: readonly StoryAttempt[];
  readonly status?: number;
}

/** `headMs` is what passed between the last byte of the request and the head of the answer. */
export type StoryAttempt = { readonly [P in AttemptPhase]?: number } & {
  readonly atMs: number;
  readonly address?: string;
  readonly reusedConnection: boolean;
  readonly bodyBytes?: number;
  readonly fault?: StoryFault;
};

/** Project code at work. */
export interface StoryRun {
  readonly atMs: number;
  readonly durationMs: number;
  readonly worker?: string;
  readonly target: string;
  /** `compute` metrics: pq, pf, wt, wm … */
  readonly metrics: Readonly<Record<string, number>>;
  readonly status?: number;
}

export interface StoryFault {
  readonly code: number;
  readonly cause: Cause;
  readonly phase: Phase;
  readonly hop: Hop;
  readonly acts: Actor;
  readonly details?: string;
  readonly parameters?: Readonly<Record<string, string | number>>;
  readonly evidence?: Readonly<Record<string, unknown>>;
  /** Stack or message of the low-level error. */
  readonly error?: string;
}

/** Whether a story belongs to the failures: those are kept apart, so that ordinary traffic cannot push them out. */
export const isFailure = ({ fault, status, end, hop, calls = [] }: Story): boolean =>
  fault !== undefined ||
  (status ?? 0) >= 500 ||
  (hop === 'edge' && (end === 'cut' || end === 'refused')) ||
  calls.some(({ attempts }) => attempts.some((attempt) => attempt.fault !== undefined));
