import type { GuestResponse } from '../protocol.ts';
import { bytesOf, ContentCodingError, decodeCharset, decodeContent, encodeCharset, isText } from './body.ts';
import { HeaderList } from './headers.ts';

type HeaderValue = string | number | readonly string[];

/**
 * The response that project code fills in, or transforms. Nothing has to be ended: what is set when the code
 * settles is sent. Source: spec "Compute", section 4.
 */
export class Response {
  statusCode = 200;
  statusMessage = '';
  /** The lines themselves, for operations. */
  readonly fields = new HeaderList();
  #body:
    | { readonly kind: 'assigned'; value: unknown }
    | {
        readonly kind: 'received';
        readonly raw: Buffer;
        /** As an upstream named it. */
        readonly coding?: string | undefined;
      };
  /** Header changes made so far, to be made again on what `adopt` brings. */
  #journal: (() => void)[] = [];

  constructor() {
    this.#body = { kind: 'assigned', value: undefined };
  }

  /** Decoded: text for text types, else bytes. Assigning replaces the body; encoding and length follow. */
  get body(): string | Buffer | undefined {
    if (this.#body.kind === 'assigned') return this.#body.value as string | Buffer | undefined;
    const bytes = this.#decoded(this.#body);
    const type = this.fields.get('content-type');
    return isText(type, bytes) ? decodeCharset(bytes, type) : bytes;
  }
  set body(value: unknown) {
    if (this.#body.kind === 'received') this.fields.delete('content-encoding');
    this.#body = { kind: 'assigned', value };
  }

  /** Decoded bytes. */
  get rawBody(): Buffer {
    return this.#body.kind === 'assigned' ? bytesOf(this.#body.value) : this.#decoded(this.#body);
  }

  getHeader(name: string): string | string[] | undefined {
    const values = this.fields.all(name);
    return values.length > 1 ? values : values[0];
  }

  getHeaders(): Record<string, string | string[]> {
    return Object.fromEntries(this.fields.names().map((name) => [name, this.getHeader(name)!]));
  }

  /** Names in lower case. Frozen: changes go through `setHeader`. */
  get headers(): Record<string, string | string[]> {
    return Object.freeze(this.getHeaders());
  }

  setHeader(name: string, value: HeaderValue): this {
    return this.change(() => {
      this.fields.delete(name);
      for (const line of [value].flat()) this.fields.append(name, String(line));
    });
  }

  removeHeader(name: string): this {
    return this.change(() => this.fields.delete(name));
  }

  hasHeader(name: string): boolean {
    return this.fields.all(name).length > 0;
  }

  writeHead(statusCode: number, ...rest: [message?: string | HeaderMap, headers?: HeaderMap]): this {
    this.statusCode = statusCode;
    const [first, second] = rest;
    if (typeof first === 'string') this.statusMessage = first;
    const headers = typeof first === 'object' ? first : second;
    for (const [name, value] of Object.entries(headers ?? {})) if (value !== undefined) this.setHeader(name, value);
    return this;
  }

  write(chunk: string | Uint8Array): boolean {
    this.body = Buffer.concat([
      this.#body.kind === 'assigned' ? bytesOf(this.#body.value) : Buffer.alloc(0),
      bytesOf(chunk),
    ]);
    return true;
  }

  end(body?: string | Uint8Array): void {
    if (body === undefined) return;
    if (this.#body.kind === 'assigned' && this.#body.value !== undefined) this.write(body);
    else this.body = body;
  }

  /** Platform side: a change of headers that still holds when a `proxy` brings a whole new response. */
  change(apply: () => void): this {
    this.#journal.push(apply);
    apply();
    return this;
  }

  /** Platform side: takes over what an upstream, the application or the asset store answered. */
  adopt(received: GuestResponse): void {
    this.statusCode = received.status;
    this.statusMessage = received.reason;
    this.fields.replaceBy(received.headers);
    const coding = received.fromUpstream ? this.fields.get('content-encoding') : undefined;
    this.#body = { kind: 'received', raw: received.body, coding };
    for (const apply of this.#journal) apply();
  }

  /** A project that has changed the coding's name has itself to blame. */
  #decoded({ raw, coding }: { readonly raw: Buffer; readonly coding?: string | undefined }): Buffer {
    const named = this.fields.get('content-encoding');
    try {
      return decodeContent(raw, named);
    } catch (error) {
      throw coding !== undefined && coding === named ? new ContentCodingError(coding, error) : error;
    }
  }

  toGuest(): GuestResponse {
    const { statusCode: status, statusMessage: reason } = this;
    if (this.#body.kind === 'received') return { status, reason, headers: this.fields.raw, body: this.#body.raw };
    const { value } = this.#body;
    const text = typeof value === 'string' ? encodeCharset(value, this.fields.get('content-type')) : null;
    const bytes = text?.bytes ?? bytesOf(value);
    if (text?.contentType) this.fields.set('content-type', text.contentType);
    this.fields.delete('transfer-encoding');
    if (status >= 200 && status !== 204 && status !== 304) this.fields.set('content-length', String(bytes.length));
    else this.fields.delete('content-length');
    return { status, reason, headers: this.fields.raw, body: bytes };
  }
}

type HeaderMap = Readonly<Record<string, HeaderValue | undefined>>;

/** The body of a response as text, content coding undone. */
export const responseBodyToString = (response: Response): string => {
  const { body } = response;
  return typeof body === 'string' ? body : (body?.toString() ?? '');
};
