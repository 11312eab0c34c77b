/**
 * Cache-Control (RFC 9111 section 5.2) and CDN-Cache-Control (RFC 9213) as one value. Strict about what grants
 * freshness, generous about what takes it away: text that the grammar does not allow can only make a response
 * less cacheable. Each line is parsed by itself, so that an open quote cannot hide the directives of the next one.
 */
import { parseDictionary } from 'structured-headers';
import type { Fields } from '../../http/fields.ts';

/** RFC 9111 section 1.2.2: what a number too large to represent is taken as. */
const MAX_DELTA_SECONDS = 2 ** 31;

export interface CacheControl {
  /** The directive occurs, with or without an argument. Names in lower case. */
  has(name: string): boolean;
  /**
   * Argument as whole seconds. Undefined when the directive is absent; 0 when its argument is missing or invalid
   * (RFC 9111 section 4.2.1: consider it stale). Of several, the smallest: the most restrictive one.
   */
  seconds(name: string): number | undefined;
  /**
   * `no-cache` and `private` may be about some fields only: their lower-case names. Null when the directive occurs
   * and is about everything; empty when it is absent.
   */
  fieldNames(name: string): readonly string[] | null;
  /** The directive occurs with something behind `=`, readable or not. */
  hasArgument(name: string): boolean;
}

/** No argument: null. One that cannot be read: undefined. */
type Directive = readonly [name: string, argument: string | null | undefined];

/**
 * What governs a shared cache of this platform: a valid CDN-Cache-Control wins over Cache-Control (RFC 9213), and so
 * does, behind it, the older Surrogate-Control.
 */
export function responseCacheControl(fields: Fields): CacheControl & { readonly targeted: boolean } {
  const targeted = parseTargeted(fields.get('cdn-cache-control')) ?? parseSurrogate(fields.all('surrogate-control'));
  if (targeted) return { ...cacheControlOf(targeted, false), targeted: true };
  return { ...parseCacheControl(fields.all('cache-control')), targeted: false };
}

/** Parses the lines of a Cache-Control field. */
export function parseCacheControl(lines: readonly string[]): CacheControl {
  const directives: Directive[] = [];
  let malformed = false;
  for (const line of lines) malformed = scanLine(line, directives) || malformed;
  return cacheControlOf(directives, malformed);
}

function cacheControlOf(directives: readonly Directive[], malformed: boolean): CacheControl {
  const named = (name: string) => directives.filter(([candidate]) => candidate === name);
  return {
    has: (name) => named(name).length > 0,
    seconds(name) {
      const found = named(name);
      if (found.length === 0) return undefined;
      return malformed ? 0 : Math.min(...found.map(([, argument]) => deltaSeconds(argument)));
    },
    hasArgument: (name) => named(name).some(([, argument]) => argument !== null),
    fieldNames(name) {
      const lists = named(name).map(([, argument]) => fieldList(argument));
      return malformed || lists.includes(null) ? null : lists.flatMap((list) => list!);
    },
  };
}

/** `a` or `"a, b"`; null for anything that is not a list of field names. */
function fieldList(argument: string | null | undefined): readonly string[] | null {
  const names = (argument ?? '').split(',').map((name) => name.trim().toLowerCase());
  return names.every((name) => /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name)) ? names : null;
}

/** `60` or `"60"`; anything else is worth nothing. */
function deltaSeconds(argument: string | null | undefined): number {
  if (argument === null || argument === undefined || !/^\d+$/.test(argument)) return 0;
  return Math.min(Number(argument), MAX_DELTA_SECONDS);
}

const TOKEN = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const SEPARATOR = /[ \t]*(?:,[ \t]*|$)/y;
const TO_NEXT_COMMA = /[^,]*/y;

/** Adds the directives of one line; true when it held something that the grammar does not allow. */
function scanLine(line: string, directives: Directive[]): boolean {
  let at = 0;
  let malformed = false;
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    const match = pattern.exec(line);
    if (match) at = pattern.lastIndex;
    return match;
  };
  take(/[ \t,]*/y);
  while (at < line.length) {
    const name = take(TOKEN)?.[0].toLowerCase();
    const argument = name !== undefined && line[at] === '=' ? takeArgument() : null;
    const clean = name !== undefined && argument !== undefined && take(SEPARATOR);
    if (name !== undefined) directives.push([name, clean ? argument : undefined]);
    // a directive that cannot be read still counts by its name; what follows the next comma is read again
    if (!clean && take(TO_NEXT_COMMA)?.[0].includes('"')) malformed = true;
    take(/[ \t,]*/y);
  }
  return malformed;

  function takeArgument(): string | undefined {
    at++;
    const quoted = take(QUOTED);
    return quoted ? quoted[1]!.replace(/\\(.)/g, '$1') : take(TOKEN)?.[0];
  }
}

/** A Dictionary (RFC 9213 section 2.1). Null when absent, empty or invalid: then it is as if it were not there. */
function parseTargeted(value: string | undefined): Directive[] | null {
  if (value === undefined) return null;
  try {
    const members = [...parseDictionary(value)];
    return members.length === 0 ? null : members.map(([name, [item]]) => [name, targetedArgument(item)]);
  } catch {
    return null;
  }
}

function targetedArgument(item: unknown): string | null | undefined {
  if (item === true) return null;
  if (Number.isInteger(item)) return String(item);
  // a list of field names; seconds are numbers here, never text
  return typeof item === 'string' && !/^\d/.test(item) ? item : undefined;
}

/**
 * As in the Edge Architecture specification: a directive with a target (`;name`) is for another surrogate. One that
 * only speaks of other things than storing governs nothing.
 */
function parseSurrogate(lines: readonly string[]): Directive[] | null {
  const members = lines.flatMap((line) => line.split(',')).filter((member) => !member.includes(';'));
  const directives: Directive[] = [];
  for (const member of members) scanLine(member, directives);
  return directives.some(([name]) => name === 'max-age' || name === 'no-store') ? directives : null;
}
