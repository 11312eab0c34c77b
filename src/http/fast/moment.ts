/**
 * What fills the holes of a prepared answer: one request at one moment. There is one of these for each listener, set
 * anew for each request, and nothing of it outlives the request.
 */
import { randomFillSync } from 'node:crypto';
import { FIRST_TRAIT, HOLES, type Template } from './answer.ts';
import type { Client } from './client.ts';
import { putJson, putNumber, putUuid } from './octets.ts';
import type { Scanner } from './scan.ts';

const ID_LENGTH = 36;
const RANDOM_BYTES = 16 * 512;

const [ID, AGE, TTL, ELAPSED, TIME, ADDRESS, AGENT, REFERER, FORWARDED_FOR, REQUEST_BYTES, SENT_BYTES, DONE] =
  HOLES.keys();

export class Moment {
  readonly head: Scanner;
  bytes: Uint8Array = new Uint8Array(0);
  client: Client | null = null;
  ageSeconds = 0;
  ttlSeconds = 0;
  elapsedMs = 0;
  timeMs = 0;
  sentBytes = 0;
  /** Where the line that was written last says how much was sent, and whether all of it. */
  sentFrom = 0;
  sentTo = 0;
  doneAt = 0;
  readonly #id = new Uint8Array(ID_LENGTH);
  readonly #random = Buffer.allocUnsafeSlow(RANDOM_BYTES);
  #randomAt = RANDOM_BYTES;

  constructor(head: Scanner) {
    this.head = head;
  }

  /** A request id that nobody can guess. */
  newId(): void {
    if (this.#randomAt === RANDOM_BYTES) {
      randomFillSync(this.#random);
      this.#randomAt = 0;
    }
    putUuid(this.#id, 0, this.timeMs, this.#random, this.#randomAt);
    this.#randomAt += 16;
  }

  /** The most that `write` takes. */
  room(template: Template): number {
    const { head } = this;
    const values = this.client!.bytes + head.refererEnd - head.refererStart + head.forwardedEnd - head.forwardedStart;
    return template.text.length + 2 * values + 16 * template.cuts.length + ID_LENGTH;
  }

  /** Writes the text with its holes filled; returns the end. */
  write({ text, cuts }: Template, into: Buffer, start: number): number {
    let at = start;
    let from = 0;
    for (let cut = 0; cut < cuts.length; cut += 2) {
      const to = cuts[cut]!;
      if (to > from) text.copy(into, at, from, to);
      at += to - from;
      from = to;
      at = this.#fill(cuts[cut + 1]!, into, at);
    }
    return at;
  }

  #fill(hole: number, into: Uint8Array, at: number): number {
    const { head } = this;
    switch (hole) {
      case -1:
        return at;
      case ID:
        return put(into, at, this.#id);
      case AGE:
        return putNumber(into, at, this.ageSeconds);
      case TTL:
        return putNumber(into, at, this.ttlSeconds);
      case ELAPSED:
        return putNumber(into, at, this.elapsedMs);
      case TIME:
        return putNumber(into, at, this.timeMs);
      case ADDRESS:
        return put(into, at, this.client!.address);
      case AGENT:
        return put(into, at, this.client!.agentJson);
      case REFERER:
        return putJson(into, at, this.bytes, head.refererStart, head.refererEnd);
      case FORWARDED_FOR:
        return putJson(into, at, this.bytes, head.forwardedStart, head.forwardedEnd);
      case REQUEST_BYTES:
        return putNumber(into, at, this.requestBytes);
      case SENT_BYTES:
        this.sentFrom = at;
        this.sentTo = putNumber(into, at, this.sentBytes);
        return this.sentTo;
      case DONE:
        this.doneAt = at;
        into[at] = 0x31;
        return at + 1;
      default:
        return put(into, at, this.client!.traitsJson[hole - FIRST_TRAIT]!);
    }
  }

  /** As the access log counts: method, target without its question mark, the rest of the first line, the fields. */
  get requestBytes(): number {
    const { head, bytes } = this;
    let target = head.targetEnd - head.targetStart;
    for (let at = head.targetStart; at < head.targetEnd; at++) {
      if (bytes[at] !== QUESTION_MARK) continue;
      target--;
      break;
    }
    return (head.isHead ? 4 : 3) + target + FIRST_LINE_REST + head.fieldBytes;
  }
}

const QUESTION_MARK = 0x3f;
const FIRST_LINE_REST = 12;

function put(into: Uint8Array, start: number, bytes: Uint8Array): number {
  const { length } = bytes;
  for (let at = 0; at < length; at++) into[start + at] = bytes[at]!;
  return start + length;
}
