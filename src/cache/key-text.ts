/**
 * The text form of a key: components joined by `|`, made injective by escaping. `|` and a line break never occur
 * inside a component, so that the first component (the space) and the end of the primary key can be found again.
 */
const ESCAPES: Readonly<Record<string, string>> = { '~': '~0', '|': '~1', '\n': '~2' };
const UNESCAPES: Readonly<Record<string, string>> = { '~0': '~', '~1': '|', '~2': '\n' };

/** Different non-empty lists of components never give the same text. */
export const joinKey = (components: readonly string[]): string => components.map(escapeComponent).join('|');

/** The first component. */
export function spaceOf(key: string): string {
  const end = key.indexOf('|');
  return unescapeComponent(end < 0 ? key : key.slice(0, end));
}

/** What the key of a response or of a variant of it says about its URL, in the order in which `cacheKey` joins it. */
export function urlOfKey(key: string): { readonly host: string; readonly path: string; readonly query: string } {
  const end = key.indexOf('\n');
  const [, , host = '', path = '', query = ''] = (end < 0 ? key : key.slice(0, end)).split('|', 5);
  return { host: unescapeComponent(host), path: unescapeComponent(path), query: unescapeComponent(query) };
}

/** The part of a key that names the URL (RFC 9110 section 4.2), as text; `ofBody`: a body was part of the question. */
export function urlKeyOf(key: string): { readonly urlKey: string; readonly ofBody: boolean } {
  const end = key.indexOf('\n');
  const components = (end < 0 ? key : key.slice(0, end)).split('|', 9);
  const [, , , , , , , tag, method] = components;
  return {
    urlKey: components.slice(0, URL_COMPONENTS).join('|'),
    ofBody: tag === 'body' || (tag === 'method' && method !== 'GET'),
  };
}

/** Space, protocol, host, path, query. */
const URL_COMPONENTS = 5;

/** The keys of a URL by which a request finds it when its route makes no key of its own. */
export const keysOfUrl = (urlKey: string, codings: readonly string[]): string[] =>
  codings.map((coding) => `${urlKey}|${escapeComponent(coding)}|default`);

/** More than URL, coding and destination is in it. */
export const isCustomKey = (key: string): boolean => key.split('|', URL_COMPONENTS + 3).length > URL_COMPONENTS + 2;

/** The same key for what other codings a client may take; `accepted` is this one's, as `cacheKey` joined it. */
export function otherCodings(key: string, codings: readonly string[]): { accepted: string; keys: readonly string[] } {
  const components = key.split('|');
  const accepted = components[CODING_COMPONENT];
  if (accepted === undefined) return { accepted: '', keys: [] };
  const others = codings.filter((coding) => coding !== accepted);
  return { accepted, keys: others.map((coding) => components.with(CODING_COMPONENT, coding).join('|')) };
}

const CODING_COMPONENT = URL_COMPONENTS;

const unescapeComponent = (text: string) => text.replace(/~[012]/g, (code) => UNESCAPES[code]!);
const escapeComponent = (text: string) => text.replace(/[~|\n]/g, (character) => ESCAPES[character]!);
