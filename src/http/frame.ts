/**
 * How a response is framed on a connection (RFC 9112 sections 6 and 9; in HTTP/2 frames do what chunks do): which lines of its head are the
 * connection's business, and whether the body is counted, chunked, ended by closing or absent. Pure.
 */
import { STATUS_CODES } from 'node:http';
import type { Fields } from './fields.ts';
import type { Body, HttpResponse } from './message.ts';

export type HttpVersion = '1.0' | '1.1' | '2.0';

export interface FrameContext {
  readonly method: string;
  readonly httpVersion: HttpVersion;
  /** The connection ends with this response. */
  readonly close: boolean;
  /** Now, as an HTTP date, for a response without one. */
  readonly date: string;
}

export interface Framed {
  readonly status: number;
  readonly reason: string;
  /** Flat lines, complete. */
  readonly head: string[];
  /** What is sent after the head; null when nothing may be. */
  readonly body: Body;
  /** Bytes promised by Content-Length; undefined when chunked or ended by closing. */
  readonly length: number | undefined;
  readonly trailers: (() => Fields) | undefined;
  /** The connection cannot be used again. */
  readonly last: boolean;
}

/** Ours to say, never the response's. */
const CONNECTION_FIELDS = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'content-length',
  'te',
]);

type Framing =
  | { readonly kind: 'none' }
  | { readonly kind: 'counted'; readonly length: number }
  | { readonly kind: 'chunked' }
  | { readonly kind: 'until-close' };

export function frameResponse(response: HttpResponse, context: FrameContext): Framed {
  const { status, fields } = response;
  const framing = chooseFraming(response, context);
  const chunked = framing.kind === 'chunked';
  const bodiless = context.method === 'HEAD' || hasNoBody(status);
  const head = fields
    .clone()
    .deleteWhere((name) => CONNECTION_FIELDS.has(name) || (name === 'trailer' && !chunked)).raw;
  if (framing.kind === 'counted') head.push('Content-Length', String(framing.length));
  if (chunked && context.httpVersion === '1.1') head.push('Transfer-Encoding', 'chunked');
  const last = context.close || framing.kind === 'until-close';
  if (last) head.push('Connection', 'close');
  else if (context.httpVersion === '1.0') head.push('Connection', 'keep-alive');
  if (!fields.has('date')) head.push('Date', context.date);
  return {
    status,
    reason: reasonOf(response),
    head,
    body: bodiless ? null : response.body,
    length: framing.kind === 'counted' && !bodiless ? framing.length : undefined,
    trailers: chunked ? response.trailers : undefined,
    last,
  };
}

const hasNoBody = (status: number): boolean => status === 204 || status === 304;

function chooseFraming(response: HttpResponse, { method, httpVersion }: FrameContext): Framing {
  const { status, body, trailers } = response;
  const declared = declaredLength(response.fields);
  if (status === 204) return { kind: 'none' };
  // These two describe the body that another request would get; without a length they say nothing.
  if (status === 304) return declared === undefined ? { kind: 'none' } : { kind: 'counted', length: declared };
  const length = Buffer.isBuffer(body) ? body.length : declared;
  if (method === 'HEAD') return length === undefined ? { kind: 'none' } : { kind: 'counted', length };
  // Trailers exist only behind chunks; a response that declares its length has chosen against them.
  if (trailers !== undefined && declared === undefined && httpVersion !== '1.0') return { kind: 'chunked' };
  if (body === null) return { kind: 'counted', length: 0 };
  if (length !== undefined) return { kind: 'counted', length };
  return { kind: httpVersion === '1.0' ? 'until-close' : 'chunked' };
}

/** Undefined when the field is absent or no single number. */
function declaredLength(fields: Fields): number | undefined {
  const value = fields.get('content-length');
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

const PRINTABLE = /^[\t\x20-\x7e\x80-\xff]*$/;

function reasonOf({ status, reason }: HttpResponse): string {
  return reason && PRINTABLE.test(reason) ? reason : (STATUS_CODES[status] ?? '');
}

/** Status line and lines as bytes. */
export function serialiseHead(status: number, reason: string, raw: readonly string[]): Buffer {
  let head = `HTTP/1.1 ${status} ${reason}\r\n`;
  for (let at = 0; at < raw.length; at += 2) head += `${raw[at]}: ${raw[at + 1]}\r\n`;
  return Buffer.from(`${head}\r\n`, 'latin1');
}

/** A whole response as bytes, for a connection that Node's parser has given up on. Always the last one on it. */
export function serialiseLast(response: HttpResponse & { readonly body: Buffer | null }, date: string): Buffer {
  const { status, reason, head } = frameResponse(response, { method: 'GET', httpVersion: '1.1', close: true, date });
  return Buffer.concat([serialiseHead(status, reason, head), response.body ?? Buffer.alloc(0)]);
}
