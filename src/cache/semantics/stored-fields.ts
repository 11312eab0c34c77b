/** Which fields a stored response keeps: the headers page, section 5, and RFC 9111 section 3.1. */
import type { Fields } from '../../http/fields.ts';
import { endToEndFields } from '../../http/hop-by-hop.ts';

/** Belong to one user or one exchange; Age is computed anew for every answer. */
const NEVER_STORED = ['proxy-status', 'proxy-authentication-info', 'x-request-id', 'age'];
const COOKIES = ['set-cookie', 'set-cookie2'];
/** Only have a meaning on the connection that brought them. */
const FRAMING = ['te', 'trailer', 'upgrade'];
/** The platform's own per-request names, below the configured prefix. */
const NEVER_STORED_SUFFIXES = ['error', 't', 'user-t', 'request-id', 'hit-request-id'];

/**
 * A function that gives the storable copy of a response's fields; cookies only where the project shares them.
 * `headerPrefix` is the branding's, e.g. `x-sv`.
 */
export function storedFieldsFor(headerPrefix: string): (fields: Fields, shareCookies?: boolean) => Fields {
  const ours = NEVER_STORED_SUFFIXES.map((suffix) => `${headerPrefix}-${suffix}`);
  const never = new Set([...NEVER_STORED, ...FRAMING, ...ours]);
  return (fields, shareCookies = false) =>
    endToEndFields(fields).deleteWhere((name) => never.has(name) || (!shareCookies && COOKIES.includes(name)));
}

/** What the stored body depends on, which a 304 does not bring along (RFC 9111 section 3.2). */
const KEPT_ON_UPDATE = /^content-(length|encoding|range|md5|digest)$/;

/** The stored fields after a 304 (RFC 9111 section 3.2). `update` went through the filter already. */
export function freshenedFields(stored: Fields, update: Fields): Fields {
  const replaced = new Set<string>();
  for (const [name] of update) if (!KEPT_ON_UPDATE.test(name.toLowerCase())) replaced.add(name.toLowerCase());
  const fields = stored.clone().deleteWhere((name) => replaced.has(name));
  // a 304 without Date was made when it arrived, not when the body was
  if (!update.has('date')) fields.delete('date');
  for (const [name, value] of update) if (replaced.has(name.toLowerCase())) fields.append(name, value);
  return fields;
}
