import type { GuestRequest } from '../protocol.ts';
import { bytesOf } from './body.ts';
import type { QueryObject } from './types.ts';

type HeaderValue = string | string[];
export type RequestParams = Record<string, string | string[]>;

/**
 * The request as project code sees it, behind the edge. Assigning `url`, `method` or `body` and changing headers
 * changes what a `proxy` sends. Source: spec "Compute", section 3.
 */
export class Request {
  method: string;
  /** Path with query. */
  url: string;
  /** Path parameters of the route. */
  params: RequestParams;
  /** Names in lower case. */
  readonly headers: Record<string, HeaderValue>;
  readonly protocol: 'http' | 'https';
  /** Aborted when nobody waits for the answer any more: pass it on to what you call. */
  readonly signal: AbortSignal | undefined;
  #body: Buffer;

  constructor(
    init: Partial<Omit<GuestRequest, 'headers'>> & { headers?: readonly string[]; params?: RequestParams } = {},
  ) {
    this.method = init.method ?? 'GET';
    this.url = init.url ?? '/';
    this.protocol = init.protocol ?? 'https';
    this.signal = init.signal;
    this.params = init.params ?? {};
    this.headers = Object.create(null) as Record<string, HeaderValue>;
    this.#body = init.body ?? Buffer.alloc(0);
    for (let at = 0; at < (init.headers?.length ?? 0); at += 2) this.#add(init.headers![at]!, init.headers![at + 1]!);
  }

  get path(): string {
    return this.url.split('?', 1)[0]!;
  }

  get secure(): boolean {
    return this.protocol === 'https';
  }

  /** Repeated parameters are arrays. A new object each time. */
  get query(): QueryObject {
    const query: QueryObject = {};
    const parameters = new URLSearchParams(this.queryString);
    for (const name of new Set(parameters.keys())) {
      const values = parameters.getAll(name);
      query[name] = values.length > 1 ? values : values[0];
    }
    return query;
  }

  /** Without `?`. */
  get queryString(): string {
    return this.url.includes('?') ? this.url.slice(this.url.indexOf('?') + 1) : '';
  }

  getHeader(name: string): string | undefined {
    const value = this.headers[name.toLowerCase()];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  getHeaders(): Record<string, HeaderValue> {
    return { ...this.headers };
  }

  setHeader(name: string, value: HeaderValue | number): void {
    this.headers[name.toLowerCase()] = Array.isArray(value) ? value.map(String) : String(value);
  }

  removeHeader(name: string): void {
    delete this.headers[name.toLowerCase()];
  }

  /** The body as text, undecoded (a compressed body: see `rawBody`). Empty when there is none. */
  get body(): string {
    return this.#body.toString();
  }
  set body(value: unknown) {
    this.#body = bytesOf(value);
  }

  /** The body's bytes; undefined when there are none. */
  get rawBody(): Buffer | undefined {
    return this.#body.length === 0 ? undefined : this.#body;
  }
  set rawBody(value: Uint8Array | undefined) {
    this.#body = bytesOf(value);
  }

  /** Kept for old code that reads the body as a stream. */
  on(event: string, callback: (chunk?: Buffer) => void): this {
    if (event === 'data' && this.#body.length > 0) queueMicrotask(() => callback(this.#body));
    if (event === 'end') queueMicrotask(() => queueMicrotask(() => callback()));
    if (event === 'close' || event === 'aborted')
      this.signal?.addEventListener('abort', () => callback(), { once: true });
    return this;
  }

  /** As it goes upstream. */
  toGuest(): GuestRequest {
    const { 'content-length': length, 'transfer-encoding': coding, ...rest } = this.headers;
    const headers = Object.entries(rest).flatMap(([name, value]) => [value].flat().flatMap((line) => [name, line]));
    const hadBody = length !== undefined || coding !== undefined;
    if (hadBody || this.#body.length > 0) headers.push('content-length', String(this.#body.length));
    return { method: this.method, url: this.url, protocol: this.protocol, headers, body: this.#body };
  }

  #add(name: string, value: string): void {
    const lower = name.toLowerCase();
    const before = this.headers[lower];
    this.headers[lower] = before === undefined ? value : `${before}${lower === 'cookie' ? '; ' : ', '}${value}`;
  }
}
