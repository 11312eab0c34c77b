/**
 * CDN-Loop (RFC 8586): how often a request has already passed through this platform. Each dialling hop adds one
 * member; those of other networks do not count. Source: spec "Status codes", 538.
 */
import type { Fields } from './fields.ts';

/** Members whose identifier is ours, whatever their parameters. */
export function countPasses(fields: Fields, cdnId: string): number {
  const own = cdnId.toLowerCase();
  return fields
    .all('cdn-loop')
    .flatMap((line) => splitOutsideQuotes(line, ','))
    .filter((member) => memberId(member) === own).length;
}

/** Adds our own member at the end of the list. */
export function appendPass(fields: Fields, cdnId: string): Fields {
  const earlier = fields.get('cdn-loop');
  return fields.set('cdn-loop', earlier ? `${earlier}, ${cdnId}` : cdnId);
}

const memberId = (member: string): string => member.split(';', 1)[0]!.trim().toLowerCase();

/** A parameter's quoted string may hold a comma that separates nothing. */
export function splitOutsideQuotes(line: string, separator: string): string[] {
  const parts: string[] = [];
  let quoted = false;
  let start = 0;
  for (let at = 0; at < line.length; at++) {
    const character = line[at];
    if (quoted && character === '\\') at++;
    else if (character === '"') quoted = !quoted;
    else if (character === separator && !quoted) {
      parts.push(line.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(line.slice(start));
  return parts;
}
