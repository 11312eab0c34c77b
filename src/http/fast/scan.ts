/**
 * Reads the head of a plain GET or HEAD in one pass over its bytes: every one of them is judged, host, target and the
 * fields that select an answer are hashed on the way, and what was found stays as offsets in the scanner itself, so
 * that a request costs no object and no string. Only ever stricter than llhttp: whatever is not plain is not judged
 * here at all. The heads that it takes have no body and leave the connection open (RFC 9112 sections 3, 5, 6 and 9).
 */
import { CLASS, CR, LF, LOWER, NAME, SPACE, sameLower, TAB, TARGET, VALUE } from './octets.ts';

/** The head is not complete. */
export const MORE = 0;
/** A plain request; the scanner's members describe it. */
export const PLAIN = 1;
/** Somebody else's to judge: it may be malformed, have a body, or ask for something that is not in a table. */
export const ODD = 2;
export type Scanned = typeof MORE | typeof PLAIN | typeof ODD;

export interface ScannerOptions {
  /** Longer heads are somebody else's. */
  readonly headBytes: number;
  /** Longer targets are somebody else's. */
  readonly targetBytes: number;
  /** More lines than this are somebody else's. */
  readonly lines: number;
  /** Lower-case names of fields that no prepared answer has seen: a request that has one is somebody else's. */
  readonly refused: readonly string[];
  /** Secret of the process: who does not know it cannot choose what collides. */
  readonly seed: number;
}

/**
 * Fields whose whole value is part of every key. At most one line each; a second one is somebody else's to join.
 */
export const KEYED = ['accept-encoding', 'if-none-match', 'if-modified-since', 'range', 'if-range'] as const;

/** They say that there is a body, that the connection becomes something else, or that the answer may not be stored. */
const ALWAYS_REFUSED = [
  ...['content-length', 'transfer-encoding', 'upgrade', 'expect', 'proxy-connection', 'http2-settings'],
  ...['if-match', 'if-unmodified-since'],
];

const HOST = 1;
const CONNECTION = 2;
const AGENT = 3;
const REFERER = 4;
const FORWARDED_FOR = 5;
const REFUSED = 6;
/** `FIRST_KEYED + n` is the n-th of `KEYED`. */
const FIRST_KEYED = 8;

const KNOWN: Readonly<Record<string, number>> = {
  host: HOST,
  connection: CONNECTION,
  'user-agent': AGENT,
  referer: REFERER,
  'x-forwarded-for': FORWARDED_FOR,
};

const KEEP_ALIVE = Buffer.from('keep-alive', 'latin1');
const LONGEST_NAME = 40;
/** The shortest head of all: `GET / HTTP/1.1`, an empty line. */
const SHORTEST = 18;
const PRIME = 0x01000193;

export class Scanner {
  /** Position behind the head. */
  next = 0;
  isHead = false;
  targetStart = 0;
  targetEnd = 0;
  hostStart = 0;
  hostEnd = 0;
  agentStart = 0;
  agentEnd = 0;
  refererStart = 0;
  refererEnd = 0;
  forwardedStart = 0;
  forwardedEnd = 0;
  /** Hash of method, target, host and the keyed fields. */
  hash = 0;
  /** Number of lines; of each four offsets stand in `lines`: name from and to, value from and to. */
  count = 0;
  readonly lines: Int32Array;
  /** Start and end of the value of each of `KEYED`; start 0 means that it is absent. */
  readonly keyed = new Int32Array(2 * KEYED.length);
  /** Σ(name + value + 4), as limits and logs count a header section. */
  fieldBytes = 0;
  readonly #options: ScannerOptions;
  readonly #byLength: readonly (readonly { readonly name: Uint8Array; readonly code: number }[])[];
  /** By length: the first letters that a known name of it can have, as bits. */
  readonly #firsts = new Uint32Array(LONGEST_NAME);

  constructor(options: ScannerOptions) {
    this.#options = options;
    this.lines = new Int32Array(4 * options.lines);
    const codes = new Map<string, number>(Object.entries(KNOWN));
    for (const [at, name] of KEYED.entries()) codes.set(name, FIRST_KEYED + at);
    for (const name of [...ALWAYS_REFUSED, ...options.refused]) codes.set(name, REFUSED);
    this.#byLength = Array.from({ length: LONGEST_NAME }, (_, length) =>
      [...codes].filter(([name]) => name.length === length).map(([name, code]) => ({ name: Buffer.from(name), code })),
    );
    for (const name of codes.keys()) this.#firsts[name.length]! |= 1 << (name.charCodeAt(0) - 97);
  }

  /** Names that make a request somebody else's. */
  static refuses(options: Pick<ScannerOptions, 'refused'>): ReadonlySet<string> {
    return new Set([...ALWAYS_REFUSED, ...options.refused]);
  }

  scan(bytes: Uint8Array, from: number, end: number): Scanned {
    if (end - from < SHORTEST) return startsLikeOurs(bytes, from, end) ? MORE : ODD;
    let at = this.#method(bytes, from);
    if (at === 0) return ODD;
    at = this.#target(bytes, at, end);
    if (at <= 0) return at === 0 && end - from <= this.#options.headBytes ? MORE : ODD;
    at = this.#fields(bytes, at, end);
    if (at === 0) return end - from <= this.#options.headBytes ? MORE : ODD;
    if (at < 0 || at - from > this.#options.headBytes || this.hostEnd === this.hostStart) return ODD;
    this.next = at;
    this.#finishHash(bytes);
    return PLAIN;
  }

  /** Position of the target, or 0. */
  #method(bytes: Uint8Array, from: number): number {
    if (bytes[from] === 0x47 && bytes[from + 1] === 0x45 && bytes[from + 2] === 0x54 && bytes[from + 3] === SPACE) {
      this.isHead = false;
      return from + 4;
    }
    this.isHead = true;
    const isHead =
      bytes[from] === 0x48 &&
      bytes[from + 1] === 0x45 &&
      bytes[from + 2] === 0x41 &&
      bytes[from + 3] === 0x44 &&
      bytes[from + 4] === SPACE;
    return isHead ? from + 5 : 0;
  }

  /** Position of the first line; 0: there must come more; -1: odd. */
  #target(bytes: Uint8Array, from: number, end: number): number {
    if (bytes[from] !== 0x2f) return -1;
    let hash = this.#options.seed;
    let at = from;
    while (at < end && (CLASS[bytes[at]!]! & TARGET) !== 0) hash = Math.imul(hash ^ bytes[at++]!, PRIME);
    if (at - from > this.#options.targetBytes) return -1;
    if (at === end) return 0;
    if (bytes[at] !== SPACE) return -1;
    this.hash = hash;
    this.targetStart = from;
    this.targetEnd = at;
    for (let place = 0; place < VERSION.length; place++) {
      if (at + 1 + place === end) return 0;
      if (bytes[at + 1 + place] !== VERSION[place]) return -1;
    }
    return at + 1 + VERSION.length;
  }

  /** Position behind the empty line; 0: there must come more; -1: odd. */
  #fields(bytes: Uint8Array, from: number, end: number): number {
    this.#forget();
    const { lines } = this;
    const most = lines.length;
    let line = 0;
    let sum = 0;
    for (let at = from; ; line += 4) {
      if (at === end) return 0;
      if (bytes[at] === CR) {
        if (at + 1 === end) return 0;
        this.count = line >> 2;
        this.fieldBytes = sum;
        return bytes[at + 1] === LF ? at + 2 : -1;
      }
      if (line === most) return -1;
      const nameStart = at;
      while (at < end && (CLASS[bytes[at]!]! & NAME) !== 0) at++;
      if (at === end) return 0;
      const nameEnd = at;
      if (nameEnd === nameStart || bytes[at] !== COLON) return -1;
      at++;
      while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
      const valueStart = at;
      while (at < end && (CLASS[bytes[at]!]! & VALUE) !== 0) at++;
      if (at === end) return 0;
      if (bytes[at] !== CR) return -1;
      if (at + 1 === end) return 0;
      if (bytes[at + 1] !== LF) return -1;
      let valueEnd = at;
      while (valueEnd > valueStart && (bytes[valueEnd - 1] === SPACE || bytes[valueEnd - 1] === TAB)) valueEnd--;
      at += 2;
      lines[line] = nameStart;
      lines[line + 1] = nameEnd;
      lines[line + 2] = valueStart;
      lines[line + 3] = valueEnd;
      sum += nameEnd - nameStart + valueEnd - valueStart + 4;
      if (!this.#known(bytes, nameStart, nameEnd, valueStart, valueEnd)) return -1;
    }
  }

  #forget(): void {
    this.hostStart = this.hostEnd = 0;
    this.agentStart = this.agentEnd = 0;
    this.refererStart = this.refererEnd = 0;
    this.forwardedStart = this.forwardedEnd = 0;
    this.keyed.fill(0);
  }

  /** Notes a field that is looked at; false when it makes the request somebody else's. */
  #known(bytes: Uint8Array, nameStart: number, nameEnd: number, valueStart: number, valueEnd: number): boolean {
    const length = nameEnd - nameStart;
    if (length >= LONGEST_NAME || (this.#firsts[length]! & (1 << (LOWER[bytes[nameStart]!]! - 97))) === 0) return true;
    switch (this.#codeOf(bytes, nameStart, nameEnd)) {
      case 0:
        return true;
      case HOST:
        if (this.hostStart !== 0) return false;
        this.hostStart = valueStart;
        this.hostEnd = valueEnd;
        return true;
      case CONNECTION:
        return sameLower(bytes, valueStart, valueEnd, KEEP_ALIVE);
      case AGENT:
        if (this.agentStart !== 0) return false;
        this.agentStart = valueStart;
        this.agentEnd = valueEnd;
        return true;
      case REFERER:
        if (this.refererStart !== 0) return false;
        this.refererStart = valueStart;
        this.refererEnd = valueEnd;
        return true;
      case FORWARDED_FOR:
        if (this.forwardedStart !== 0) return false;
        this.forwardedStart = valueStart;
        this.forwardedEnd = valueEnd;
        return true;
      case REFUSED:
        return false;
      default:
        return this.#key(this.#codeOf(bytes, nameStart, nameEnd) - FIRST_KEYED, valueStart, valueEnd);
    }
  }

  #key(at: number, valueStart: number, valueEnd: number): boolean {
    if (this.keyed[2 * at] !== 0) return false;
    this.keyed[2 * at] = valueStart;
    this.keyed[2 * at + 1] = valueEnd;
    return true;
  }

  #codeOf(bytes: Uint8Array, from: number, to: number): number {
    const names = this.#byLength[to - from]!;
    for (let at = 0; at < names.length; at++) if (sameLower(bytes, from, to, names[at]!.name)) return names[at]!.code;
    return 0;
  }

  #finishHash(bytes: Uint8Array): void {
    let hash = Math.imul(this.hash ^ (this.isHead ? 1 : 2), PRIME);
    for (let at = this.hostStart; at < this.hostEnd; at++) hash = Math.imul(hash ^ LOWER[bytes[at]!]!, PRIME);
    const { keyed } = this;
    for (let field = 0; field < keyed.length; field += 2) {
      if (keyed[field] === 0) continue;
      hash = Math.imul(hash ^ (0x100 + field), PRIME);
      for (let at = keyed[field]!; at < keyed[field + 1]!; at++) hash = Math.imul(hash ^ bytes[at]!, PRIME);
    }
    this.hash = hash ^ (hash >>> 15);
  }
}

const VERSION = Buffer.from('HTTP/1.1\r\n', 'latin1');
const COLON = 0x3a;

/** Too short to be a whole head: worth waiting for more unless it cannot become one. */
function startsLikeOurs(bytes: Uint8Array, from: number, end: number): boolean {
  const method = bytes[from] === HEAD[0] ? HEAD : GET;
  for (let at = from; at < end; at++) {
    const octet = bytes[at]!;
    if (at - from < method.length ? octet !== method[at - from] : octet !== SPACE && (CLASS[octet]! & TARGET) === 0)
      return false;
  }
  return true;
}
const GET = Buffer.from('GET /', 'latin1');
const HEAD = Buffer.from('HEAD /', 'latin1');
