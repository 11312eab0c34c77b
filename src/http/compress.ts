/**
 * Compression by the platform of what the upstream sent plain: streaming, with back-pressure. What has been written
 * is flushed whenever the source pauses, so that a page that arrives in pieces is seen in pieces. Event streams are
 * left alone. Source: spec "Caching", section 11; RFC 9110 section 8.4.
 */
import type { Readable } from 'node:stream';
import { type BrotliCompress, constants, createBrotliCompress, createGzip, type Gzip } from 'node:zlib';
import type { Fields } from './fields.ts';
import { listsToken } from './hop-by-hop.ts';
import type { Body, HttpRequest, HttpResponse } from './message.ts';
import { type AcceptedEncodings, isCompressible, platformCoding } from './negotiate.ts';

export type CompressVerdict =
  | { readonly coding: 'gzip' | 'br'; readonly reason: string }
  | { readonly coding: null; readonly reason: string };

/** The reason of a verdict that would be another for another client. */
export const NOT_ACCEPTED = 'not accepted';

export interface CompressOptions {
  /** Bodies known to be smaller stay plain: a head and a dictionary cost more than they save. */
  readonly minimumBytes?: number;
}

const DEFAULT_MINIMUM_BYTES = 128;
const GZIP_LEVEL = 6;
const BROTLI_QUALITY = 5;

/** Whether this response is compressed for a client that accepts these codings, and why not. */
export function compressVerdict(
  request: Pick<HttpRequest, 'method' | 'path'>,
  response: HttpResponse,
  accepted: AcceptedEncodings,
  options: CompressOptions = {},
): CompressVerdict {
  const { fields, status, body } = response;
  const no = (reason: string): CompressVerdict => ({ coding: null, reason });
  const coding = platformCoding(accepted);
  if (body === null || request.method === 'HEAD') return no('no body');
  if (status < 200 || status === 206 || status === 204 || status === 304) return no(`status ${status}`);
  if (fields.has('content-encoding')) return no('already coded');
  if (fields.has('content-range')) return no('a part');
  if (listsToken(fields, 'cache-control', 'no-transform')) return no('no-transform');
  if (isEventStream(fields.get('content-type'))) return no('event stream');
  if (!isCompressible(fields.get('content-type'), request.path)) return no('type');
  if (knownLength(response) < (options.minimumBytes ?? DEFAULT_MINIMUM_BYTES)) return no('too small');
  return coding === null ? no(NOT_ACCEPTED) : { coding, reason: 'compressed by the platform' };
}

const isEventStream = (contentType: string | undefined): boolean =>
  contentType?.trimStart().toLowerCase().startsWith('text/event-stream') ?? false;

function knownLength({ body, fields }: HttpResponse): number {
  if (Buffer.isBuffer(body)) return body.length;
  return Number(fields.get('content-length') ?? Number.POSITIVE_INFINITY);
}

/** The response in that coding: a strong ETag becomes weak, the length unknown, Vary names Accept-Encoding. */
export function compress(response: HttpResponse, coding: 'gzip' | 'br'): HttpResponse {
  const fields = response.fields.clone().delete('content-length').delete('accept-ranges').delete('content-md5');
  fields.set('content-encoding', coding);
  const etag = fields.get('etag');
  if (etag?.startsWith('"')) fields.set('etag', `W/${etag}`);
  namesAcceptEncoding(fields);
  return { ...response, fields, body: compressBody(response.body, coding) };
}

/** Adds Accept-Encoding to Vary, in place: also for the plain answer to a client that would not take another. */
export function namesAcceptEncoding(fields: Fields): void {
  if (listsToken(fields, 'vary', 'accept-encoding') || fields.get('vary') === '*') return;
  const vary = fields.get('vary');
  fields.set('vary', vary === undefined || vary === '' ? 'accept-encoding' : `${vary}, accept-encoding`);
}

function compressBody(body: Body, coding: 'gzip' | 'br'): Body {
  if (body === null) return null;
  const coder = coding === 'gzip' ? createGzip({ level: GZIP_LEVEL }) : createBrotli();
  if (Buffer.isBuffer(body)) coder.end(body);
  else feed(body, coder, coding === 'gzip' ? constants.Z_SYNC_FLUSH : constants.BROTLI_OPERATION_FLUSH);
  return coder;
}

const createBrotli = (): BrotliCompress =>
  createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } });

function feed(source: Readable, coder: Gzip | BrotliCompress, flushKind: number): void {
  let flushPending = false;
  const flushIfIdle = (): void => {
    flushPending = false;
    if (source.readableEnded || coder.destroyed || source.readableLength > 0) return;
    coder.flush(flushKind);
  };
  source.on('data', (chunk: Buffer) => {
    if (!coder.write(chunk)) source.pause();
    if (flushPending) return;
    flushPending = true;
    setImmediate(flushIfIdle);
  });
  coder.on('drain', () => source.resume());
  source.on('end', () => coder.end());
  source.on('error', (error) => coder.destroy(error));
  source.on('close', () => {
    if (!source.readableEnded) coder.destroy(new Error('body closed before its end'));
  });
  coder.on('close', () => source.destroy());
}
