/**
 * The variants of one URL (RFC 9111 section 4.1): which request headers they depend on, where they lie, and which
 * language they are in. Bounded, so that one URL whose responses vary on everything cannot push all else out. Pure.
 */
import type { Fields } from '../http/fields.ts';
import { favouriteLanguage, unionOfNames, variantKey } from './semantics/vary.ts';

export interface VaryList {
  readonly kind: 'vary';
  readonly names: readonly string[];
  /** Keys of their slots, the oldest first. */
  readonly variants: readonly string[];
  /** Slots by the language of what is in them, and what else they vary on. */
  readonly languages: Readonly<Record<string, string>>;
}

/** What a response says about its kind. */
export interface Variance {
  /** Request headers that it varies on. */
  readonly names: readonly string[];
  /** Its one Content-Language, lower case. */
  readonly language: string | undefined;
}

const MOST_VARIANTS = 100;
const LANGUAGE = 'accept-language';

export interface VariantPlace {
  readonly slotKey: string;
  readonly names: readonly string[];
  /** The list as it has to be kept now; undefined when it is as it was, or there are no variants. */
  readonly list: VaryList | undefined;
  /** Variants that it has no room for any more. */
  readonly gone: readonly string[];
}

/** Where a new response belongs. A list of names only ever grows while it is kept. */
export function placeVariant(
  key: string,
  known: VaryList | undefined,
  request: Fields,
  { names, language }: Variance,
): VariantPlace {
  const all = unionOfNames(known?.names ?? [], names);
  const slotKey = variantKey(key, all, request);
  if (all.length === 0) return { slotKey, names: all, list: undefined, gone: [] };
  const before = known && all === known.names ? known : undefined;
  const spoken = language === undefined ? undefined : languageKey(language, all, request);
  const isTold = spoken === undefined || before?.languages[spoken] === slotKey;
  if (before?.variants.includes(slotKey) && isTold) return { slotKey, names: all, list: undefined, gone: [] };
  const variants = [...(before?.variants ?? []).filter((variant) => variant !== slotKey), slotKey];
  const gone = variants.splice(0, variants.length - MOST_VARIANTS);
  const kept = Object.entries(before?.languages ?? {}).filter(([, variant]) => !gone.includes(variant));
  const languages = { ...Object.fromEntries(kept), ...(spoken === undefined ? {} : { [spoken]: slotKey }) };
  return { slotKey, names: all, list: { kind: 'vary', names: all, variants, languages }, gone };
}

/** Another variant, in the language that a request wants most. */
export function spokenVariant({ names, languages }: VaryList, request: Fields): string | undefined {
  const language = names.includes(LANGUAGE) ? favouriteLanguage(request) : undefined;
  return language === undefined ? undefined : languages[languageKey(language, names, request)];
}

/** The language, for whoever sends the same otherwise. */
const languageKey = (language: string, names: readonly string[], request: Fields): string =>
  variantKey(
    language,
    names.filter((name) => name !== LANGUAGE),
    request,
  );
