/** Which fields a stored response keeps: the headers page, section 5, and RFC 9111 section 3.1. */
import { Fields } from '../../http/fields.ts';

/** Belong to one connection, one user or one exchange; Age is computed anew for every answer. */
const NEVER_STORED = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'set-cookie',
  'set-cookie2',
  'proxy-status',
  'x-request-id',
  'age',
]);
/** The platform's own per-request names, below the configured prefix. */
const NEVER_STORED_SUFFIXES = ['error', 't', 'user-t', 'request-id', 'hit-request-id'];

/** A function that gives the storable copy of a response's fields. `headerPrefix` is the branding's, e.g. `x-sv`. */
export function storedFieldsFor(headerPrefix: string): (fields: Fields) => Fields {
  const never = new Set([...NEVER_STORED, ...NEVER_STORED_SUFFIXES.map((suffix) => `${headerPrefix}-${suffix}`)]);
  return (fields) => {
    const nominated = connectionOptions(fields);
    return fields.clone().deleteWhere((name) => never.has(name) || nominated.has(name));
  };
}

const connectionOptions = (fields: Fields): ReadonlySet<string> =>
  new Set((fields.get('connection') ?? '').split(',').map((option) => option.trim().toLowerCase()));

/** Describe the stored body, which a 304 does not bring along (RFC 9111 section 3.2). */
const KEPT_ON_UPDATE = /^content-(length|encoding|type|range)$/;

/** The stored fields after a 304 (RFC 9111 section 3.2). `update` went through the filter already. */
export function freshenedFields(stored: Fields, update: Fields): Fields {
  const replaced = new Set<string>();
  for (const [name] of update) if (!KEPT_ON_UPDATE.test(name.toLowerCase())) replaced.add(name.toLowerCase());
  const fields = stored.clone().deleteWhere((name) => replaced.has(name));
  for (const [name, value] of update) if (replaced.has(name.toLowerCase())) fields.append(name, value);
  return new Fields(fields.raw);
}
