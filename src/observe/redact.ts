/**
 * What must not lie on a disk in clear: credentials in fields, parameters with telling names, the values of a
 * project's secrets wherever they stand. What is left away is said (`[redacted 24]`: its length), so that an empty
 * credential can be told from a wrong one. Long texts are cut, because a story is bounded.
 */
const SECRET_FIELD =
  /^(?:authorization|proxy-authorization|cookie|set-cookie2?|x-csrf-token|x-xsrf-token)$|(?:^|-)(?:api-?key|key|token|secret|password|passwd|signature|session|credentials?|auth)(?:$|-)/i;
/** Sensible names that are no secrets. */
const HARMLESS_FIELD = /^(?:sec-websocket-(?:key|accept)|surrogate-key|.*-surrogate-key|.*-cache-key)$/i;
const SECRET_PARAMETER =
  /(?:^|[^a-z])(?:access|id|refresh|csrf)?_?(?:token|api_?key|key|secret|password|passwd|pwd|pass|signature|sig|auth|authorization|session|sessionid|sid|code|jwt|credential)s?(?:$|[^a-z])/i;
/** What every name of `SECRET_PARAMETER` has in it, or an escape: most texts are done with after this one look. */
const MAY_NAME_SECRETS = /token|key|secret|pass|pwd|sig|auth|session|sid|code|jwt|credential|%/i;
const CREDENTIAL_IN_TEXT = /\b(Bearer|Basic|Digest|Token)\s+[\w.~+/=-]{6,}/gi;
const SCHEME_IN_TEXT = /(?:bearer|basic|digest|token)\s/i;
const USER_IN_URL = /(\b[a-z][\w+.-]*:\/\/)[^\s/@:]+:[^\s/@]+@/gi;

/** Longest text of a story; a stack of twenty frames is shorter. */
export const MOST_TEXT = 4_096;
/** Deepest nesting of evidence. */
const MOST_DEPTH = 6;
const MOST_MEMBERS = 64;

export const redacted = (value: string): string => `[redacted ${value.length}]`;

/** Names repeat in every request, and a client may send any: so many are remembered. */
const judged = new Map<string, boolean>();
const MOST_JUDGED = 2_000;

export function isSecretField(name: string): boolean {
  let isSecret = judged.get(name);
  if (isSecret === undefined) {
    isSecret = SECRET_FIELD.test(name) && !HARMLESS_FIELD.test(name);
    if (judged.size >= MOST_JUDGED) judged.clear();
    judged.set(name, isSecret);
  }
  return isSecret;
}

/** Names as they came; the values of those that carry credentials are replaced. */
export const redactFields = (lines: Iterable<readonly [string, string]>): (readonly [string, string])[] =>
  [...lines].map(([name, value]) => [name, redactField(name, value)] as const);

function redactField(name: string, value: string): string {
  if (!isSecretField(name)) return redactUrl(value);
  if (/^cookie$/i.test(name)) return redactCookies(value);
  const scheme = /^(?:proxy-)?authorization$/i.test(name) ? /^([A-Za-z]+) (.+)$/.exec(value) : null;
  return scheme ? `${scheme[1]} ${redacted(scheme[2]!)}` : redacted(value);
}

/** Names of cookies help to find a cause; their values are sessions. */
const redactCookies = (value: string): string =>
  value
    .split(';')
    .map((pair) => {
      const at = pair.indexOf('=');
      return at < 0 ? pair : `${pair.slice(0, at)}=${redacted(pair.slice(at + 1))}`;
    })
    .join(';');

/** Replaces the values of parameters with telling names, in an address or any text that has some. */
export function redactUrl(text: string): string {
  if (!text.includes('=') || !MAY_NAME_SECRETS.test(text)) return text;
  return text.replace(
    /([?&|;]|^)([^=?&|;\s"']{1,128})=([^&|;\s"'#]*)/g,
    (whole, before: string, name: string, value) =>
      value !== '' && SECRET_PARAMETER.test(decoded(name)) ? `${before}${name}=${redacted(value)}` : whole,
  );
}

/** `accessToken` as `access_Token`, so that words are told apart. */
function decoded(name: string): string {
  let plain = name.replaceAll('+', ' ');
  try {
    plain = decodeURIComponent(plain);
  } catch {
    // Not percent-encoded: its name is what it looks like.
  }
  return plain.replace(/([a-z])([A-Z])/g, '$1_$2');
}

export type SecretValues = readonly (readonly [name: string, value: string])[];

/** Shorter values are no secrets, but words that stand everywhere. */
const SHORTEST_SECRET = 6;

/**
 * Any value ready to be written: text cut and free of credentials and of the given secrets, errors as their stacks,
 * nothing cyclic, nothing too deep. Numbers, booleans and null stay.
 */
export function redactValue(value: unknown, secrets: SecretValues = [], depth = 0): unknown {
  if (typeof value === 'string') return redactText(value, secrets);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return typeof value === 'function' ? undefined : value;
  if (depth >= MOST_DEPTH) return '…';
  if (Array.isArray(value)) return value.slice(0, MOST_MEMBERS).map((it) => redactValue(it, secrets, depth + 1));
  if (value instanceof Error) return redactText(value.stack ?? value.message, secrets);
  const entries = Object.entries(value).slice(0, MOST_MEMBERS);
  return Object.fromEntries(
    entries.map(([name, it]) => [
      name,
      typeof it === 'string' && depth > 0 && isSecretField(name) ? redacted(it) : redactValue(it, secrets, depth + 1),
    ]),
  );
}

export function redactText(text: string, secrets: SecretValues = []): string {
  // Cut behind the longest secret that may begin within what stays.
  let clean = text.length > MOST_TEXT ? text.slice(0, 2 * MOST_TEXT) : text;
  for (const [name, value] of secrets) {
    if (value.length < SHORTEST_SECRET) continue;
    for (const form of formsOf(value)) clean = clean.replaceAll(form, `[secret ${name}]`);
  }
  if (SCHEME_IN_TEXT.test(clean)) clean = clean.replace(CREDENTIAL_IN_TEXT, '$1 [redacted]');
  if (clean.includes('://')) clean = clean.replace(USER_IN_URL, '$1[redacted]@');
  return text.length > MOST_TEXT ? `${clean.slice(0, MOST_TEXT)}… (${text.length} characters)` : clean;
}

/** As it is, and as it stands in an address. */
function formsOf(value: string): Set<string> {
  return new Set([value, encodeURIComponent(value.toWellFormed())]);
}
