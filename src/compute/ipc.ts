/**
 * What platform and guest say to each other: IPC for control, one private header on the unix socket for the
 * figures of a request. Types only, so that the guest stays light. The platform believes nothing of it blindly:
 * project code shares the guest's process.
 */

/** How project code failed, as the guest saw it. */
export interface GuestFault {
  readonly kind: 'uncaught' | 'unhandled-rejection' | 'malformed' | 'load-failed' | 'platform' | 'content-coding';
  readonly message: string;
  readonly stack?: string;
  /** `error.code` and `error.name`. */
  readonly code?: string;
  readonly name?: string;
  /** Names a fault of a platform-managed call that the platform still has. */
  readonly ref?: string;
  /** Content coding of an upstream that could not be undone. */
  readonly coding?: string;
}

/** Where an outgoing call stands: what it has not got past yet. */
export type CallPhase = 'unsent' | 'queue' | 'dns' | 'connect' | 'tls' | 'send' | 'head' | 'body';

/** Something outside of the process that project code waits for. */
export interface OpenRequest {
  /** A request of an HTTP client, a call of the platform for project code, or a socket written to without an answer. */
  readonly kind: 'request' | 'platform' | 'socket';
  readonly method?: string;
  readonly host: string;
  readonly path?: string;
  readonly phase: CallPhase;
  readonly elapsedMs: number;
  /** Request of ours that it works for, where that is known. */
  readonly token?: string;
  /** Place in project code, by its source map. */
  readonly from?: string;
}

export interface PendingTimer {
  readonly dueInMs: number;
  readonly delayMs: number;
  readonly from?: string;
}

/** What a request waits for. */
export interface GuestState {
  readonly open: readonly OpenRequest[];
  readonly timers: readonly PendingTimer[];
  /** What else keeps the event loop alive, by Node's names. */
  readonly resources: Readonly<Record<string, number>>;
  /** Processor time of the process since the request came. */
  readonly cpuMs?: number;
  /** Outgoing calls that the request has made. */
  readonly calls?: number;
}

export interface StartMessage {
  readonly t: 'start';
  readonly socketPath: string;
  readonly brokerPath: string;
  /** Random per worker: marks a request and carries its figures; unknown to clients. */
  readonly runHeader: string;
  /** Absolute path of the routes module. */
  readonly routes: string;
  readonly app?:
    | { readonly kind: 'module'; readonly entry: string }
    | { readonly kind: 'command'; readonly command: string; readonly args: readonly string[] };
  readonly port: number;
  readonly loadMs: number;
  /** The branding's, for surrogate keys and the like that project code writes. */
  readonly headerPrefix?: string;
}

export type ToGuest =
  | StartMessage
  /** Nobody waits for this request any more; answered with `done` as soon as its handler is not running. */
  | { readonly t: 'abort'; readonly token: string }
  /** Answered twice: `alive` at once, `state` when it has been put together. */
  | { readonly t: 'state'; readonly n: number; readonly token?: string };

export interface GuestLog {
  readonly t: 'log';
  readonly time: number;
  readonly level: number;
  readonly message: string;
  readonly token?: string;
  readonly late?: boolean;
}

export type FromGuest =
  | { readonly t: 'hello' }
  | { readonly t: 'ready'; readonly appHost?: string }
  /** `dying`: the process ends of it. */
  | { readonly t: 'fault'; readonly token?: string; readonly dying?: boolean; readonly fault: GuestFault }
  /** The handler of an aborted request has ended. */
  | { readonly t: 'done'; readonly token: string }
  | { readonly t: 'alive'; readonly n: number }
  | { readonly t: 'state'; readonly n: number; readonly state: GuestState }
  /** A request has reached the code that handles it. */
  | { readonly t: 'begun'; readonly token: string }
  | { readonly t: 'app-exit'; readonly code: number | null; readonly signal: string | null }
  | GuestLog;

/** Request side of the run header: JSON in base64url. */
export interface RunRequest {
  readonly token: string;
  readonly routeId: string;
  readonly params: Readonly<Record<string, string | string[]>>;
  readonly protocol: 'http' | 'https';
  /** On error routes: the status that failed. */
  readonly failedStatus?: number;
}

/** Response side of the run header: JSON in ASCII. */
export interface RunReply {
  /** The body is complete and measured. */
  readonly whole: boolean;
  readonly fault?: GuestFault;
  readonly wt: number;
  readonly wm: number;
  readonly wr?: number;
  readonly wa?: number;
  readonly wp?: number;
  readonly wz?: number;
  readonly pu?: number;
  /** Null: started and not ended. */
  readonly userTimings?: readonly (readonly [name: string, ms: number | null])[];
}

/** Head of a broker frame: 4 bytes length (big endian), this as JSON, then the body. */
export interface BrokerRequest {
  readonly token: string;
  readonly call: 'proxy' | 'asset';
  readonly backend?: string;
  readonly method?: string;
  readonly url?: string;
  readonly protocol?: 'http' | 'https';
  readonly headers?: readonly string[];
  readonly path?: string;
}
export type BrokerReply =
  | { readonly kind: 'response'; readonly status: number; readonly reason: string; readonly headers: readonly string[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'fault'; readonly ref: string; readonly message: string; readonly code: number };
