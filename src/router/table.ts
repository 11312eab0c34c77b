/**
 * The frozen route table: what a project's routes file becomes at build time. Pure data (JSON), versioned;
 * what can run at the edge is spelt out here, what cannot is an action of kind `worker` and runs in compute.
 * Routes are tried in order; ids are stable between build and worker.
 */
export const ROUTE_TABLE_FORMAT = 1;

export interface RouteTable {
  readonly format: typeof ROUTE_TABLE_FORMAT;
  /** Declared from the project config and by `setBackend`. */
  readonly backends: Readonly<Record<string, Backend>>;
  /** The routes of the main router. */
  readonly main: RouteSection;
  /** Split-test branches; the first declared is used until a split is configured. */
  readonly destinations: Readonly<Record<string, RouteSection>>;
  readonly flags: {
    readonly indexPermalink: boolean;
    readonly allowReqQueryDuplicates: boolean;
    readonly excludeBuiltInRoutes: boolean;
  };
  readonly prerender: readonly PrerenderEntry[];
}

export interface PrerenderEntry {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly top?: number;
}

export interface RouteSection {
  readonly routes: readonly Route[];
  /** Error routes, tried in order when the answer's status matches. */
  readonly catches: readonly CatchRoute[];
}

/** Where in the project's sources something was declared; path relative to the project root. */
export interface Source {
  readonly file: string;
  readonly line: number;
}

export interface Route {
  /** `7`, or `7.12` for the twelfth file of a `static` declaration. Unique in the table. */
  readonly id: string;
  readonly source: Source;
  /** What a person sees in logs: the pattern as written, `fallback`, or a label. */
  readonly label: string;
  readonly group?: string;
  /** Of a `static` or `dir` declaration: the file, relative to its directory. Reaches the worker as param `$file`. */
  readonly file?: string;
  /** Null matches everything (fallback). */
  readonly criteria: Criteria | null;
  readonly auth?: { readonly username: string; readonly password: string; readonly realm: string };
  readonly jwt?: JwtSettings;
  readonly cache?: CacheSettings;
  readonly key?: KeySettings;
  /** The body of the request joins the cache key, and POST becomes cacheable (`post`, body criteria, GraphQL). */
  readonly bodyKey?: boolean;
  readonly requestOps: readonly RequestOp[];
  readonly upstreamResponseOps: readonly ResponseOp[];
  readonly responseOps: readonly ResponseOp[];
  readonly action?: Action;
}

/** `verifyJwt`: the token comes from `header` (default Authorization) or `cookie`. */
export interface JwtSettings {
  /** HS, RS or ES with 256, 384 or 512. */
  readonly algo: string;
  /** Shared secret, or public key as PEM (SPKI). */
  readonly secret: string;
  readonly header?: string;
  readonly cookie?: string;
  /** Where visitors go whose token is absent, expired or not yet valid; 403 without. */
  readonly redirectExpiredAbsent?: string;
  /** Where visitors go whose token is anything else but good; 403 without. */
  readonly redirectInvalid?: string;
  /** Query parameter of the redirect that carries the original URL. */
  readonly returnUrlParamName?: string;
}

export interface CatchRoute {
  /** Matched against the status as decimal text. */
  readonly status: Matcher;
  readonly route: Route;
}

/** A regular expression of the project (source and flags), an exact string, or `absent`. */
export type Matcher =
  | { readonly is: string }
  | { readonly pattern: string; readonly flags: string }
  | { readonly absent: true };

export interface Criteria {
  /** path-to-regexp 6 syntax, starting with `/`; or a regular expression on the whole path. */
  readonly path?: string | { readonly pattern: string; readonly flags: string };
  readonly method?: Matcher;
  /** Default: `https` where a client can choose. */
  readonly protocol?: Matcher;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, Matcher>>;
  readonly cookies?: Readonly<Record<string, Matcher>>;
  /** A `capture` takes the value into params. */
  readonly query?: Readonly<Record<string, Matcher | { readonly capture: string }>>;
  /** JSON body; nested objects, only listed members must match. GraphQL operations become this as well. */
  readonly body?: JsonCriteria;
}

export interface JsonCriteria {
  readonly members: Readonly<Record<string, Matcher | { readonly json: unknown } | JsonCriteria>>;
}

export interface CacheSettings {
  /** `false`: not stored, not coalesced. */
  readonly edge?:
    | false
    | {
        readonly maxAgeSeconds?: number;
        readonly staleWhileRevalidateSeconds?: number;
        /** A failing upstream is bridged with the stored response for so long after its other windows. */
        readonly staleIfErrorSeconds?: number;
        /** A response that says nothing of its lifetime has a tenth of its age since Last-Modified, at most this. */
        readonly heuristicMaxAgeSeconds?: number;
        readonly forcePrivateCaching?: boolean;
        /** Responses with Set-Cookie are stored, and everybody gets the same cookie. */
        readonly forceSetCookieCaching?: boolean;
        /** Cache-Control and Pragma of requests are obeyed. */
        readonly obeyRequestDirectives?: boolean;
      };
  readonly browser?:
    | false
    | {
        readonly maxAgeSeconds?: number;
        readonly serviceWorkerSeconds?: number;
        readonly convertToGet?: boolean;
        readonly spa?: boolean;
      };
  readonly prefetchUpstreamRequests?: boolean;
  /** Statuses of 400 and above that are stored like any other. */
  readonly cacheableStatusCodes?: readonly number[];
}

/** What `CustomCacheKey` compiled to. */
export interface KeySettings {
  readonly query?: { readonly mode: 'none' } | { readonly mode: 'except' | 'only'; readonly names: readonly string[] };
  readonly parts: readonly KeyPart[];
  readonly removeMethod?: boolean;
  readonly removeBody?: boolean;
}

export type KeyPart =
  | {
      readonly kind: 'header' | 'cookie';
      readonly name: string;
      readonly groups?: readonly { readonly name: string; readonly pattern: string }[];
    }
  | { readonly kind: 'device' | 'vendor' | 'browser' | 'isBot' };

/** Values are templates with `${…}` tokens (embedded values). */
export type RequestOp =
  | { readonly op: 'set-header'; readonly name: string; readonly value: string }
  | {
      readonly op: 'update-header';
      readonly name: string;
      readonly pattern: string;
      readonly flags: string;
      readonly replacement: string;
    }
  | { readonly op: 'remove-header'; readonly name: string }
  | { readonly op: 'set-path'; readonly path: string }
  | { readonly op: 'rewrite-path'; readonly to: string; readonly pattern?: string };

export type ResponseOp =
  | { readonly op: 'set-header'; readonly name: string; readonly value: string }
  | {
      readonly op: 'update-header';
      readonly name: string;
      readonly pattern: string;
      readonly flags: string;
      readonly replacement: string;
    }
  | { readonly op: 'remove-header'; readonly name: string }
  | { readonly op: 'add-cookie'; readonly name: string; readonly value: string; readonly options: CookieAttributes }
  | {
      readonly op: 'update-cookie';
      readonly name: string;
      readonly pattern: string;
      readonly flags: string;
      readonly replacement: string;
    }
  | { readonly op: 'remove-cookie'; readonly name: string }
  | {
      readonly op: 'cors';
      readonly origin: string | readonly string[];
      readonly methods?: string;
      readonly headers?: string;
      readonly maxAge?: number;
      readonly credentials?: boolean;
    };

/** Set-Cookie attributes with their RFC 6265 spelling, e.g. `{ Path: '/', HttpOnly: true }`. */
export type CookieAttributes = Readonly<Record<string, string | number | boolean>>;

export type Action =
  | {
      readonly kind: 'proxy';
      readonly backend: string;
      readonly path?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly removeEmptySearchParamValues?: boolean;
    }
  | {
      readonly kind: 'static';
      /** Project-relative path template, e.g. `dist/:path*`; no leading `./`. */
      readonly path: string;
      readonly status?: number;
      readonly statusMessage?: string;
      readonly permanent?: boolean;
      readonly exclude?: readonly string[];
      readonly expiresSeconds?: number;
      /** A missing file is answered by the worker (`onNotFound`) instead of 404. */
      readonly onNotFound?: boolean;
      readonly loadingPage?: string;
      /** Service workers get no-cache headers and `service-worker-allowed: /`. */
      readonly serviceWorker?: boolean;
    }
  | { readonly kind: 'redirect'; readonly to: string; readonly status: number }
  | { readonly kind: 'send'; readonly body: string; readonly status: number | null; readonly statusMessage?: string }
  /** Runs the route's handler in compute. `backend` is told when the sender was a proxy with functions. */
  | {
      readonly kind: 'worker';
      readonly reason: 'compute' | 'proxy' | 'send' | 'redirect' | 'function';
      readonly backend?: string;
    }
  /** The app's own server in compute (`renderWithApp`). */
  | { readonly kind: 'app' };

export interface Backend {
  readonly domainOrIp: string;
  /** Default: the client's Host. */
  readonly hostHeader?: string;
  /** Default 443 (https) or 80 (http). */
  readonly port?: number;
  /** `match` follows the client's protocol. Default `https`. */
  readonly scheme?: 'https' | 'http' | 'match';
  readonly basePath?: string;
  readonly disableCheckCert?: boolean;
  /** An unknown transfer coding of a response is taken for noise instead of failing with 536. */
  readonly passUnknownTransferCoding?: boolean;
  /** Milliseconds until the response head must be complete; overrides `upstream.responseMs`. */
  readonly firstByteTimeout?: number;
}
