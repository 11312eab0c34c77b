/**
 * Path patterns: path-to-regexp 6 with its defaults (no case, optional trailing slash, whole path), compared in a
 * canonical spelling so that `/%61dmin` is `/admin` and a file called `[id].js` is found however it was escaped
 * (RFC 3986 section 6.2.2). Source: spec "Routing", section 4.
 */
import { type Key, parse, type Token, tokensToRegexp } from 'path-to-regexp';
import type { PatternEngine } from './pattern.ts';

export type Params = Record<string, string | string[]>;

/** A pattern that cannot be used; the message says why, `remedy` what to write instead. A mistake in the project. */
export class PathMatcherError extends Error {
  readonly remedy: string;
  constructor(message: string, remedy: string) {
    super(message);
    this.name = 'PathMatcherError';
    this.remedy = remedy;
  }
}

export interface CompiledPath {
  readonly tokens: readonly Token[];
  /** Parameter names in order; unnamed groups count from `0`. */
  readonly names: readonly string[];
  /** Lower-case text when the pattern has no parameters. */
  readonly literal: string | null;
  /** Parameters as they stand in the path, not decoded; null when it does not match. Takes a canonical path. */
  match(canonical: string): Params | null;
}

/** Throws `PathMatcherError`, or what `engine` throws for an expression inside the pattern. */
export function compilePath(pattern: string, engine: PatternEngine): CompiledPath {
  const tokens = parsePattern(pattern);
  const keys: Key[] = [];
  const regexp = build(pattern, tokens, keys);
  const plain = keys.length === 0 && tokens.every((token) => typeof token === 'string');
  const custom = tokens.some((token) => typeof token === 'object' && !token.pattern.startsWith(SEGMENT));
  if (custom) engine(regexp.source, regexp.flags);
  const exec = isProvablyLinear(tokens)
    ? (text: string) => regexp.exec(text)
    : engine(regexp.source, regexp.flags).exec;
  return {
    tokens,
    names: keys.map(({ name }) => String(name)),
    literal: plain ? tokens.join('').toLowerCase() : null,
    match(canonical) {
      const groups = exec(canonical);
      return groups && paramsOf(keys, groups);
    },
  };
}

const SEGMENT = '[^\\/#\\?';

/** Tokens with literals in canonical spelling. A pattern without leading slash gets one. */
function parsePattern(pattern: string): Token[] {
  const rooted = /^[/{(]/.test(pattern) ? pattern : `/${pattern}`;
  return guarded(pattern, () => parse(rooted)).map((token) =>
    typeof token === 'string'
      ? canonicalLiteral(token)
      : {
          ...token,
          prefix: canonicalLiteral(token.prefix),
          suffix: canonicalLiteral(token.suffix),
          pattern: withoutLookahead(token.pattern),
        },
  );
}

function build(pattern: string, tokens: Token[], keys: Key[]): RegExp {
  const splat = tokens.find(
    (token, at): token is Key =>
      typeof token === 'object' && /[*+]/.test(token.modifier) && token.prefix + token.suffix === '' && at > 0,
  );
  if (splat)
    throw new PathMatcherError(
      `in the path pattern '${pattern}' the splat ':${splat.name}${splat.modifier}' does not start at a segment border`,
      `take the start of the segment as a parameter of its own, for example ':suffix/:${splat.name}${splat.modifier}'`,
    );
  return guarded(pattern, () => tokensToRegexp(tokens, keys));
}

function guarded<T>(pattern: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw new PathMatcherError(
      `the path pattern '${pattern}' cannot be used: ${(error as Error).message}`,
      "write parameters as ':name', ':name*' or ':name(expression)', and put a backslash before + * ? : ( ) { } that are meant as such",
    );
  }
}

/**
 * The library guards a parameter that follows text by a look-ahead for that text. For one character a class says
 * the same; for longer text the guard only prevented slowness, which the linear engine cannot have.
 */
function withoutLookahead(pattern: string): string {
  const guard = /^\(\?:\(\?!(.+)\)\[\^\\\/#\\\?\]\)\+\?$/.exec(pattern)?.[1];
  if (guard === undefined) return pattern;
  const text = guard.replace(/\\(.)/g, '$1');
  return text.length === 1 ? `${SEGMENT}\\${text}]+?` : `${SEGMENT}]+?`;
}

/**
 * True when the native engine needs linear time: parameters inside one segment, at most one optional or repeated
 * part, expressions without groups and with at most one open-ended repetition in all.
 */
function isProvablyLinear(tokens: readonly Token[]): boolean {
  let repeated = 0;
  let openEnded = 0;
  for (const [at, token] of tokens.entries()) {
    if (typeof token === 'string') continue;
    if (token.modifier !== '') repeated++;
    if (token.pattern === '') continue;
    if (token.pattern.startsWith(SEGMENT)) {
      const text = token.prefix || (typeof tokens[at - 1] === 'string' ? (tokens[at - 1] as string) : '');
      if (text.length > 1 && !text.includes('/')) return false;
    } else {
      if (/[(){]/.test(token.pattern)) return false;
      openEnded += token.pattern.match(/[*+]/g)?.length ?? 0;
    }
  }
  return openEnded === 0 ? repeated <= 1 : openEnded + repeated === 1;
}

function paramsOf(keys: readonly Key[], groups: readonly (string | undefined)[]): Params {
  const params: Params = {};
  for (const [at, key] of keys.entries()) {
    const value = groups[at + 1];
    if (value === undefined || value === null) continue;
    params[key.name] = /[*+]/.test(key.modifier) ? value.split(key.prefix + key.suffix) : value;
  }
  return params;
}

/** A request's path (bytes as Latin-1) in the spelling that patterns are compared with. */
export function canonicalPath(path: string): string {
  return /[%]|[^\x21-\x7e]/.test(path)
    ? path.replace(/%[0-9a-f]{2}|[^\x21-\x7e]/gi, (piece) =>
        piece.length > 1 ? triplet(piece) : escaped(piece, 'latin1'),
      )
    : path;
}

function canonicalLiteral(text: string): string {
  return text.replace(/%[0-9a-f]{2}|%|[^\x21-\x7e]+/gi, (piece) =>
    /^%../.test(piece) ? triplet(piece) : escaped(piece, 'utf8'),
  );
}

/** Printable characters are compared as themselves; what would change the meaning of the path stays escaped. */
function triplet(piece: string): string {
  const byte = Number.parseInt(piece.slice(1), 16);
  const character = String.fromCharCode(byte);
  return byte > 0x20 && byte < 0x7f && !'/%?#\\'.includes(character) ? character : piece.toUpperCase();
}

function escaped(text: string, encoding: 'latin1' | 'utf8'): string {
  const bytes = Buffer.from(text, encoding === 'latin1' && text <= '\xff' ? 'latin1' : 'utf8');
  return [...bytes].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
}

/** One character in percent-encoded UTF-8. */
const ENCODED =
  /%[0-7][\da-f]|%[cd][\da-f]%[89ab][\da-f]|%e[\da-f](?:%[89ab][\da-f]){2}|%f[0-7](?:%[89ab][\da-f]){3}/gi;

/** Percent-decoding as projects expect it: malformed escapes stay as they are. */
export function decodeText(text: string): string {
  if (!text.includes('%')) return text;
  return decodedOr(text, () => text.replace(ENCODED, (piece) => decodedOr(piece, () => piece)));
}

function decodedOr(text: string, otherwise: () => string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return otherwise();
  }
}

export function decodeParams(params: Params): Params {
  const decoded: Params = {};
  for (const [name, value] of Object.entries(params))
    decoded[name] = typeof value === 'string' ? decodeText(value) : value.map(decodeText);
  return decoded;
}

/** The text as a literal of a pattern, for paths that are names of files. */
export const escapePattern = (text: string): string => text.replace(/[\\{}()*+?:]/g, '\\$&');
