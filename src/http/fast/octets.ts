/** Classes of octets in a request head (RFC 9112 sections 2 to 5), as narrow as llhttp or narrower, and how they are written. */

export const TAB = 9;
export const LF = 10;
export const CR = 13;
export const SPACE = 32;

/** May stand in a field name (token, RFC 9110 section 5.6.2). */
export const NAME = 1;
/** May stand in a field value: horizontal tab, visible ASCII, space, and what is beyond ASCII. */
export const VALUE = 2;
/** May stand in a request target: visible ASCII but for `#`, which no client may send. */
export const TARGET = 4;

export const CLASS: Uint8Array = classes();
/** ASCII letters in lower case, every other octet as it is. */
export const LOWER: Uint8Array = Uint8Array.from({ length: 256 }, (_, at) => (at >= 65 && at <= 90 ? at + 32 : at));

function classes(): Uint8Array {
  const table = new Uint8Array(256);
  for (const mark of "!#$%&'*+-.^_`|~") table[mark.charCodeAt(0)]! |= NAME;
  for (let octet = 0; octet < 256; octet++) {
    const character = String.fromCharCode(octet);
    if (/[0-9A-Za-z]/.test(character)) table[octet]! |= NAME;
    if (octet === TAB || (octet >= SPACE && octet !== 127)) table[octet]! |= VALUE;
    if (octet > SPACE && octet < 127 && character !== '#') table[octet]! |= TARGET;
  }
  return table;
}

/** Whether `bytes[from, to)` is the text, upper and lower case of `bytes` taken as one. `text` is in lower case. */
export function sameLower(bytes: Uint8Array, from: number, to: number, text: Uint8Array): boolean {
  if (to - from !== text.length) return false;
  for (let at = 0; at < text.length; at++) if (LOWER[bytes[from + at]!] !== text[at]) return false;
  return true;
}

/** Decimal digits of a whole number that is not negative; returns the position behind them. */
export function putNumber(into: Uint8Array, at: number, value: number): number {
  if (value < 10) {
    into[at] = 48 + value;
    return at + 1;
  }
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  for (let place = at + digits - 1, rest = value; place >= at; place--, rest = Math.floor(rest / 10)) {
    into[place] = 48 + (rest % 10);
  }
  return at + digits;
}

const HEX = Buffer.from('0123456789abcdef', 'latin1');

/**
 * A field value inside a JSON string: quotes, backslashes and tabs escaped, Latin-1 as UTF-8. Other control characters
 * cannot stand in a value. Takes at most twice its length.
 */
export function putJson(into: Uint8Array, start: number, bytes: Uint8Array, from: number, to: number): number {
  let at = start;
  for (let place = from; place < to; place++) {
    const octet = bytes[place]!;
    if (octet >= 0x80) {
      into[at++] = 0xc0 | (octet >> 6);
      into[at++] = 0x80 | (octet & 0x3f);
    } else if (octet === 0x22 || octet === 0x5c || octet === TAB) {
      into[at++] = 0x5c;
      into[at++] = octet === TAB ? 0x74 : octet;
    } else into[at++] = octet;
  }
  return at;
}

/** A UUID of version 7 (RFC 9562 section 5.7), 36 characters: milliseconds since the epoch and ten random octets. */
export function putUuid(into: Uint8Array, start: number, timeMs: number, random: Uint8Array, from: number): void {
  const high = Math.floor(timeMs / 0x10000);
  let at = start;
  for (let octet = 0; octet < 16; octet++) {
    if (octet === 4 || octet === 6 || octet === 8 || octet === 10) into[at++] = 0x2d;
    let value = octet < 4 ? (high >>> (24 - 8 * octet)) & 255 : random[from + octet]!;
    if (octet === 4) value = Math.floor(timeMs / 256) & 255;
    else if (octet === 5) value = timeMs % 256;
    else if (octet === 6) value = (value & 0x0f) | 0x70;
    else if (octet === 8) value = (value & 0x3f) | 0x80;
    into[at++] = HEX[value >> 4]!;
    into[at++] = HEX[value & 15]!;
  }
}
