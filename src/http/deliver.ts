/**
 * From a complete response to what this client asked of it: nothing but the head (HEAD), 304 because it has it
 * already, a part of it (206, 416), or all of it. Pure, but for a body stream that is dropped or cut.
 * Source: RFC 9110 sections 13 to 15; spec "Caching", section 11.
 */
import { randomBytes } from 'node:crypto';
import { type Readable, Transform } from 'node:stream';
import { evaluateConditions, ifRangeHolds } from './conditional.ts';
import type { Fields } from './fields.ts';
import { letGo } from './let-go.ts';
import type { Body, HttpRequest, HttpResponse, RangedBody } from './message.ts';
import { type ByteRange, contentRange, multipartBody, parseRange } from './range.ts';

export interface DeliverOptions {
  /** We are the origin (static files): If-Match and If-Unmodified-Since are ours to judge, 412 is possible. */
  readonly asOrigin?: boolean;
  /** A stored response without Last-Modified has not changed since its Date (RFC 9111 section 4.3.2). */
  readonly fromStore?: boolean;
  /** A POP of ours asks, which updates what it stored: a 304 tells it of the type as well. */
  readonly forStore?: boolean;
}

/**
 * Only 200 responses to GET and HEAD are judged; every other one is returned as it is. The listener drops the body
 * of an answer to HEAD, so that here its length is still known.
 */
export function deliver(
  request: Pick<HttpRequest, 'method' | 'fields'>,
  response: HttpResponse,
  options: DeliverOptions = {},
): HttpResponse {
  const { method } = request;
  if (response.status !== 200 || (method !== 'GET' && method !== 'HEAD')) return response;
  const input = { method, request: request.fields, response: response.fields, ...options };
  const verdict = evaluateConditions(input);
  if (verdict.kind === 'not-modified') return withoutBody(response, 304, options.forStore);
  if (verdict.kind === 'failed') return withoutBody(response, 412);
  // Range is defined for GET only (section 14.2).
  return method === 'GET' ? ranged(request.fields, response) : response;
}

/** What a 304 may carry (section 15.4.5) is the whole head but for what describes the content that is not sent. */
const CONTENT_FIELDS = new Set(['content-length', 'content-encoding', 'content-type', 'content-range', 'trailer']);

function withoutBody(response: HttpResponse, status: 304 | 412, withType = false): HttpResponse {
  letGo(response.body);
  const isUntold = (name: string) => CONTENT_FIELDS.has(name) && !(withType && name === 'content-type');
  return { status, fields: response.fields.clone().deleteWhere(isUntold), body: null };
}

function ranged(request: Fields, response: HttpResponse): HttpResponse {
  const size = sizeOf(response);
  if (size === undefined) return response;
  const fields = response.fields.clone();
  if (!fields.has('accept-ranges')) fields.append('accept-ranges', 'bytes');
  const offered = { ...response, fields };
  const asked = ifRangeHolds(request, response.fields) ? request.get('range') : undefined;
  const verdict = parseRange(asked, size);
  if (verdict.kind === 'whole') return offered;
  if (verdict.kind === 'unsatisfiable') return unsatisfiable(response, size);
  const [range, ...others] = verdict.ranges;
  if (others.length === 0) return single(offered, range, size);
  // Cutting a stream into several parts would mean to hold it whole.
  return Buffer.isBuffer(response.body) ? multiple(offered, response.body, verdict.ranges) : offered;
}

function sizeOf({ body, fields }: HttpResponse): number | undefined {
  if (body === null) return undefined;
  if (Buffer.isBuffer(body)) return body.length;
  const length = fields.get('content-length');
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

function unsatisfiable(response: HttpResponse, size: number): HttpResponse {
  const answer = withoutBody(response, 412);
  const fields = answer.fields.delete('etag').delete('last-modified').set('content-range', `bytes */${size}`);
  return { status: 416, fields, body: null };
}

function single(response: HttpResponse, range: ByteRange, size: number): HttpResponse {
  const fields = response.fields
    .set('content-range', contentRange(range, size))
    .set('content-length', String(range.last - range.first + 1));
  return { status: 206, fields, body: cut(response.body, range) };
}

function multiple(response: HttpResponse, content: Buffer, ranges: readonly ByteRange[]): HttpResponse {
  const boundary = randomBytes(16).toString('hex');
  const body = multipartBody(content, ranges, { boundary, contentType: response.fields.get('content-type') });
  const fields = response.fields
    .set('content-type', `multipart/byteranges; boundary=${boundary}`)
    .set('content-length', String(body.length));
  return { status: 206, fields, body };
}

function cut(body: Body, range: ByteRange): Body {
  if (body === null) return null;
  if (Buffer.isBuffer(body)) return body.subarray(range.first, range.last + 1);
  return isRanged(body) ? body.range(range.first, range.last) : cutStream(body, range);
}

const isRanged = (body: Readable): body is RangedBody => 'range' in body;

/** Passes the range on and leaves the source as soon as its last byte is out. */
function cutStream(source: Readable, { first, last }: ByteRange): Readable {
  let position = 0;
  const part = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      const start = position;
      position += chunk.length;
      if (position > first) part.push(chunk.subarray(Math.max(0, first - start), last + 1 - start));
      if (position > last) {
        source.unpipe(part);
        part.end();
      }
      done();
    },
  });
  source.on('error', (error) => part.destroy(error));
  source.on('close', () => {
    if (!source.readableEnded) part.destroy(new Error('body closed before its end'));
  });
  part.on('close', () => source.destroy());
  return source.pipe(part);
}
