/** The response head of project code against the limits: `response.headerCount`, `.headerBytes`, `.cookieBytes`. */
import type { Fields } from '../http/fields.ts';
import type { Cause } from '../status/causes.ts';
import { Fault } from '../status/fault.ts';
import type { ComputeOptions } from './options.ts';

/** Written by servers, not by developers: not counted. */
const NOT_COUNTED = new Set(['connection', 'keep-alive', 'transfer-encoding', 'date', 'content-length']);
export const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
]);

/** Null when the head is within its limits. `Fields` still holds hop-by-hop lines. */
export function headFault(
  status: number,
  fields: Fields,
  { limits, isPlatformHeader }: Pick<ComputeOptions, 'limits' | 'isPlatformHeader'>,
): Fault | null {
  if (status < 200 || status > 999) return malformed(`status ${status} is no final status`);
  const size = sizeOf(fields, isPlatformHeader);
  const section = { 'header-section-size': size.bytes };
  const { largest, largestBytes } = size;
  return (
    over('compute.header-count', 'response.headerCount', limits.headerCount, size.lines) ??
    over('compute.header-bytes', 'response.headerBytes', limits.headerBytes, size.bytes, section) ??
    over('compute.cookie-bytes', 'response.cookieBytes', limits.cookieBytes, cookieBytesOf(fields), section) ??
    over('compute.header-field-bytes', 'response.headerFieldBytes', limits.headerFieldBytes, largestBytes, {
      'header-name': largest,
      'header-size': largestBytes,
    })
  );
}

/** Trailers are a header section of their own, and as large as one may be. */
export function trailerFault(
  fields: Fields,
  { limits, isPlatformHeader }: Pick<ComputeOptions, 'limits' | 'isPlatformHeader'>,
): Fault | null {
  if (fields.length === 0) return null;
  const { lines, bytes, largest, largestBytes } = sizeOf(fields, isPlatformHeader);
  const section = { 'trailer-section-size': bytes };
  return (
    over('compute.trailer-count', 'response.headerCount', limits.headerCount, lines, section) ??
    over('compute.trailer-bytes', 'response.headerBytes', limits.headerBytes, bytes, section) ??
    over('compute.trailer-field-bytes', 'response.headerFieldBytes', limits.headerFieldBytes, largestBytes, {
      'trailer-name': largest,
      'trailer-size': largestBytes,
    })
  );
}

function sizeOf(fields: Fields, isPlatformHeader: ComputeOptions['isPlatformHeader']) {
  const size = { lines: 0, bytes: fields.byteLength(), largest: '', largestBytes: 0 };
  for (const [name, value] of fields) {
    const lower = name.toLowerCase();
    if (NOT_COUNTED.has(lower) || isPlatformHeader(lower)) continue;
    size.lines++;
    const bytes = name.length + value.length + 4;
    if (bytes <= size.largestBytes) continue;
    size.largestBytes = bytes;
    size.largest = lower;
  }
  return size;
}

const cookieBytesOf = (fields: Fields): number =>
  fields.all('set-cookie').reduce((sum, value) => sum + value.length, 0);

export const malformed = (message: string, error?: unknown): Fault =>
  new Fault({ cause: 'compute.malformed', hop: 'compute', evidence: { message }, error });

/** Node's own parser gave up first. */
export const headOverflow = (headerBytes: number, error: unknown): Fault =>
  new Fault({
    cause: 'compute.header-bytes',
    hop: 'compute',
    evidence: { limit: 'response.headerBytes', value: headerBytes },
    error,
  });

export const bodyFault = (limit: number, seen: number): Fault =>
  new Fault({
    cause: 'compute.body-bytes',
    hop: 'compute',
    parameters: { 'body-size': seen },
    evidence: { limit: 'compute.responseBytes', value: limit, seen },
  });

function over(
  cause: Cause,
  limit: string,
  value: number,
  seen: number,
  parameters: Readonly<Record<string, string | number>> = {},
): Fault | null {
  return seen > value ? new Fault({ cause, hop: 'compute', parameters, evidence: { limit, value, seen } }) : null;
}
