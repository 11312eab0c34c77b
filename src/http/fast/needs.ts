/**
 * What else of a request an answer depends on, beyond target, host and the fields that every key has: single header
 * fields, single cookies, what is known of the user agent. A need is projected to bytes such that two requests with
 * the same bytes cannot be told apart by whoever looked at no more than that.
 */
import { SPACE, sameLower, TAB } from './octets.ts';
import type { Scanner } from './scan.ts';

export type Need =
  /** All lines of a field. Lower case. */
  | { readonly kind: 'field'; readonly name: string }
  /** All cookies of a name. */
  | { readonly kind: 'cookie'; readonly name: string }
  /** The traits of the user agent. */
  | { readonly kind: 'agent' };

/** Tells needs of one list apart. */
export const needId = (need: Need): string => ('name' in need ? `${need.kind}:${need.name}` : need.kind);

/** More needs than this make an answer unfit for a table. */
export const MOST_NEEDS = 8;

/** A list of needs, made ready to be applied to scanned heads. Every list has a number of its own. */
export class Needs {
  readonly list: readonly Need[];
  readonly #names: readonly Uint8Array[];
  readonly #serial = ++serials;

  constructor(list: readonly Need[]) {
    this.list = list;
    this.#names = list.map((need) => Buffer.from('name' in need ? need.name : '', 'latin1'));
  }

  covers(needs: readonly Need[]): boolean {
    return needs.every((need) => this.list.some((known) => needId(known) === needId(need)));
  }

  /** Writes the projection of a scanned head; returns its end, or -1 when there is no room for it. */
  project(bytes: Uint8Array, head: Scanner, traits: Uint8Array, into: Uint8Array): number {
    let at = 0;
    for (let rest = this.#serial; rest > 0; rest = Math.floor(rest / 256)) into[at++] = rest & 255;
    for (let place = 0; place < this.list.length && at >= 0; place++) {
      const { kind } = this.list[place]!;
      into[at++] = 0;
      if (kind === 'field') at = putField(bytes, head, this.#names[place]!, into, at);
      else if (kind === 'cookie') at = putCookies(bytes, head, this.#names[place]!, into, at);
      else at = put(traits, 0, traits.length, into, at);
      if (at + 2 >= into.length) return -1;
    }
    return at;
  }
}

let serials = 0;
const COOKIE = Buffer.from('cookie', 'latin1');
const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
/** Also white space to JavaScript's `trim`. */
const NO_BREAK_SPACE = 0xa0;

/** Each line behind a mark of its own, so that an empty line is not an absent one. -1: no room. */
function putField(bytes: Uint8Array, { lines, count }: Scanner, name: Uint8Array, into: Uint8Array, start: number) {
  let at = start;
  for (let line = 0; line < 4 * count && at >= 0; line += 4) {
    if (!sameLower(bytes, lines[line]!, lines[line + 1]!, name)) continue;
    at = put(bytes, lines[line + 2]!, lines[line + 3]!, into, at);
  }
  return at;
}

function putCookies(bytes: Uint8Array, { lines, count }: Scanner, name: Uint8Array, into: Uint8Array, start: number) {
  let at = start;
  for (let line = 0; line < 4 * count; line += 4) {
    if (!sameLower(bytes, lines[line]!, lines[line + 1]!, COOKIE)) continue;
    const end = lines[line + 3]!;
    for (let from = lines[line + 2]!; from <= end && at >= 0; ) {
      let to = from;
      while (to < end && bytes[to] !== SEMICOLON) to++;
      if (isNamed(bytes, from, to, name)) at = put(bytes, from, to, into, at);
      from = to + 1;
    }
  }
  return at;
}

/** Whether the pair in `bytes[from, to)` has the name, as readers see it that trim both. */
function isNamed(bytes: Uint8Array, from: number, to: number, name: Uint8Array): boolean {
  let start = from;
  while (start < to && isBlank(bytes[start]!)) start++;
  let end = start;
  while (end < to && bytes[end] !== EQUALS) end++;
  while (end > start && isBlank(bytes[end - 1]!)) end--;
  if (end - start !== name.length) return false;
  for (let at = 0; at < name.length; at++) if (bytes[start + at] !== name[at]) return false;
  return true;
}

const isBlank = (octet: number): boolean => octet === SPACE || octet === TAB || octet === NO_BREAK_SPACE;

function put(bytes: Uint8Array, from: number, to: number, into: Uint8Array, start: number): number {
  if (start + to - from + 2 > into.length) return -1;
  let at = start;
  into[at++] = 1;
  for (let place = from; place < to; place++) into[at++] = bytes[place]!;
  return at;
}
