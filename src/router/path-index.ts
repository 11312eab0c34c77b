/**
 * Finds the routes whose path pattern can match, out of many, in time that depends on the path and not on how many
 * routes there are. It answers with a superset in declaration order; the pattern itself decides. Patterns without
 * parameters sit in a map; the others in a trie of segments, branching on literal text, on the literal start of a
 * segment (`/men:suffix`), and on "any segment".
 */
import type { Token } from 'path-to-regexp';
import type { CompiledPath } from './path.ts';

interface Node {
  readonly literal: Map<string, Node>;
  any: Node | null;
  /** By length of the literal start, then by its text. */
  readonly starts: Map<number, Map<string, Node>>;
  /** Patterns that end here. */
  readonly ends: number[];
  /** Patterns whose rest only their expression knows. */
  readonly open: number[];
}

const node = (): Node => ({ literal: new Map(), any: null, starts: new Map(), ends: [], open: [] });

export class PathIndex {
  readonly #exact = new Map<string, number[]>();
  readonly #root = node();
  /** Routes without a path pattern: always candidates. */
  readonly #always: number[] = [];

  /** `position` must grow from call to call. */
  add(position: number, path: CompiledPath | null): void {
    if (path === null) this.#always.push(position);
    else if (path.literal !== null) getOrInsert(this.#exact, path.literal, () => []).push(position);
    else insert(this.#root, path.tokens, position);
  }

  /** Positions of routes that may match a canonical path, ascending. */
  candidates(canonical: string): number[] {
    const path = canonical.toLowerCase();
    const found = [...this.#always, ...(this.#exact.get(path) ?? [])];
    if (path.endsWith('/')) found.push(...(this.#exact.get(path.slice(0, -1)) ?? []));
    collect(this.#root, path.split('/'), 1, found);
    return found.length > 1 ? found.sort((a, b) => a - b) : found;
  }
}

function insert(root: Node, tokens: readonly Token[], position: number): void {
  let at = root;
  for (const segment of segmentsOf(tokens)) {
    if (segment.kind === 'literal') at = child(at.literal, segment.text);
    else if (segment.kind === 'any') at = at.any ??= node();
    else {
      if (segment.text !== '') at = child(starts(at, segment.text.length), segment.text);
      at.open.push(position);
      return;
    }
  }
  at.ends.push(position);
}

const child = (map: Map<string, Node>, key: string): Node => getOrInsert(map, key, node);
const starts = (at: Node, length: number): Map<string, Node> => getOrInsert(at.starts, length, () => new Map());

function getOrInsert<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

type Segment =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'any' }
  /** Starts with the text; the rest is not known here. Always the last. */
  | { readonly kind: 'open'; readonly text: string };

/** What can be said about a pattern segment by segment, until something is met that only its expression knows. */
function segmentsOf(tokens: readonly Token[]): Segment[] {
  const segments: Segment[] = [];
  /** Text of the segment that is being read; null before the first slash and after a parameter. */
  let text: string | null = null;
  for (const [at, token] of tokens.entries()) {
    if (typeof token === 'string') {
      const [first, ...rest] = token.toLowerCase().split('/');
      if (text !== null) text += first;
      else if (first !== '') return [...segments, { kind: 'open', text: '' }];
      for (const piece of rest) {
        if (text !== null) segments.push({ kind: 'literal', text });
        text = piece;
      }
      continue;
    }
    const whole = token.prefix === '/' && token.suffix === '' && token.modifier === '' && isPlain(token.pattern);
    const next = tokens[at + 1];
    const bordered = next === undefined || (typeof next === 'string' ? next : next.prefix).startsWith('/');
    if (!whole || !bordered) return [...segments, ...openAt(text, token)];
    if (text !== null) segments.push({ kind: 'literal', text });
    segments.push({ kind: 'any' });
    text = null;
  }
  if (text !== null) segments.push({ kind: 'literal', text });
  return segments;
}

const isPlain = (pattern: string): boolean => pattern === '[^\\/#\\?]+?';

/** An optional or repeated part may be absent or start with a slash, so only text that surely stands there counts. */
function openAt(text: string | null, token: Exclude<Token, string>): Segment[] {
  const optional = token.modifier === '?' || token.modifier === '*';
  const prefix = token.prefix.toLowerCase();
  if (!prefix.includes('/')) return [{ kind: 'open', text: (text ?? '') + (optional || text === null ? '' : prefix) }];
  if (optional) return [{ kind: 'open', text: text ?? '' }];
  const before: Segment[] =
    text === null ? [] : [{ kind: 'literal', text: text + prefix.slice(0, prefix.indexOf('/')) }];
  return [...before, { kind: 'open', text: '' }];
}

/** `segments[from]` is the first one below the node; the path's leading slash gives an empty `segments[0]`. */
function collect(at: Node, segments: readonly string[], from: number, found: number[]): void {
  if (at.open.length > 0) found.push(...at.open);
  const left = segments.length - from;
  if (at.ends.length > 0 && (left <= 0 || (left === 1 && segments[from] === ''))) found.push(...at.ends);
  if (left <= 0) return;
  const segment = segments[from]!;
  const literal = at.literal.get(segment);
  if (literal) collect(literal, segments, from + 1, found);
  if (at.any && segment !== '') collect(at.any, segments, from + 1, found);
  for (const [length, group] of at.starts) {
    const start = segment.length >= length ? group.get(segment.slice(0, length)) : undefined;
    if (start) found.push(...start.open);
  }
}
