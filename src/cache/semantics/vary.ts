/**
 * Vary (RFC 9111 section 4.1) as a secondary key. `accept-encoding` is always part of the primary key, in its
 * normalised form, and so are the headers that a custom key names; whatever else a response varies on is honoured
 * with the request's values: a response that depends on Cookie never reaches another user.
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

/** Key of the variant that a request selects: injective in the normalised values; absent differs from empty. */
export function variantKey(primaryKey: string, names: readonly string[], request: Fields): string {
  if (names.length === 0) return primaryKey;
  const values = names.map((name) => [name, ...normalised(name, request.all(name))]);
  return `${primaryKey}\n${JSON.stringify(values)}`;
}

/**
 * What cannot make a difference is taken out (RFC 9111 section 4.1): several lines are one list, white space around
 * its commas means nothing. What identifies people is compared as it came.
 */
function normalised(name: string, lines: readonly string[]): readonly string[] {
  const exact = lines.map((line) => line.trim());
  if (lines.length === 0 || EXACT.has(name)) return exact;
  if (name === 'accept-language') return [normalisedLanguages(exact.join(','))];
  const joined = exact.join(',');
  return [joined.includes('"') ? joined : joined.replace(/[ \t]*,[ \t]*/g, ',')];
}

const EXACT = new Set(['authorization', 'cookie', 'user-agent']);

/** Languages that are wanted alike have no order (RFC 9110 section 12.5.4), and case means nothing. */
function normalisedLanguages(value: string): string {
  const ranges = value.toLowerCase().split(',').map(parseLanguage);
  const wanted = ranges.filter(({ tag }) => tag !== '');
  return wanted
    .sort((a, b) => b.weight - a.weight || (a.tag < b.tag ? -1 : 1))
    .map(({ tag, weight }) => (weight === 1 ? tag : `${tag};q=${weight}`))
    .join(',');
}

function parseLanguage(range: string): { readonly tag: string; readonly weight: number } {
  const [tag = '', ...parameters] = range.split(';').map((part) => part.trim());
  const weight = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1);
  return { tag, weight: weight >= 0 && weight <= 1 ? weight : 1 };
}

/** The language that a request wants most, where there is a single one. */
export function favouriteLanguage(request: Fields): string | undefined {
  const lines = request.all('accept-language');
  if (lines.length === 0) return undefined;
  const [first, second] = normalisedLanguages(lines.join(',')).split(',');
  const weightOf = (range: string | undefined) => (range === undefined ? 0 : parseLanguage(range).weight);
  const isAlone = weightOf(first) > weightOf(second);
  return first !== undefined && isAlone && weightOf(first) > 0 ? parseLanguage(first).tag : undefined;
}

/** Both lists, sorted: a URL whose responses disagree about Vary varies on all that was ever named. */
export const unionOfNames = (a: readonly string[], b: readonly string[]): readonly string[] =>
  b.every((name) => a.includes(name)) ? a : [...new Set([...a, ...b])].sort();
