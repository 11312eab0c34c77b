/**
 * Lines of the access log as they are written: bytes behind one another in a chunk that is given away when it is full
 * or its time has come. A line that was written before its answer was with the system can be taken back and told
 * later, with the truth.
 */
import type { Clock, Timer } from '../../base/clock.ts';
import type { Answer, Meter } from './answer.ts';
import type { Moment } from './moment.ts';

/** Takes whole lines, each with its break. The memory is the taker's from then on. */
export type TakeLines = (lines: Buffer, count: number) => void;

/** Enough for any line: a larger one gets a chunk of its own. */
const CHUNK_BYTES = 256 * 1024;

/** A line that waits for its answer to be sent. */
export interface WaitingLine {
  readonly bytes: Buffer;
  readonly meter: Meter;
  readonly requestBytes: number;
  readonly sentBytes: number;
  readonly elapsedMs: number;
  readonly sentFrom: number;
  readonly sentTo: number;
  readonly doneAt: number;
}

export class LineLog {
  readonly #take: TakeLines;
  readonly #clock: Clock;
  readonly #flushMs: number;
  #chunk: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  #end = 0;
  #count = 0;
  #timer: Timer | undefined;

  constructor(options: { readonly take: TakeLines; readonly clock: Clock; readonly flushMs: number }) {
    this.#take = options.take;
    this.#clock = options.clock;
    this.#flushMs = options.flushMs;
  }

  /** The line of an answer that is with the system. */
  write({ line, meter }: Answer, moment: Moment): void {
    meter.count(moment.requestBytes, moment.sentBytes, moment.elapsedMs, true);
    this.#reserve(moment.room(line) + 1);
    this.#end = moment.write(line, this.#chunk, this.#end);
    this.#chunk[this.#end++] = LINE_BREAK;
    this.#count++;
    this.#timer ??= this.#clock.setTimer(this.#flushMs, () => this.flush());
  }

  /** The line of an answer that is still on its way. */
  hold({ line, meter }: Answer, moment: Moment): WaitingLine {
    const bytes = Buffer.allocUnsafe(moment.room(line) + 1);
    const end = moment.write(line, bytes, 0);
    bytes[end] = LINE_BREAK;
    const { requestBytes, sentBytes, elapsedMs, sentFrom, sentTo, doneAt } = moment;
    const counted = { meter, requestBytes, sentBytes, elapsedMs };
    return { bytes: Buffer.from(bytes.subarray(0, end + 1)), ...counted, sentFrom, sentTo, doneAt };
  }

  /** What was held, now that its end is known. */
  tell(line: WaitingLine, done: boolean): void {
    const bytes = done ? line.bytes : cutShort(line);
    line.meter.count(line.requestBytes, done ? line.sentBytes : 0, line.elapsedMs, done);
    this.#reserve(bytes.length);
    bytes.copy(this.#chunk, this.#end);
    this.#end += bytes.length;
    this.#count++;
    this.#timer ??= this.#clock.setTimer(this.#flushMs, () => this.flush());
  }

  flush(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#end === 0) return;
    const [chunk, end, count] = [this.#chunk, this.#end, this.#count];
    // A chunk that is hardly begun is used on; what is in it goes as a copy.
    const isFull = end > CHUNK_BYTES / 2;
    if (isFull) this.#chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#end = 0;
    this.#count = 0;
    this.#take(isFull ? chunk.subarray(0, end) : Buffer.from(chunk.subarray(0, end)), count);
  }

  #reserve(bytes: number): void {
    if (this.#end + bytes <= this.#chunk.length) return;
    this.flush();
    if (bytes > this.#chunk.length) this.#chunk = Buffer.allocUnsafeSlow(bytes);
  }
}

const LINE_BREAK = 0x0a;

/** The same line for a client that did not get all of it: nothing sent, not done. */
function cutShort({ bytes, sentFrom, sentTo, doneAt }: WaitingLine): Buffer {
  const line = Buffer.from(bytes);
  line[doneAt] = 0x30;
  return Buffer.concat([line.subarray(0, sentFrom), Buffer.from('0'), line.subarray(sentTo)]);
}
