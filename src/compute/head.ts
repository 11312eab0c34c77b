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
  let lines = 0;
  for (const [name] of fields) {
    const lower = name.toLowerCase();
    if (!NOT_COUNTED.has(lower) && !isPlatformHeader(lower)) lines++;
  }
  if (lines > limits.headerCount)
    return over('compute.header-count', 'response.headerCount', limits.headerCount, lines);
  const bytes = fields.byteLength();
  if (bytes > limits.headerBytes)
    return over('compute.header-bytes', 'response.headerBytes', limits.headerBytes, bytes);
  const cookieBytes = fields.all('set-cookie').reduce((sum, value) => sum + value.length, 0);
  if (cookieBytes > limits.cookieBytes)
    return over('compute.cookie-bytes', 'response.cookieBytes', limits.cookieBytes, cookieBytes);
  return null;
}

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

function over(cause: Cause, limit: string, value: number, seen: number): Fault {
  const parameters: Record<string, number> = cause === 'compute.header-count' ? {} : { 'header-section-size': seen };
  return new Fault({ cause, hop: 'compute', parameters, evidence: { limit, value, seen } });
}
