/**
 * A connection that the fast path gives to the ordinary one for good, with the bytes that it read and did not use: a
 * `Duplex` with the members of a socket that the ordinary listener looks at. What is written counts as written when
 * the system has it, so that deliveries, stalled readers and the end of an answer are seen as on a socket.
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

export class Handed extends Duplex {
  readonly #socket: Socket;
  readonly #resume: () => void;
  #bytesRead = 0;

  /** `resume` makes the socket read on. */
  constructor(socket: Socket, resume: () => void) {
    super({ allowHalfOpen: true, autoDestroy: true });
    this.#socket = socket;
    this.#resume = resume;
    socket.on('end', () => this.push(null));
    socket.on('error', (error) => this.destroy(error));
    socket.on('close', () => this.destroy());
    socket.on('timeout', () => this.emit('timeout'));
    if (socket.readableEnded) this.push(null);
  }

  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#socket.remotePort;
  }

  /** Since it was handed over, what came with it included. */
  get bytesRead(): number {
    return this.#bytesRead;
  }

  /** Bytes that came, in memory of their own. False: no more for now. */
  receive(bytes: Buffer): boolean {
    this.#bytesRead += bytes.length;
    return this.push(bytes);
  }

  setTimeout(delayMs: number): this {
    this.#socket.setTimeout(delayMs);
    return this;
  }

  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', () => this.destroy());
  }

  resetAndDestroy(): this {
    // Its end is this one's, when it comes: whoever cuts has something to say before.
    this.#socket.resetAndDestroy();
    return this;
  }

  override _read(): void {
    this.#resume();
  }

  override _write(chunk: Buffer | string, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, encoding, done);
  }

  override _writev(
    chunks: { readonly chunk: Buffer | string; readonly encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    const last = chunks.length - 1;
    this.#socket.cork();
    for (const [at, { chunk, encoding }] of chunks.entries())
      this.#socket.write(chunk, encoding, at === last ? done : undefined);
    this.#socket.uncork();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { closed } = this.#socket;
    if (closed) done(error);
    else this.#socket.once('close', () => done(error));
    this.#socket.destroy();
  }
}
