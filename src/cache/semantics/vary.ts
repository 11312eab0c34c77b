/**
 * Vary (RFC 9111 section 4.1) as a secondary key. `accept-encoding` is always part of the primary key, in its
 * normalised form, and so are the headers that a custom key names; whatever else a response varies on is honoured
 * with the request's exact values: a response that depends on Cookie never reaches another user.
 */
import type { Fields } from '../../http/fields.ts';

export const VARIES_ON_EVERYTHING = '*';

/** Lower-case names, sorted, without those that the key covers already; `*` alone when it occurs. */
export function varyNames(response: Fields, keyedHeaders: readonly string[] = []): readonly string[] {
  const names = new Set<string>();
  for (const line of response.all('vary')) {
    for (const member of line.split(',')) {
      const name = member.trim().toLowerCase();
      if (name === VARIES_ON_EVERYTHING) return [VARIES_ON_EVERYTHING];
      if (name !== '' && name !== 'accept-encoding' && !keyedHeaders.includes(name)) names.add(name);
    }
  }
  return [...names].sort();
}

/** Key of the variant that a request selects: injective in the values; absent differs from empty. */
export function variantKey(primaryKey: string, names: readonly string[], request: Fields): string {
  if (names.length === 0) return primaryKey;
  const values = names.map((name) => [name, ...request.all(name).map((value) => value.trim())]);
  return `${primaryKey}\n${JSON.stringify(values)}`;
}

/** Both lists, sorted: a URL whose responses disagree about Vary varies on all that was ever named. */
export const unionOfNames = (a: readonly string[], b: readonly string[]): readonly string[] =>
  b.every((name) => a.includes(name)) ? a : [...new Set([...a, ...b])].sort();
