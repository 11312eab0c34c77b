/**
 * Which fields pass a hop (RFC 9110 section 7.6.1) and which names are the platform's own (spec "Headers and
 * telemetry", section 6). The complication: Connection lets a sender name further fields to drop, and a hostile one
 * would name those that identity, framing or access control rest on; such names are not honoured.
 */
import type { Fields } from './fields.ts';

/** About one connection only, whether Connection names them or not. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
]);

/** Never removed because Connection says so. */
const PROTECTED = new Set([
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'content-range',
  'authorization',
  'cookie',
  'set-cookie',
  'cache-control',
  'expires',
  'date',
  'age',
  'vary',
  'etag',
  'last-modified',
  'location',
  'range',
  'accept-encoding',
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'forwarded',
  'via',
  'cdn-loop',
  'origin',
]);
const isProtected = (name: string): boolean => PROTECTED.has(name) || name.startsWith('x-') || name.startsWith('sec-');

/** A copy without what concerns one connection only. `TE: trailers` stays: it is a promise that we can keep. */
export function endToEndFields(fields: Fields): Fields {
  const named = namedByConnection(fields);
  const acceptsTrailers = listsToken(fields, 'te', 'trailers');
  const kept = fields.clone().deleteWhere((name) => HOP_BY_HOP.has(name) || named.has(name));
  return acceptsTrailers ? kept.append('te', 'trailers') : kept;
}

/** What of a client's request may be sent on. Expect is gone too: each hop answers it for itself. */
export function forwardableFields(fields: Fields): Fields {
  return endToEndFields(fields).delete('expect');
}

function namedByConnection(fields: Fields): Set<string> {
  const names = new Set<string>();
  for (const name of tokens(fields, 'connection')) if (!isProtected(name)) names.add(name);
  return names;
}

/** Lower-case members of a comma-separated field. */
function tokens(fields: Fields, name: string): string[] {
  const value = fields.get(name);
  return value === undefined ? [] : value.split(',').map((token) => token.trim().toLowerCase());
}

/** Whether a comma-separated field has the member, parameters (`;q=…`) aside. */
export function listsToken(fields: Fields, name: string, token: string): boolean {
  return tokens(fields, name).some((member) => member.split(';', 1)[0]!.trimEnd() === token);
}

const RESERVED_NAMES = new Set(['proxy-status', 'cache-status']);

/**
 * Removes, in place, what only the platform may say: every `{prefix}-…`, Proxy-Status and Cache-Status. Also spelled
 * with underscores, which servers that hand fields on as variables (CGI) cannot tell apart from hyphens.
 * `prefixes` and `exceptions` are lower case; an exception ending in `*` stands for all names that start so.
 */
export function stripReserved(fields: Fields, prefixes: readonly string[], exceptions: readonly string[] = []): Fields {
  const reserved = (spelled: string): boolean => {
    const name = hyphenated(spelled);
    return RESERVED_NAMES.has(name) || prefixes.some((prefix) => name.startsWith(`${prefix}-`));
  };
  return fields.deleteWhere((name) => reserved(name) && !exceptions.some((exception) => covers(exception, name)));
}

const hyphenated = (name: string): string => (name.includes('_') ? name.replaceAll('_', '-') : name);

/** Written by a proxy: in a request they come from us or from whom we believe, under whatever spelling. */
const TOLD_BY_PROXIES = /^(?:x-(?:request-id|forwarded-[a-z]+)|cdn-loop|content-length|transfer-encoding)$/;

/** Removes, in place, names with underscores that a server behind us would take for a field that we vouch for. */
export const stripLookalikes = (fields: Fields): Fields =>
  fields.deleteWhere((name) => name.includes('_') && TOLD_BY_PROXIES.test(hyphenated(name)));

const covers = (exception: string, name: string): boolean =>
  exception.endsWith('*') ? name.startsWith(exception.slice(0, -1)) : name === exception;
