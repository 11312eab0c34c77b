/**
 * How platform code talks to a project's `Router` instance, which was bundled into the deployment together with
 * the authoring API it was built with: through one well-known symbol, never by class identity.
 */
import type { RouteTable } from './table.ts';

export const ROUTER_PROTOCOL: unique symbol = Symbol.for('selvedge.router.v1') as never;

export interface RecordOptions {
  /** Project root; `static` looks for files here, sources are told relative to it. */
  readonly projectDir: string;
  /** From the project config. */
  readonly backends: RouteTable['backends'];
  /** Header prefixes that projects may not use; default: those of the default branding. */
  readonly reservedHeaderPrefixes?: readonly string[];
  /** Project-relative files that the build makes: routes may serve them although they are not in the project. */
  readonly madeFiles?: readonly string[];
}

export interface Recording {
  readonly table: RouteTable;
  /** Project-relative files and directories that routes serve: what `build` must stage as assets. */
  readonly staticFiles: readonly {
    readonly path: string;
    readonly permanent: boolean;
    readonly exclude: readonly string[];
  }[];
  /** What each route number stands for; a build leaves it in the bundle for the workers. */
  readonly handlers?: readonly string[];
  readonly warnings: readonly BuildProblem[];
  readonly errors: readonly BuildProblem[];
}

export interface BuildProblem {
  readonly message: string;
  readonly file?: string;
  readonly line?: number;
  /** What to write instead. */
  readonly remedy?: string;
}

/** A message inside a worker: flat raw header lines and a whole body. */
export interface GuestMessage {
  readonly headers: string[];
  readonly body: Buffer;
}
export interface GuestRequest extends GuestMessage {
  readonly method: string;
  /** Path with query, as the upstream would see it. */
  readonly url: string;
  readonly protocol: 'http' | 'https';
  /** Aborted when nobody waits for the answer any more. */
  readonly signal?: AbortSignal;
}
export interface GuestResponse extends GuestMessage {
  readonly status: number;
  readonly reason: string;
  /** A declared backend said so: what is wrong with it is not the project's. */
  readonly fromUpstream?: boolean;
}
/** A fetch-style handler or app may stream. */
export interface GuestStream {
  readonly status: number;
  readonly reason: string;
  readonly headers: string[];
  readonly stream: ReadableStream<Uint8Array> | NodeJS.ReadableStream;
}

/** What the worker offers to a running handler. */
export interface GuestHost {
  proxy(backend: string, request: GuestRequest): Promise<GuestResponse>;
  asset(path: string): Promise<GuestResponse | null>;
  app(request: GuestRequest): Promise<GuestResponse>;
}

export interface RunOptions {
  readonly routeId: string;
  readonly params: Readonly<Record<string, string | string[]>>;
  readonly request: GuestRequest;
  readonly host: GuestHost;
  /** For timings: `wa`, `wp`, `wz`, `wr` in ms. */
  readonly mark: (metric: 'wr' | 'wa' | 'wp' | 'wz', ms: number) => void;
  /** On error routes: the status that failed, kept unless the handler sets another. */
  readonly status?: number;
  /**
   * Receives the project's own timings, NaN where one begins; without it they become a Server-Timing field of the
   * response.
   */
  readonly userTiming?: (name: string, ms: number) => void;
  /** Prefix of surrogate keys and the like; default: that of the default branding. */
  readonly headerPrefix?: string;
}

export interface RouterProtocol {
  record(options: RecordOptions): Promise<Recording>;
  /** Runs the handler of one route; edge operations are no-ops. Throws what project code throws. */
  run(options: RunOptions): Promise<GuestResponse | GuestStream>;
}
