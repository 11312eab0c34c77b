/**
 * The words that a routes file is written in: what a handler can call, and the options it passes. Everything a
 * handler receives works when destructured. Source: spec "Routing", sections 2 to 5.
 */
import type { CustomCacheKey } from './cache-key.ts';
import type { Request } from './request.ts';
import type { Response } from './response.ts';

type Awaitable<T> = T | Promise<T>;

/** Runs once at build time; what it calls becomes the route. Functions it passes on run later, in a worker. */
export type RouteHandler = (writer: ResponseWriter) => unknown;

export interface ResponseWriter {
  /** The request; only to be read inside `compute`, `send(fn)` and transforms. */
  readonly request: Request;
  readonly response: Response;
  /** Ten years in seconds, for content that never changes. */
  readonly FAR_FUTURE_TTL: number;

  /** Caching of the response. Several calls merge, later keys win; the place in the handler does not matter. */
  cache(options: CacheOptions): void;

  /** Sends what the backend answers. A transform or a function as `path` moves this into a worker. */
  proxy(backend: string, options?: ProxyOptions): Promise<void>;
  /** As `proxy`, to a backend described in place. */
  proxyHost(backend: BackendOptions, options?: ProxyOptions): Promise<void>;
  /** Sends a file of the deployment; `path` is relative to the project and may hold `:variables`. */
  serveStatic(path: string, options?: ServeStaticOptions): Promise<void>;
  /** Sends the HTML shell of a client-rendered application. */
  appShell(path: string, options?: ServeStaticOptions): Promise<void>;
  /** Sends a service worker script with headers that keep it fresh and let it control the whole site. */
  serviceWorker(path: string, options?: ServeStaticOptions): Promise<void>;
  /** Default status 302. The request's query is appended unless `query` makes another. */
  redirect(to: string, options?: number | RedirectOptions): Promise<void>;
  /** Sends a body. A string is sent by the edge, a function is run in a worker. Default status 200. */
  send(body: string | SendFunction, statusCode?: number, statusMessage?: string): Promise<void>;
  /** Runs code in a worker. */
  readonly compute: Compute;
  /** Sends what the application's own server answers. */
  renderWithApp(options?: ProxyOptions): Promise<void>;
  /** Predecessor of `renderWithApp`; with a function, of `compute`. */
  render(callback?: ComputeFunction): Promise<void>;
  /** Hot-reload channel of a development server. */
  stream(backend: string): Promise<void>;

  setRequestHeader(name: string, value: string): void;
  updateRequestHeader(name: string, pattern: RegExp | string, replacement: string): void;
  removeRequestHeader(name: string): void;
  /** Between fetching and the decision what to store. */
  setUpstreamResponseHeader(name: string, value: string): void;
  updateUpstreamResponseHeader(name: string, pattern: RegExp | string, replacement: string): void;
  removeUpstreamResponseHeader(name: string): void;
  /** On delivery, cache hits included. */
  setResponseHeader(name: string, value: string): void;
  updateResponseHeader(name: string, pattern: RegExp | string, replacement: string): void;
  removeResponseHeader(name: string): void;
  addUpstreamResponseCookie(name: string, value: string, options?: CookieOptions): void;
  updateUpstreamResponseCookie(name: string, pattern: RegExp | string, replacement: string): void;
  removeUpstreamResponseCookie(name: string): void;
  addResponseCookie(name: string, value: string, options?: CookieOptions): void;
  updateResponseCookie(name: string, pattern: RegExp | string, replacement: string): void;
  removeResponseCookie(name: string): void;
  /** Path that the upstream sees; may hold `:variables`. */
  updatePath(path: string): void;
  /** Path that the upstream sees, with variables of `pattern` matched against the present one. */
  rewrite(destination: string, pattern?: string): void;
  allowCors(options?: CorsOptions): void;
  verifyJwt(options: Readonly<Record<string, unknown>>): void;
}

export type ComputeFunction = (request: Request, response: Response) => unknown;
export type SendFunction = (request: Request, response: Response) => Awaitable<string | Uint8Array | undefined>;

export interface Compute {
  /**
   * Runs a callback with the request and the response to fill in. Inside it `proxy`, `send`, `redirect` and
   * `serveStatic` can be awaited. Returning a web `Response` sends that one, streaming.
   */
  (callback: ComputeFunction): Promise<void>;
  /** Runs a handler written for the Fetch standard: web `Request` in, web `Response` out, both streaming. */
  fetch(handler: (request: globalThis.Request) => Awaitable<globalThis.Response>): Promise<void>;
}

export interface CacheOptions {
  /** `false`: never stored at the edge. */
  edge?:
    | false
    | {
        maxAgeSeconds?: number;
        staleWhileRevalidateSeconds?: number;
        /** A failing upstream is bridged with the stored response for so long. */
        staleIfErrorSeconds?: number;
        /** Without a lifetime from anybody: a tenth of the time since Last-Modified, at most this. */
        heuristicMaxAgeSeconds?: number;
        forcePrivateCaching?: boolean;
        /** Stores responses with Set-Cookie: everybody gets the same cookie. */
        forceSetCookieCaching?: boolean;
        /** Obeys Cache-Control and Pragma of requests, which lets every client send load to the upstream. */
        obeyRequestDirectives?: boolean;
      };
  /** Statuses of 400 and above that are stored like any other. */
  cacheableStatusCodes?: number[];
  /** `false`: the browser is told not to cache. */
  browser?: false | { maxAgeSeconds?: number; serviceWorkerSeconds?: number; convertToGet?: boolean; spa?: boolean };
  key?: CustomCacheKey;
  prefetchUpstreamRequests?: boolean;
}

export interface ProxyOptions {
  /** Path that the upstream sees, `:variables` filled in; or a function that computes it, in a worker. */
  path?: string | ((request: Request) => Awaitable<string>);
  /** Request headers to set; values may hold embedded values such as `${req:host}`. */
  headers?: Readonly<Record<string, string>>;
  transformRequest?: (request: Request) => unknown;
  transformResponse?: (response: Response, request: Request) => unknown;
  removeEmptySearchParamValues?: boolean;
}

export interface ServeStaticOptions {
  /** Runs in a worker when there is no such file; sends something else with the writer it gets. */
  onNotFound?: (writer: ResponseWriter) => unknown;
  /** File that is sent at once while `onNotFound` makes the page. */
  loadingPage?: string;
  expiresSeconds?: number;
  statusCode?: number;
  statusMessage?: string;
  /** Files whose names change with their content: kept for ever, also after later deployments. */
  permanent?: boolean;
  exclude?: readonly string[];
  /** The file is there already: do not publish it. */
  disableAutoPublish?: boolean;
}

export type QueryObject = Record<string, string | string[] | undefined>;
export interface RedirectOptions {
  statusCode?: number;
  /** Parameters to add (undefined removes), or a function from the request's query to the new one. */
  query?: QueryObject | ((query: QueryObject) => Awaitable<QueryObject>);
}

export type CookieOptions = Readonly<Record<string, string | number | boolean | Date | undefined>>;

export interface CorsOptions {
  /** Default `*`. */
  origin?: string | readonly string[];
  methods?: string | readonly string[];
  headers?: string | readonly string[];
  /** Seconds that a preflight may be remembered. */
  maxAge?: number;
  credentials?: boolean;
}

export type ValueCriterion = string | RegExp | null;
export interface RouteCriteria {
  path?: string | RegExp;
  method?: string | RegExp;
  protocol?: string | RegExp;
  headers?: Readonly<Record<string, ValueCriterion>>;
  cookies?: Readonly<Record<string, ValueCriterion>>;
  /** A value such as `:id` takes the parameter into the params. */
  query?: Readonly<Record<string, ValueCriterion>>;
  body?: { parse: 'json'; criteria: Readonly<Record<string, unknown>> };
  response?: { statusCode: RegExp | string | number };
}

export interface StaticOptions {
  /** Handler for one file; for `static`, the file is sent unless the handler sends something. */
  handler?: (file: string) => RouteHandler;
  /** Which files, relative to the directory. Default: all. */
  glob?: string;
  ignore?: string | readonly string[];
  /** Path patterns that one file answers. Default: its name, and the directory of an `index.html`. */
  paths?: (file: string) => string | readonly string[];
  sort?: (files: string[]) => string[];
  label?: string;
}

export interface PrerenderRequest {
  path?: string;
  headers?: Readonly<Record<string, string>>;
  /** This many of the most visited URLs. */
  top?: number;
}
export type PrerenderSource = readonly (string | PrerenderRequest)[];

export interface BackendOptions {
  domainOrIp: string;
  hostHeader?: string;
  port?: number;
  scheme?: 'https' | 'http' | 'match';
  basePath?: string;
  disableCheckCert?: boolean;
  /** An unknown transfer coding of a response is taken for noise instead of failing with 536. */
  passUnknownTransferCoding?: boolean;
  /** Milliseconds until the response head must be complete. */
  firstByteTimeout?: number;
}

export interface BasicAuthOptions {
  route?: string | RouteCriteria;
  criteria?: string | RouteCriteria;
  username?: string;
  password?: string;
  realm?: string;
  /** Refuses the build when user name or password is undefined, instead of leaving the routes open. */
  strictAuth?: boolean;
}

export interface RouterOptions {
  excludeBuiltInRoutes?: boolean;
  allowReqQueryDuplicates?: boolean;
  /** Lets search engines index generated hosts. */
  indexPermalink?: boolean;
}
