/**
 * Prepared answers by request: an open-addressing table of hashes that is probed in a short window only, so that no
 * choice of targets makes a look-up long, and bounded in bytes and entries. What was not used since the last time
 * goes first. A key is method, target, host, the keyed fields, and the projection of what else was needed.
 */
import { type Answer, type AnswerParts, answerBytes, ENTRY_OVERHEAD_BYTES, type Entry, prepare } from './answer.ts';
import { MOST_NEEDS, type Need, Needs, needId } from './needs.ts';
import { LF, LOWER } from './octets.ts';
import { KEYED, PLAIN, type Scanner } from './scan.ts';

export interface TableOptions {
  /** Heads, log lines and keys together; bodies are the store's. */
  readonly maxBytes: number;
  readonly maxEntries: number;
}

/** A request as whoever answers it has seen it. */
export interface Seen {
  readonly method: 'GET' | 'HEAD';
  /** As received, one character per byte. */
  readonly target: string;
  /** Flat lines as received. */
  readonly raw: readonly string[];
  /** Of its user agent, as the connection's client knows them. */
  readonly traits: Uint8Array;
}

/** Slots that a hash may stand in. */
const WINDOW = 8;
const LONGEST_PROJECTION = 4_096;
const PRIME = 0x01000193;

export class AnswerTable {
  readonly #maxBytes: number;
  readonly #maxEntries: number;
  readonly #mask: number;
  readonly #hashes: Int32Array;
  readonly #slots: (Entry | null)[];
  readonly #projection = new Uint8Array(LONGEST_PROJECTION);
  #entries = 0;
  #bytes = 0;
  #hand = 0;

  constructor({ maxBytes, maxEntries }: TableOptions) {
    const slots = 2 ** Math.ceil(Math.log2(Math.max(WINDOW, 2 * maxEntries)));
    this.#maxBytes = maxBytes;
    this.#maxEntries = maxEntries;
    this.#mask = slots - 1;
    this.#hashes = new Int32Array(slots);
    this.#slots = new Array<Entry | null>(slots).fill(null);
  }

  get stats(): { readonly entries: number; readonly bytes: number } {
    return { entries: this.#entries, bytes: this.#bytes };
  }

  /** The answer to a scanned request that may be given at this moment, or null. */
  find(bytes: Uint8Array, head: Scanner, traits: Uint8Array, nowMs: number): Answer | null {
    let at = this.#locate(bytes, head, head.hash, 0);
    if (at < 0) return null;
    let entry = this.#slots[at]!;
    if (entry.needs !== null) {
      entry.used = true;
      const length = entry.needs.project(bytes, head, traits, this.#projection);
      if (length < 0) return null;
      at = this.#locate(bytes, head, this.#projectedHash(head.hash, length), length);
      if (at < 0) return null;
      entry = this.#slots[at]!;
    }
    const answer = entry.answer!;
    if (head.count > answer.mostLines) return null;
    const { held, stored } = answer.lifetime;
    if (!held.alive || nowMs >= stored.freshUntilMs || nowMs < stored.madeAtMs) {
      this.#remove(at);
      return null;
    }
    entry.used = true;
    held.used = true;
    return answer;
  }

  /** Whether a request would be answered already; what `put` would replace. */
  knows(seen: Seen, scanner: Scanner, nowMs: number): boolean {
    const bytes = scanned(seen, scanner);
    return bytes !== null && this.find(bytes, scanner, seen.traits, nowMs) !== null;
  }

  /** Keeps an answer for requests like this one. False when it cannot: the request is not plain, or too much is needed. */
  put(seen: Seen, scanner: Scanner, needs: readonly Need[], parts: AnswerParts): boolean {
    const bytes = scanned(seen, scanner);
    if (bytes === null) return false;
    const { hash } = scanner;
    const fork = this.#fork(bytes, scanner, needs);
    if (fork === 'too much') return false;
    const length = fork === null ? 0 : fork.project(bytes, scanner, seen.traits, this.#projection);
    if (length < 0) return false;
    const answer = prepare(parts);
    const placeHash = fork === null ? hash : this.#projectedHash(hash, length);
    return this.#insert(bytes, scanner, placeHash, length, { needs: null, answer });
  }

  clear(): void {
    this.#slots.fill(null);
    this.#entries = 0;
    this.#bytes = 0;
  }

  /** What is known to be needed under this key; a list that only grows while it is kept. */
  #fork(bytes: Uint8Array, head: Scanner, needs: readonly Need[]): Needs | null | 'too much' {
    const at = this.#locate(bytes, head, head.hash, 0);
    const known = at < 0 ? null : this.#slots[at]!.needs;
    if (known?.covers(needs)) return known;
    const list = [...new Map([...(known?.list ?? []), ...needs].map((need) => [needId(need), need])).values()];
    if (list.length === 0) return null;
    if (list.length > MOST_NEEDS) return 'too much';
    const grown = new Needs(list);
    return this.#insert(bytes, head, head.hash, 0, { needs: grown, answer: null }) ? grown : 'too much';
  }

  #projectedHash(start: number, length: number): number {
    let hash = start;
    for (let at = 0; at < length; at++) hash = Math.imul(hash ^ this.#projection[at]!, PRIME);
    return hash ^ (hash >>> 13);
  }

  #locate(bytes: Uint8Array, head: Scanner, hash: number, projected: number): number {
    for (let probe = 0; probe < WINDOW; probe++) {
      const at = (hash + probe) & this.#mask;
      if (this.#hashes[at] !== hash) continue;
      const entry = this.#slots[at];
      if (entry && this.#isFor(entry.key, bytes, head, projected)) return at;
    }
    return -1;
  }

  /** Compares byte by byte: a hash proves nothing. */
  #isFor(key: Uint8Array, bytes: Uint8Array, head: Scanner, projected: number): boolean {
    if (key[0] !== Number(head.isHead)) return false;
    let at = 1;
    for (let place = head.targetStart; place < head.targetEnd; place++) if (key[at++] !== bytes[place]) return false;
    if (key[at++] !== LF) return false;
    for (let place = head.hostStart; place < head.hostEnd; place++)
      if (key[at++] !== LOWER[bytes[place]!]) return false;
    if (key[at++] !== LF) return false;
    const { keyed } = head;
    for (let field = 0; field < keyed.length; field += 2) {
      if (keyed[field] !== 0) {
        if (key[at++] !== 1) return false;
        for (let place = keyed[field]!; place < keyed[field + 1]!; place++)
          if (key[at++] !== bytes[place]) return false;
      }
      if (key[at++] !== LF) return false;
    }
    for (let place = 0; place < projected; place++) if (key[at++] !== this.#projection[place]) return false;
    return at === key.length;
  }

  #keyOf(bytes: Uint8Array, head: Scanner, projected: number): Uint8Array {
    const key: number[] = [Number(head.isHead)];
    for (let place = head.targetStart; place < head.targetEnd; place++) key.push(bytes[place]!);
    key.push(LF);
    for (let place = head.hostStart; place < head.hostEnd; place++) key.push(LOWER[bytes[place]!]!);
    key.push(LF);
    for (let field = 0; field < head.keyed.length; field += 2) {
      if (head.keyed[field] !== 0) key.push(1, ...bytes.subarray(head.keyed[field]!, head.keyed[field + 1]!));
      key.push(LF);
    }
    key.push(...this.#projection.subarray(0, projected));
    return Uint8Array.from(key);
  }

  #insert(
    bytes: Uint8Array,
    head: Scanner,
    hash: number,
    projected: number,
    what: Pick<Entry, 'needs' | 'answer'>,
  ): boolean {
    const key = this.#keyOf(bytes, head, projected);
    const size = key.length + ENTRY_OVERHEAD_BYTES + (what.answer === null ? 0 : answerBytes(what.answer));
    if (size > this.#maxBytes) return false;
    const same = this.#locate(bytes, head, hash, projected);
    if (same >= 0) this.#remove(same);
    while (this.#bytes + size > this.#maxBytes || this.#entries >= this.#maxEntries) this.#makeRoom();
    const at = this.#placeFor(hash);
    this.#hashes[at] = hash;
    this.#slots[at] = { hash, key, bytes: size, used: false, ...what };
    this.#bytes += size;
    this.#entries++;
    return true;
  }

  /** A free slot of the window; in a full one whoever was not used goes, or the first. */
  #placeFor(hash: number): number {
    let victim = hash & this.#mask;
    for (let probe = WINDOW - 1; probe >= 0; probe--) {
      const at = (hash + probe) & this.#mask;
      const entry = this.#slots[at];
      if (!entry) return at;
      if (!entry.used) victim = at;
    }
    this.#remove(victim);
    return victim;
  }

  /** A hand walks over the slots and spares once what was used since it last came by. */
  #makeRoom(): void {
    for (;;) {
      const at = this.#hand;
      this.#hand = (at + 1) & this.#mask;
      const entry = this.#slots[at];
      if (!entry) continue;
      if (!entry.used) {
        this.#remove(at);
        return;
      }
      entry.used = false;
    }
  }

  #remove(at: number): void {
    this.#bytes -= this.#slots[at]!.bytes;
    this.#entries--;
    this.#slots[at] = null;
  }
}

/** The request written down again and scanned, so that keys are made in one place only. */
function scanned({ method, target, raw }: Seen, scanner: Scanner): Uint8Array | null {
  let text = `${method} ${target} HTTP/1.1\r\n`;
  for (let at = 0; at < raw.length; at += 2) text += `${raw[at]}: ${raw[at + 1]}\r\n`;
  const bytes = Buffer.from(`${text}\r\n`, 'latin1');
  return scanner.scan(bytes, 0, bytes.length) === PLAIN ? bytes : null;
}

/** Fields that are part of every key: an answer may depend on them without saying so. */
export const KEYED_FIELDS: ReadonlySet<string> = new Set(KEYED);
