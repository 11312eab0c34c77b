/** The state of one run in a worker: request, response, and the senders that act on them. */

import { type Operations, operations, type RequestContext } from '../ops.ts';
import { nativeEngine } from '../pattern.ts';
import type { GuestRequest, GuestResponse, GuestStream, RunOptions } from '../protocol.ts';
import type { RequestOp, ResponseOp } from '../table.ts';
import { assetPathOf, embed, redirectTargetOf, targetOf, withoutEmptyParameters } from '../template.ts';
import type { Request } from './request.ts';
import { Response } from './response.ts';
import type { ProxyOptions, QueryObject, RedirectOptions, SendFunction, ServeStaticOptions } from './types.ts';
import { fromWebResponse, isWebResponse, toWebRequest } from './web.ts';

type Sender = () => Promise<void>;
const native: Operations = operations(nativeEngine);

export class LiveExchange {
  readonly request: Request;
  readonly response = new Response();
  readonly #run: RunOptions;
  /** True once the sender runs: then members act at once. */
  #live = false;
  #sender: Sender | null = null;
  #stream: GuestStream | null = null;
  /** Senders that project code has started and may have forgotten to await. */
  readonly #pending = new Set<Promise<void>>();

  constructor(request: Request, run: RunOptions) {
    this.request = request;
    this.#run = run;
    if (run.status !== undefined) this.response.statusCode = run.status;
  }

  /** Remembers the first sender while the handler runs; starts it at once later. */
  send(sender: Sender): Promise<void> {
    if (!this.#live) {
      this.#sender ??= sender;
      return Promise.resolve();
    }
    const started = sender();
    const settled = () => void this.#pending.delete(started);
    this.#pending.add(started);
    started.then(settled, settled);
    return started;
  }

  async execute(routeId: string): Promise<void> {
    if (!this.#sender) throw new Error(`the handler of route ${routeId} sends nothing in the worker`);
    this.#live = true;
    await this.#sender();
    while (this.#pending.size > 0) await Promise.all(this.#pending);
  }

  result(): GuestResponse | GuestStream {
    return this.#stream ?? this.response.toGuest();
  }

  requestOp(op: RequestOp): void {
    if (!this.#live) return;
    const { path, query } = native.request([op], this.#requestContext());
    this.request.url = query ? `${path}?${query}` : path;
  }

  /** Also made again on whatever a later `proxy` brings. */
  responseOp(op: ResponseOp): void {
    if (this.#live) this.response.change(() => native.response([op], this.response.fields, this.#requestContext()));
  }

  async compute(callback: (request: Request, response: Response) => unknown): Promise<void> {
    const returned = await callback(this.request, this.response);
    if (isWebResponse(returned)) this.#stream = fromWebResponse(returned);
  }

  async fetch(handler: (request: globalThis.Request) => unknown): Promise<void> {
    const returned = await handler(toWebRequest(this.request));
    if (!isWebResponse(returned)) throw new TypeError('a handler of compute.fetch must return a Response');
    this.#stream = fromWebResponse(returned);
  }

  proxy(backend: string, options: ProxyOptions): Promise<void> {
    return this.#forward(options, (request) => this.#run.host.proxy(backend, request));
  }

  renderWithApp(options: ProxyOptions): Promise<void> {
    return this.#forward(options, (request) => this.#run.host.app(request));
  }

  async serveStatic(path: string, options: ServeStaticOptions, notFound: () => Promise<unknown>): Promise<void> {
    const asset = assetPathOf(path, this.request);
    const found = asset === null ? null : await this.#run.host.asset(asset);
    if (found) {
      this.#adopt(found);
      if (options.statusCode !== undefined) this.response.statusCode = options.statusCode;
      if (options.statusMessage !== undefined) this.response.statusMessage = options.statusMessage;
    } else if (options.onNotFound) await notFound();
    else {
      this.response.statusCode = 404;
      this.response.body = '';
    }
  }

  async redirect(to: string, options: number | RedirectOptions | undefined): Promise<void> {
    const { query, statusCode = 302 } = typeof options === 'number' ? { statusCode: options } : (options ?? {});
    const text = query === undefined ? this.request.queryString : toQuery(await this.#rewriteQuery(query));
    this.response.statusCode = statusCode;
    this.response.setHeader('location', redirectTargetOf(to, this.request, text));
    this.response.body = '';
  }

  async sendBody(body: string | SendFunction, status: number | undefined, message: string | undefined): Promise<void> {
    const value = typeof body === 'function' ? await body(this.request, this.response) : body;
    if (value !== undefined) this.response.body = value;
    if (status !== undefined) this.response.statusCode = status;
    if (message !== undefined) this.response.statusMessage = message;
  }

  async #forward(options: ProxyOptions, call: (request: GuestRequest) => Promise<GuestResponse>): Promise<void> {
    const { transformRequest, transformResponse } = options;
    await this.#timed('wa', async () => {
      await this.#address(options);
      await transformRequest?.(this.request);
    });
    const received = await this.#timed('wp', () => call(this.request.toGuest()));
    this.#adopt(received);
    if (transformResponse)
      await this.#timed('wz', async () => void (await transformResponse(this.response, this.request)));
  }

  /** On an error route a page that was fetched says 200 because nobody told it otherwise. */
  #adopt(received: GuestResponse): void {
    this.response.adopt(received);
    const { status } = this.#run;
    if (status === undefined || received.status !== 200) return;
    this.response.statusCode = status;
    this.response.statusMessage = '';
  }

  async #address({ path, headers, removeEmptySearchParamValues }: ProxyOptions): Promise<void> {
    const { request } = this;
    const template = typeof path === 'function' ? await path(request) : path;
    const source = { path: request.path, query: request.queryString };
    const target =
      typeof path === 'function' ? targetOf(template, { params: {} }, source) : targetOf(template, request, source);
    const query = removeEmptySearchParamValues ? withoutEmptyParameters(target.query) : target.query;
    for (const [name, value] of Object.entries(headers ?? {}))
      request.setHeader(name, embed(String(value), this.#requestContext()));
    request.url = query ? `${target.path}?${query}` : target.path;
  }

  async #rewriteQuery(query: NonNullable<RedirectOptions['query']>): Promise<QueryObject> {
    return typeof query === 'function' ? query(this.request.query) : { ...this.request.query, ...query };
  }

  async #timed<T>(metric: 'wa' | 'wp' | 'wz', work: () => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    try {
      return await work();
    } finally {
      this.#run.mark(metric, performance.now() - startedMs);
    }
  }

  #requestContext(): RequestContext {
    const { request } = this;
    const { method, path, queryString: query, params } = request;
    return {
      method,
      path,
      query,
      params,
      fields: {
        get: (name) => request.getHeader(name),
        all: (name) => [request.getHeader(name) ?? []].flat(),
        set: (name, value) => request.setHeader(name, value),
        append: (name, value) => request.setHeader(name, [request.getHeader(name) ?? [], value].flat()),
        delete: (name) => request.removeHeader(name),
      },
    };
  }
}

function toQuery(query: QueryObject): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    for (const one of [value ?? []].flat()) parameters.append(name, String(one));
  return parameters.toString();
}
