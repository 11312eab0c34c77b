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

const unescapeComponent = (text: string) => text.replace(/~[012]/g, (code) => UNESCAPES[code]!);
const escapeComponent = (text: string) => text.replace(/[~|\n]/g, (character) => ESCAPES[character]!);
