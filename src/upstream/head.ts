/**
 * Checks of a response head that the parser does not make: sizes and counts (542), codings that we never asked for
 * and that the parser would take for "read until close" (trap T5 of the status-code page), impossible status codes.
 */
import { Fields } from '../http/fields.ts';
import { StageFailure } from './failure.ts';
import type { OriginLimits } from './types.ts';

/** Fields from the parser's flat list of bytes; a line's bytes are kept one to one, as Node does it. */
export function fieldsFrom(raw: unknown): Fields {
  const fields = new Fields();
  if (!Array.isArray(raw)) return fields;
  const lines = raw as readonly (Buffer | string)[];
  for (let at = 0; at + 1 < lines.length; at += 2) fields.append(text(lines[at]!), withoutEnd(text(lines[at + 1]!)));
  return fields;
}

const text = (bytes: Buffer | string): string => (typeof bytes === 'string' ? bytes : bytes.toString('latin1'));

/** White space behind a value is not part of it (RFC 9112 section 5). */
function withoutEnd(value: string): string {
  const last = value.charCodeAt(value.length - 1);
  return last === 0x20 || last === 0x09 ? value.replace(/[ \t]+$/, '') : value;
}

export type HeadLimits = Pick<OriginLimits, 'headerCount' | 'headerBytes' | 'cookieBytes'>;

/** The first thing wrong with a head, or null. Lines whose lower-case name is `exempt` count nowhere. */
export function checkHead(
  status: number,
  fields: Fields,
  limits: HeadLimits,
  exempt: (lowerName: string) => boolean,
): StageFailure | null {
  if (status < 200) return new StageFailure('head.malformed', { details: 'status', evidence: { status } });
  return checkSize(fields, limits, exempt) ?? checkCoding(fields);
}

function checkSize(fields: Fields, limits: HeadLimits, exempt: (name: string) => boolean): StageFailure | null {
  let count = 0;
  let bytes = 0;
  let cookieBytes = 0;
  for (const [name, value] of fields) {
    const lower = name.toLowerCase();
    if (exempt(lower)) continue;
    count++;
    bytes += name.length + value.length + 4;
    if (lower === 'set-cookie') cookieBytes += value.length;
  }
  if (count > limits.headerCount)
    return overflow('head.count', bytes, 'response.headerCount', limits.headerCount, count);
  if (cookieBytes > limits.cookieBytes)
    return overflow('head.cookie-bytes', bytes, 'response.cookieBytes', limits.cookieBytes, cookieBytes);
  if (bytes > limits.headerBytes)
    return overflow('head.bytes', bytes, 'response.headerBytes', limits.headerBytes, bytes);
  return null;
}

function overflow(
  stage: 'head.count' | 'head.bytes' | 'head.cookie-bytes',
  sectionBytes: number,
  limit: string,
  value: number,
  seen: number,
): StageFailure {
  return new StageFailure(stage, {
    parameters: { 'header-section-size': sectionBytes },
    evidence: { limit, value, seen },
  });
}

/** We send no `TE`, so `chunked` alone is what a response may be coded with (RFC 9112 section 6.1). */
function checkCoding(fields: Fields): StageFailure | null {
  const codings = (fields.get('transfer-encoding') ?? 'chunked')
    .split(',')
    .map((coding) => coding.trim().toLowerCase());
  if (codings.length === 1 && codings[0] === 'chunked') return null;
  const coding = codings.find((one) => one !== 'chunked') ?? 'chunked, chunked';
  return new StageFailure('head.transfer-coding', { parameters: { coding }, evidence: { codings } });
}

/** Whether a response ends only where its connection ends: nothing in it says how long it is. */
export function endsWithConnection(fields: Fields): boolean {
  return !fields.has('transfer-encoding') && !fields.has('content-length');
}

/** Content-Length, where there is a valid one. */
export function contentLength(fields: Fields): number | undefined {
  const value = fields.get('content-length');
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
