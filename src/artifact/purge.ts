/**
 * Purges as the control plane keeps and tells them. Each has a sequence that only grows and is never behind the
 * clock, so that those of a control plane that lost its data still come after what POPs have stored before.
 */
export type PurgeKind = 'all' | 'path' | 'key';

export interface Purge {
  /** Milliseconds since the epoch, or one more than the purge before. Everything of one order has the same. */
  readonly sequence: number;
  /** The environment's cache space at that moment. */
  readonly space: string;
  readonly kind: PurgeKind;
  /** A pattern of URLs (see `purgePattern`), a surrogate key, or empty for `all`. */
  readonly value: string;
  /** What was stored before is stale from then on, instead of gone. */
  readonly soft: boolean;
}

/** What somebody asks to be purged; at least one of the three. */
export interface PurgeOrder {
  readonly all: boolean;
  readonly paths: readonly string[];
  readonly keys: readonly string[];
  readonly soft: boolean;
}

/** A pattern taken apart. `*` stands for any characters, the slash included. */
export interface UrlPattern {
  /** Undefined: on every host of the environment. */
  readonly host: string | undefined;
  readonly path: string;
  /** Sorted by name, as in cache keys. Undefined: with any query. */
  readonly query: string | undefined;
}

const PATTERN = /^(?:https?:\/\/([^/?#]+))?(\/[^?#]*|\*[^?#]*)(?:\?([^#]*))?$/i;
const LONGEST_PATTERN = 8_192;

/** `/products/*`, `/search?q=shoes`, `https://shop.example/a`; null when it is none. */
export function purgePattern(text: string): UrlPattern | null {
  const match = text.length > LONGEST_PATTERN || /[\s|]/.test(text) ? null : PATTERN.exec(text);
  if (match === null) return null;
  const [, host, path, query] = match;
  return { host: host?.toLowerCase(), path: path!, query: query === undefined ? undefined : sortedQuery(query) };
}

/** Parameters of one name keep their order, which may mean something. */
function sortedQuery(query: string): string {
  const nameOf = (text: string): string => text.split('=', 1)[0]!;
  const byName = (a: string, b: string) => (nameOf(a) < nameOf(b) ? -1 : Number(nameOf(a) > nameOf(b)));
  return query.split('&').toSorted(byName).join('&');
}

/** A surrogate key as it can stand in its header field: one word of visible ASCII. */
export const isSurrogateKey = (text: string): boolean => /^[\x21-\x7e]{1,1024}$/.test(text);
