/**
 * Byte ranges (RFC 9110 section 14). Parsing is strict; a field that is malformed or abusive is ignored, which the
 * RFC allows, so that the whole representation is sent. Several ranges become multipart/byteranges.
 */

/** Both ends included. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

export type RangeVerdict =
  | { readonly kind: 'whole'; readonly reason: string }
  | { readonly kind: 'partial'; readonly ranges: readonly [ByteRange, ...ByteRange[]] }
  | { readonly kind: 'unsatisfiable' };

const MOST_RANGES = 8;
const SPEC = /^(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))$/;

/** `value` of a Range field against a representation of `size` bytes. */
export function parseRange(value: string | undefined, size: number): RangeVerdict {
  if (value === undefined) return whole('no range asked for');
  const specs = /^bytes[ \t]*=(.*)$/i.exec(value.trim())?.[1]?.split(',');
  if (!specs) return whole('another range unit');
  const ranges: ByteRange[] = [];
  for (const spec of specs) {
    const match = SPEC.exec(spec.trim());
    if (!match) return whole('malformed');
    const range = resolve(match, size);
    if (range === 'malformed') return whole('malformed');
    if (range !== null) ranges.push(range);
  }
  if (ranges.length === 0) return { kind: 'unsatisfiable' };
  if (ranges.length > MOST_RANGES || overlap(ranges)) return whole('too many or overlapping ranges');
  return { kind: 'partial', ranges: ranges as [ByteRange, ...ByteRange[]] };
}

const whole = (reason: string): RangeVerdict => ({ kind: 'whole', reason });

/** Null: nothing of it exists. */
function resolve([, first, last, suffix]: RegExpExecArray, size: number): ByteRange | 'malformed' | null {
  if (suffix !== undefined) {
    const length = Math.min(Number(suffix), size);
    return length === 0 ? null : { first: size - length, last: size - 1 };
  }
  const start = Number(first);
  const end = last === undefined ? size - 1 : Number(last);
  if (last !== undefined && end < start) return 'malformed';
  return start >= size ? null : { first: start, last: Math.min(end, size - 1) };
}

function overlap(ranges: readonly ByteRange[]): boolean {
  const sorted = ranges.toSorted((one, other) => one.first - other.first);
  return sorted.some((range, at) => at > 0 && range.first <= sorted[at - 1]!.last);
}

export const contentRange = ({ first, last }: ByteRange, size: number): string => `bytes ${first}-${last}/${size}`;

/** The body of several ranges; `boundary` must not occur in the content. */
export function multipartBody(
  content: Buffer,
  ranges: readonly ByteRange[],
  options: { readonly boundary: string; readonly contentType: string | undefined },
): Buffer {
  const type = options.contentType === undefined ? '' : `Content-Type: ${options.contentType}\r\n`;
  const parts = ranges.flatMap((range) => [
    Buffer.from(
      `\r\n--${options.boundary}\r\n${type}Content-Range: ${contentRange(range, content.length)}\r\n\r\n`,
      'latin1',
    ),
    content.subarray(range.first, range.last + 1),
  ]);
  return Buffer.concat([...parts, Buffer.from(`\r\n--${options.boundary}--\r\n`, 'latin1')]);
}
