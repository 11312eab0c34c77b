/**
 * A prepared answer: its head and its line in the access log as bytes with holes for what changes from one request
 * to the next, and the body that it shares with the store.
 */
import type { Needs } from './needs.ts';

/** What is filled in for each request. */
export const HOLES = [
  /** Request id, 36 characters. */
  'id',
  /** Seconds since the response was made. */
  'age',
  /** Seconds for which it stays fresh. */
  'ttl',
  /** Whole milliseconds from the arrival of the request to its answer. */
  'elapsed',
  /** Of the log line only: arrival in milliseconds since the epoch; JSON strings without their quotes. */
  'time',
  ...(['address', 'agent', 'referer', 'forwarded-for'] as const),
  /** Bytes of the request, and of the body that was sent. */
  ...(['request-bytes', 'sent-bytes'] as const),
  /** `1`: sent completely, `0`: not. */
  'done',
  /** What is known of the user agent, JSON values. */
  ...(['trait-0', 'trait-1', 'trait-2', 'trait-3'] as const),
] as const;
export type Hole = (typeof HOLES)[number];
export const FIRST_TRAIT: number = HOLES.indexOf('trait-0');
export const TRAITS = 4;

/** Text, or a hole between texts. */
export type Piece = string | { readonly hole: Hole };

/** For how long an answer may be given; its members are looked at every time. */
export interface Lifetime {
  readonly held: { readonly alive: boolean; used: boolean };
  readonly stored: { readonly madeAtMs: number; readonly freshUntilMs: number };
}

/** Counts answers that were given, for metrics. */
export interface Meter {
  count(requestBytes: number, sentBytes: number, elapsedMs: number, done: boolean): void;
}

export interface AnswerParts {
  /** One character per byte. */
  readonly head: readonly Piece[];
  readonly line: readonly Piece[];
  /** Null: nothing follows the head. */
  readonly body: Buffer | null;
  readonly lifetime: Lifetime;
  readonly meter: Meter;
  /** Requests with more lines are somebody else's to judge. */
  readonly mostLines: number;
}

/** What a table finds under a key: an answer, or what else has to be looked at to find one. */
export interface Entry {
  readonly hash: number;
  readonly key: Uint8Array;
  readonly bytes: number;
  /** Found since the table last made room. */
  used: boolean;
  readonly needs: Needs | null;
  readonly answer: Answer | null;
}

/** Texts of a head or a line behind one another, and where the holes are. */
export interface Template {
  readonly text: Buffer;
  /** Pairs: end of a text, index of the hole behind it in `HOLES`, or -1 behind the last. */
  readonly cuts: Int32Array;
}

export interface Answer extends Omit<AnswerParts, 'head' | 'line'> {
  readonly head: Template;
  readonly line: Template;
}

/** Objects and array headers of an entry beside its bytes, measured on 64-bit V8. */
export const ENTRY_OVERHEAD_BYTES = 900;

export function prepare({ head, line, ...rest }: AnswerParts): Answer {
  return { head: template(head, 'latin1'), line: template(line, 'utf8'), ...rest };
}

export const answerBytes = ({ head, line }: Answer): number => head.text.length + line.text.length;

function template(pieces: readonly Piece[], encoding: 'latin1' | 'utf8'): Template {
  const cuts: number[] = [];
  let text = '';
  let length = 0;
  for (const piece of pieces) {
    if (typeof piece === 'string') {
      text += piece;
      length += Buffer.byteLength(piece, encoding);
    } else cuts.push(length, HOLES.indexOf(piece.hole));
  }
  cuts.push(length, -1);
  const bytes = Buffer.allocUnsafeSlow(length);
  bytes.write(text, encoding);
  return { text: bytes, cuts: Int32Array.from(cuts) };
}
