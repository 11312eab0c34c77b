/**
 * One body, many readers. The source is read as fast as it comes into a growing buffer, and every reader follows
 * at its own pace. A body that outgrows what may be kept turns into a sliding window: what all readers have seen
 * is forgotten, and the source is held back while the slowest is a window behind. Knows nothing of HTTP.
 */
import { Readable } from 'node:stream';
import type { Clock, Timer } from '../base/clock.ts';
import type { SharedBody } from '../http/let-go.ts';

export interface FillLimits {
  readonly clock: Clock;
  /** A body that grows larger is not kept. */
  readonly maxObjectBytes: number;
  /** How far the source may be ahead of the slowest reader once the body is not kept. */
  readonly windowBytes: number;
  /** A reader that takes nothing for this long while others wait for it is cut off. */
  readonly laggardMs: number;
  /** Memory of all growing fills together; one that does not get any becomes a window. */
  readonly budget: FillBudget;
  /** The error of a body that has not the length that its head announced. */
  readonly lengthError: () => Error;
  /** The error of a reader that was cut off. */
  readonly laggardError: () => Error;
}

/** A shared count of bytes in growing fills. */
export interface FillBudget {
  usedBytes: number;
  readonly maxBytes: number;
}

/** What became of a body: whole; a window (told when it turns into one, not at its end); or broken before either. */
export type FillEnd =
  | { readonly kind: 'whole'; readonly body: Buffer }
  | { readonly kind: 'window'; readonly tooLarge: boolean }
  | { readonly kind: 'failed'; readonly error: Error };

type State = 'growing' | 'window' | 'whole' | 'failed';

export class Fill {
  /** Called once. */
  readonly #onEnd: (end: FillEnd) => void;
  readonly #limits: FillLimits;
  readonly #source: Readable;
  readonly #expectedBytes: number | undefined;
  readonly #readers = new Set<FillReader>();
  #state: State = 'growing';
  #ended = false;
  #error: Error | null = null;
  /** Consecutive pieces and where each ends; the first begins at `#startByte`. A whole body is a single piece. */
  #pieces: Buffer[] = [];
  #ends: number[] = [];
  #startByte = 0;
  #endByte = 0;
  #laggardTimer: Timer | undefined;

  constructor(source: Readable, expectedBytes: number | undefined, limits: FillLimits, onEnd: (end: FillEnd) => void) {
    this.#source = source;
    this.#expectedBytes = expectedBytes;
    this.#limits = limits;
    this.#onEnd = onEnd;
    source.on('error', (error) => this.#fail(error));
    source.on('close', () => this.#closed());
    source.on('end', () => this.#finish());
  }

  /** Begins to read the source; whoever waited for the head should have taken a reader by then. */
  start(): void {
    this.#source.on('data', (piece: Buffer) => this.#take(piece));
  }

  /** Nothing was forgotten yet, so a new reader sees the body from its first byte. */
  get joinable(): boolean {
    return this.#startByte === 0 && this.#state !== 'failed' && this.#state !== 'window';
  }

  /** All of it is to be kept, as far as is known. */
  get growing(): boolean {
    return this.#state === 'growing';
  }

  get settled(): boolean {
    return this.#ended;
  }

  /** Received part of the announced length; 0 when none was announced. */
  get fraction(): number {
    return this.#expectedBytes ? this.#endByte / this.#expectedBytes : 0;
  }

  /** Bytes held now. */
  get heldBytes(): number {
    return this.#endByte - this.#startByte;
  }

  /** A new reader from the first byte. `onClose` is called once, when it has ended or was destroyed. */
  reader(onClose: () => void): Readable {
    const reader = new FillReader(this, onClose, () => this.#left(reader));
    this.#readers.add(reader);
    return reader;
  }

  /** Stops: nobody wants the body any more. */
  abort(error: Error): void {
    this.#source.destroy();
    this.#fail(error);
  }

  /** For readers: the next piece from `fromByte`, `null` at the end, `undefined` when it has not come yet. */
  pieceAt(fromByte: number): Buffer | null | undefined {
    if (this.#error) throw this.#error; // Readable passes it on as its own error
    if (fromByte >= this.#endByte) return this.#ended ? null : undefined;
    const index = firstAbove(this.#ends, fromByte);
    const piece = this.#pieces[index]!;
    const from = fromByte - (this.#ends[index]! - piece.length);
    return piece.subarray(from, from + READ_BYTES);
  }

  /** For readers: one has moved on. */
  advanced(): void {
    if (this.#state === 'window') this.#slide();
  }

  #take(piece: Buffer): void {
    if (this.#ended || piece.length === 0) return;
    this.#endByte += piece.length;
    this.#pieces.push(piece);
    this.#ends.push(this.#endByte);
    if (this.#state === 'growing') this.#grow(piece.length);
    for (const reader of this.#readers) reader.wake();
    if (this.#state === 'window') this.#slide();
  }

  #grow(bytes: number): void {
    const { budget, maxObjectBytes } = this.#limits;
    budget.usedBytes += bytes;
    const tooLarge = this.#endByte > maxObjectBytes;
    if (!tooLarge && budget.usedBytes <= budget.maxBytes) return;
    this.#releaseBudget(this.#endByte);
    this.#state = 'window';
    this.#onEnd({ kind: 'window', tooLarge });
  }

  /** Forgets what everybody has seen; holds the source back while the slowest is too far behind. */
  #slide(): void {
    const seen = Math.min(this.#endByte, ...[...this.#readers].map((reader) => reader.position));
    while (this.#pieces.length > 0 && this.#ends[0]! <= seen) {
      this.#pieces.shift();
      this.#startByte = this.#ends.shift()!;
    }
    if (this.#ended) return;
    const full = this.#endByte - seen > this.#limits.windowBytes;
    if (full && !this.#source.isPaused()) this.#source.pause();
    if (!full && this.#source.isPaused()) this.#source.resume();
    this.#watchLaggards(full, seen);
  }

  /** While the window is full and somebody has read all of it, the slowest must move or go. */
  #watchLaggards(full: boolean, seen: number): void {
    const starving = full && [...this.#readers].some((reader) => reader.position === this.#endByte);
    this.#laggardTimer?.cancel();
    this.#laggardTimer = undefined;
    if (!starving) return;
    this.#laggardTimer = this.#limits.clock.setTimer(this.#limits.laggardMs, () => {
      for (const reader of this.#readers) if (reader.position === seen) reader.destroy(this.#limits.laggardError());
    });
  }

  #left(reader: FillReader): void {
    this.#readers.delete(reader);
    if (this.#state === 'window') this.#slide();
  }

  #finish(): void {
    const { lengthError } = this.#limits;
    if (this.#expectedBytes !== undefined && this.#endByte !== this.#expectedBytes) this.#fail(lengthError());
    if (this.#ended) return;
    this.#ended = true;
    this.#laggardTimer?.cancel();
    if (this.#state === 'growing') this.#keep();
    for (const reader of this.#readers) reader.wake();
  }

  /** One buffer of exactly the right size, so that what is counted is what is held. */
  #keep(): void {
    this.#releaseBudget(this.#endByte);
    const body = ownBuffer(this.#pieces, this.#endByte);
    this.#pieces = [body];
    this.#ends = [body.length];
    this.#state = 'whole';
    this.#onEnd({ kind: 'whole', body });
  }

  #fail(error: Error): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = error;
    this.#laggardTimer?.cancel();
    const wasGrowing = this.#state === 'growing';
    if (wasGrowing) this.#releaseBudget(this.#endByte);
    this.#state = 'failed';
    this.#pieces = [];
    for (const reader of this.#readers) reader.destroy(error);
    if (wasGrowing) this.#onEnd({ kind: 'failed', error });
  }

  /** A source that closes without end or error broke off. */
  #closed(): void {
    if (!this.#ended) this.#fail(this.#limits.lengthError());
  }

  #releaseBudget(bytes: number): void {
    this.#limits.budget.usedBytes -= bytes;
  }
}

const READ_BYTES = 65_536;

/** Index of the first of the ascending numbers that is above the limit. */
function firstAbove(ascending: readonly number[], limit: number): number {
  let low = 0;
  let high = ascending.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! > limit) high = middle;
    else low = middle + 1;
  }
  return low;
}

class FillReader extends Readable implements SharedBody {
  position = 0;
  #waiting = false;
  readonly #fill: Fill;
  readonly #onClose: () => void;
  readonly #leave: () => void;

  constructor(fill: Fill, onClose: () => void, leave: () => void) {
    super({ highWaterMark: READ_BYTES });
    // a fill may break before the client's side listens; the stream then tells it when it is read
    this.on('error', () => {});
    this.#fill = fill;
    this.#onClose = onClose;
    this.#leave = leave;
  }

  /** Reads on for nobody while the body is being kept: whoever comes next shall find it. */
  letGo(): void {
    this.on('data', () => this.#fill.growing || this.destroy());
  }

  /** More has come. */
  wake(): void {
    if (this.#waiting) this._read();
  }

  override _read(): void {
    this.#waiting = false;
    const piece = this.#fill.pieceAt(this.position);
    this.#waiting = piece === undefined;
    if (piece === undefined) return;
    this.position += piece?.length ?? 0;
    // asks for the next piece by itself, unless its own buffer is full
    this.push(piece);
    if (piece) this.#fill.advanced();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#leave();
    this.#onClose();
    callback(error);
  }
}

/** The bytes in memory of their own: slices of pooled or larger buffers would keep those alive. */
export function ownBuffer(pieces: readonly Buffer[], bytes: number): Buffer {
  const body = Buffer.allocUnsafeSlow(bytes);
  let at = 0;
  for (const piece of pieces) at += piece.copy(body, at);
  return body;
}
