/**
 * Checks of a response head that the parser does not make: sizes and counts (542), codings that we never asked for
 * and that the parser would take for "read until close" (trap T5 of the status-code page), impossible status codes.
 */
import { Fields } from '../http/fields.ts';
import type { LegStage } from '../status/causes.ts';
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

export type HeadLimits = Pick<OriginLimits, 'headerCount' | 'headerBytes' | 'cookieBytes' | 'headerFieldBytes'>;

/** Lines with such a lower-case name count nowhere. */
type Exempt = (lowerName: string) => boolean;

/** The first thing wrong with a head, or null. */
export function checkHead(
  status: number,
  fields: Fields,
  limits: HeadLimits,
  exempt: Exempt,
  passUnknownCoding = false,
): StageFailure | null {
  if (status < 200) return new StageFailure('head.malformed', { details: 'status', evidence: { status } });
  return checkSize(fields, limits, exempt) ?? checkCoding(fields, passUnknownCoding);
}

function checkSize(fields: Fields, limits: HeadLimits, exempt: Exempt): StageFailure | null {
  const size = sizeOf(fields, exempt);
  const parameters = { 'header-section-size': size.bytes };
  return (
    over('head.count', 'response.headerCount', limits.headerCount, size.count, parameters) ??
    over('head.cookie-bytes', 'response.cookieBytes', limits.cookieBytes, size.cookieBytes, parameters) ??
    over('head.field-bytes', 'response.headerFieldBytes', limits.headerFieldBytes, size.largestBytes, {
      'header-name': size.largest,
      'header-size': size.largestBytes,
    }) ??
    over('head.bytes', 'response.headerBytes', limits.headerBytes, size.bytes, parameters)
  );
}

/** Trailers are a header section of their own, and as large as one may be. */
export function checkTrailers(fields: Fields, limits: HeadLimits, exempt: Exempt): StageFailure | null {
  if (fields.length === 0) return null;
  const size = sizeOf(fields, exempt);
  const parameters = { 'trailer-section-size': size.bytes };
  return (
    over('trailer.count', 'response.headerCount', limits.headerCount, size.count, parameters) ??
    over('trailer.field-bytes', 'response.headerFieldBytes', limits.headerFieldBytes, size.largestBytes, {
      'trailer-name': size.largest,
      'trailer-size': size.largestBytes,
    }) ??
    over('trailer.bytes', 'response.headerBytes', limits.headerBytes, size.bytes, parameters)
  );
}

interface SectionSize {
  count: number;
  /** Σ(name + value + 4). */
  bytes: number;
  cookieBytes: number;
  /** Name and bytes of the largest line. */
  largest: string;
  largestBytes: number;
}

function sizeOf(fields: Fields, exempt: Exempt): SectionSize {
  const size: SectionSize = { count: 0, bytes: 0, cookieBytes: 0, largest: '', largestBytes: 0 };
  for (const [name, value] of fields) {
    const lower = name.toLowerCase();
    if (exempt(lower)) continue;
    const bytes = name.length + value.length + 4;
    size.count++;
    size.bytes += bytes;
    if (lower === 'set-cookie') size.cookieBytes += value.length;
    if (bytes <= size.largestBytes) continue;
    size.largestBytes = bytes;
    size.largest = lower;
  }
  return size;
}

function over(
  stage: LegStage,
  limit: string,
  value: number,
  seen: number,
  parameters: Readonly<Record<string, string | number>>,
): StageFailure | null {
  return seen > value ? new StageFailure(stage, { parameters, evidence: { limit, value, seen } }) : null;
}

/**
 * We send no `TE`, so `chunked` alone is what a response may be coded with (RFC 9112 section 6.1). A body in another
 * single coding ends with its connection (section 6.3); whoever knows that the word is noise may have it passed.
 */
function checkCoding(fields: Fields, passUnknown: boolean): StageFailure | null {
  const codings = (fields.get('transfer-encoding') ?? 'chunked')
    .split(',')
    .map((coding) => coding.trim().toLowerCase());
  if (codings.length === 1 && (codings[0] === 'chunked' || passUnknown)) return null;
  const coding = codings.find((one) => one !== 'chunked') ?? 'chunked, chunked';
  return new StageFailure('head.transfer-coding', { parameters: { coding }, evidence: { codings } });
}

/** Whether a response ends only where its connection ends: nothing in it says how long it is. */
export function endsWithConnection(fields: Fields): boolean {
  const coding = fields.get('transfer-encoding')?.trim().toLowerCase();
  return coding === undefined ? !fields.has('content-length') : coding !== 'chunked';
}

/** Content-Length, where there is a valid one. */
export function contentLength(fields: Fields): number | undefined {
  const value = fields.get('content-length');
  return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}
