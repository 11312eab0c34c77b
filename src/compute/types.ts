/** The seam of the compute room: project code behind one call. The scheduler, workers and guest live beside it. */
import type { HttpRequest, HttpResponse } from '../http/message.ts';
import type { ComputeLimits } from './options.ts';

/** An unpacked, read-only bundle that workers run. */
export interface Runnable {
  /** Unique per deployment: `<project>-<environment>-<number>`; workers are never shared between two. */
  readonly id: string;
  /** Project and environment, between which processes are shared fairly. Default: `id`. */
  readonly owner?: string;
  /** Directory with the bundle's files. */
  readonly directory: string;
  /** Bundled routes module, relative to `directory`. */
  readonly routes: string;
  readonly app?:
    | { readonly kind: 'module'; readonly entry: string }
    | { readonly kind: 'command'; readonly command: string; readonly args: readonly string[] };
  /** The environment's variables: all that project code sees beside NODE_ENV, PORT and the platform's own names. */
  readonly variables: Readonly<Record<string, string>>;
  readonly environmentName: string;
  /** Limits of its own, over those of the room. */
  readonly limits?: Partial<ComputeLimits> | undefined;
  /** Wins when workers are scarce. */
  readonly production: boolean;
}

export interface ComputeCall {
  readonly runnable: Runnable;
  /** A route of the table whose handler runs, or the app's own server. */
  readonly target: { readonly kind: 'route'; readonly routeId: string } | { readonly kind: 'app' };
  /** Path parameters of the matched route. */
  readonly params: Readonly<Record<string, string | string[]>>;
  /** On an error route: the status that failed, kept unless the handler gives another. */
  readonly failedStatus?: number;
  readonly request: HttpRequest;
  readonly requestId: string;
  readonly clientIp: string;
  readonly signal: AbortSignal;
  /** Platform-managed calls of project code (`proxy`, `serveStatic` inside a handler) come back through here. */
  readonly services: ComputeServices;
}

export interface ComputeServices {
  /** Throws a `Fault` with hop `compute`. */
  proxy(backend: string, request: HttpRequest, signal: AbortSignal): Promise<HttpResponse>;
  /** Null when the deployment has no such file. */
  asset(path: string): Promise<HttpResponse | null>;
}

/** How a run ended and what it cost; names are those of the `t` header (`pt`, `pf`, `wt` …). */
export interface ComputeTelemetry {
  /** ms in the scheduler, submissions, hand-over → answer, queue time. */
  readonly pt: number;
  readonly pc: number;
  readonly pf: number;
  readonly pq: number;
  /** Worker figures; absent when no worker answered. */
  readonly worker?: {
    /** Instance id. */
    readonly wi: string;
    readonly wt: number;
    readonly wm: number;
    readonly wc: number;
    readonly wg: number;
    readonly wl: number;
    readonly wr?: number;
    readonly wa?: number;
    readonly wp?: number;
    readonly wz?: number;
    readonly wbt?: number;
    readonly pu?: number;
    /** The project's own timings in order, ms; null where one was started and not ended. */
    readonly userTimings?: readonly (readonly [name: string, ms: number | null])[];
  };
}

export interface ComputeAnswer {
  readonly response: HttpResponse;
  readonly telemetry: ComputeTelemetry;
}

export interface Compute {
  /** Starts workers ahead of traffic; resolves when one is ready, rejects with the `Fault` that stopped it. */
  prepare(runnable: Runnable): Promise<void>;
  /** Resolves with a complete response head, or throws a `Fault` (534, 539, 540, 541, …; `evidence.telemetry`). */
  run(call: ComputeCall): Promise<ComputeAnswer>;
  /** Stops the workers of a deployment that no host leads to any more, or that is idle. */
  release(id: string): void;
  close(): Promise<void>;
}

/** One line of a worker's console or standard streams. */
export interface ServerLogLine {
  readonly time: number;
  /** pino numbers: 30 info, 40 warn, 50 error … */
  readonly level: number;
  readonly message: string;
  readonly requestId: string;
  readonly clientIp: string;
  /** Worker instance. */
  readonly wi: string;
  /** Deployment id. */
  readonly fn: string;
  /** Written after the response. */
  readonly late?: boolean;
}
