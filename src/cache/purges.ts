/**
 * Which purges cover what is stored. Everything stored carries a stamp: the last purge that was known when its fetch
 * began, at every hop that its content came through. What a later purge names is never fresh again, whatever
 * happened in between, because the question is asked at lookup and of the stamp alone. Purging takes constant time;
 * a lookup asks one number, and after a purge once again a few maps and a bounded list of patterns.
 */
import { type Purge, type PurgeKind, purgePattern, type UrlPattern } from '../artifact/purge.ts';
import { urlOfKey } from './key-text.ts';

export interface Stamp {
  /** Key of the store; names space, host, path and query. */
  readonly key: string;
  /** The last purge that was known. */
  readonly sequence: number;
  /** Surrogate keys; null when they are not known yet, and every purge of a key counts. */
  readonly tags: readonly string[] | null;
}

/** Why something stored is not fresh: it is gone, or stale since that moment. */
export type PurgeVerdict = { readonly kind: 'gone' } | { readonly kind: 'stale'; readonly sinceMs: number };

/** Names and patterns kept for one space; beyond, the older half is taken as a purge of everything before it. */
const MOST_NAMES = 20_000;
const MOST_PATTERNS = 200;

export class PurgeTable {
  readonly #spaces = new Map<string, SpacePurges>();
  #latest = 0;

  /** The last purge that is known. Stamps are made of it, and nothing stamped with it is covered by any. */
  get latest(): number {
    return this.#latest;
  }

  /** `upTo`: everything up to this one is known now. */
  add(purges: readonly Purge[], upTo: number): void {
    for (const purge of purges) {
      let space = this.#spaces.get(purge.space);
      if (!space) {
        space = new SpacePurges();
        this.#spaces.set(purge.space, space);
      }
      space.add(purge);
    }
    this.#latest = Math.max(this.#latest, upTo, ...purges.map(({ sequence }) => sequence));
  }

  /** Undefined when nothing covers it. */
  verdict(space: string, stamp: Stamp): PurgeVerdict | undefined {
    if (stamp.sequence >= this.#latest) return undefined;
    const { hard, soft } = this.#spaces.get(space)?.last(stamp) ?? NEVER;
    if (hard > stamp.sequence) return GONE;
    return soft > stamp.sequence ? { kind: 'stale', sinceMs: soft } : undefined;
  }

  /** As purges that would make a table like this one. */
  *all(): Generator<Purge> {
    for (const [space, purges] of this.#spaces)
      for (const [kind, value, mark] of purges.all()) {
        if (mark.hard > 0) yield { sequence: mark.hard, space, kind, value, soft: false };
        if (mark.soft > 0) yield { sequence: mark.soft, space, kind, value, soft: true };
      }
  }

  /** Nothing is stored in it any more, or ever will be. */
  dropSpace(space: string): void {
    this.#spaces.delete(space);
  }
}

/** The last purge of either kind; 0 for none. */
interface Mark {
  readonly hard: number;
  readonly soft: number;
}

const NEVER: Mark = { hard: 0, soft: 0 };
const GONE = { kind: 'gone' } as const;

const later = (a: Mark, b: Mark | undefined): Mark =>
  b ? { hard: Math.max(a.hard, b.hard), soft: Math.max(a.soft, b.soft) } : a;
const adds = (a: Mark, b: Mark): boolean => a.hard > b.hard || a.soft > b.soft;
const newest = ({ hard, soft }: Mark): number => Math.max(hard, soft);

class SpacePurges {
  #all = NEVER;
  #keys = NEVER;
  /** In order of their last purge. */
  readonly #byKey = new Map<string, Mark>();
  readonly #byPath = new Map<string, Mark>();
  readonly #patterns = new Map<string, Pattern>();

  add({ kind, value, sequence, soft }: Purge): void {
    const mark = soft ? { hard: 0, soft: sequence } : { hard: sequence, soft: 0 };
    const pattern = kind === 'path' ? purgePattern(value) : null;
    if (kind === 'key') {
      this.#keys = later(this.#keys, mark);
      this.#put(this.#byKey, value, mark);
    } else if (pattern === null) this.#addAll(mark);
    else if (value.includes('*')) this.#addPattern(value, pattern, mark);
    else this.#put(this.#byPath, nameOf(pattern.host, pattern.path, pattern.query), mark);
  }

  *all(): Generator<[kind: PurgeKind, value: string, mark: Mark]> {
    yield ['all', '', this.#all];
    for (const [value, mark] of this.#byKey) yield ['key', value, mark];
    for (const [name, mark] of this.#byPath) yield ['path', patternOf(name), mark];
    for (const [value, { mark }] of this.#patterns) yield ['path', value, mark];
  }

  last({ key, tags }: Stamp): Mark {
    let mark = this.#all;
    if (tags === null) mark = later(mark, this.#keys);
    else for (const tag of tags) mark = later(mark, this.#byKey.get(tag));
    if (this.#byPath.size + this.#patterns.size === 0) return mark;
    const { host, path, query } = urlOfKey(key);
    for (const asked of [undefined, host]) {
      mark = later(mark, this.#byPath.get(nameOf(asked, path, undefined)));
      mark = later(mark, this.#byPath.get(nameOf(asked, path, query)));
    }
    for (const pattern of this.#patterns.values())
      if (adds(pattern.mark, mark) && pattern.matches(host, path, query)) mark = later(mark, pattern.mark);
    return mark;
  }

  /** What is named besides is covered by it, so far as it was purged before. */
  #addAll(mark: Mark): void {
    this.#all = later(this.#all, mark);
    if (mark.hard === 0) return;
    for (const [name, it] of this.#byKey) if (newest(it) <= mark.hard) this.#byKey.delete(name);
    for (const [name, it] of this.#byPath) if (newest(it) <= mark.hard) this.#byPath.delete(name);
    for (const [name, it] of this.#patterns) if (newest(it.mark) <= mark.hard) this.#patterns.delete(name);
  }

  #addPattern(text: string, { host, path, query }: UrlPattern, mark: Mark): void {
    const both = later(mark, this.#patterns.get(text)?.mark);
    this.#patterns.delete(text);
    this.#patterns.set(text, { matches: matcherOf(nameOf(host, path, query), host, query), mark: both });
    if (this.#patterns.size > MOST_PATTERNS) this.#fold(this.#patterns, ({ mark: it }) => it);
  }

  #put(names: Map<string, Mark>, name: string, mark: Mark): void {
    const both = later(mark, names.get(name));
    names.delete(name);
    names.set(name, both);
    if (names.size > MOST_NAMES) this.#fold(names, (it) => it);
  }

  /** More is purged than was asked for, never less. */
  #fold<Value>(values: Map<string, Value>, markOf: (value: Value) => Mark): void {
    let left = values.size / 2;
    for (const [name, value] of values) {
      if (left-- < 1) return;
      values.delete(name);
      this.#all = later(this.#all, { hard: newest(markOf(value)), soft: 0 });
    }
  }
}

interface Pattern {
  readonly matches: (host: string, path: string, query: string) => boolean;
  readonly mark: Mark;
}

/** A NUL never occurs in a URL. */
const nameOf = (host: string | undefined, path: string, query: string | undefined): string =>
  `${host ?? ''}\0${path}\0${query ?? '\0'}`;

function patternOf(name: string): string {
  const [host, path, ...query] = name.split('\0');
  return `${host === '' ? '' : `https://${host}`}${path}${query.length > 1 ? '' : `?${query[0]}`}`;
}

/** Wildcards only, so that matching cannot be made slow: each `*` is tried from left to right, once. */
function matcherOf(name: string, host: string | undefined, query: string | undefined): Pattern['matches'] {
  const [first = '', ...rest] = name.split('*');
  return (ofHost, ofPath, ofQuery) => {
    const text = nameOf(host === undefined ? undefined : ofHost, ofPath, query === undefined ? undefined : ofQuery);
    if (!text.startsWith(first)) return false;
    const last = rest.at(-1)!;
    let at = first.length;
    for (const part of rest.slice(0, -1)) {
      const found = text.indexOf(part, at);
      if (found < 0) return false;
      at = found + part.length;
    }
    return text.length - last.length >= at && text.endsWith(last);
  };
}
