/**
 * The bytes of one upstream connection, between a connected (and secured) socket and the HTTP client. It keeps what
 * sockets and clients throw away when things go wrong:
 *
 * - A failed write does not end it. An upstream that refuses an upload early answers and closes; the answer is still
 *   in the kernel when our next write fails, and a socket destroyed by that write would lose it (trap T11).
 * - A failed read ends it like a close, with the reason kept in `failure`, so that data before it are still read and
 *   a TLS alert or a reset can be told from a plain close (T3, T4).
 * - `100 Continue` that nobody asked for is legal at any time (RFC 9110 section 15.2.1) and dropped here, because the
 *   HTTP client takes it for an error.
 * - Progress of writing is visible: `sending` is true while bytes wait for the kernel to take them (T15).
 */
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';

type WriteCallback = (error?: Error | null) => void;

/** Bytes handed to the socket at once; the grain in which progress of a large write is seen. */
const PIECE_BYTES = 64 * 1024;
/** More than any `100 Continue` needs; what is longer is left to the parser. */
const CONTINUE_BYTES = 8 * 1024;

export class Wire extends Duplex {
  readonly #socket: Socket;
  #sifting = false;
  #held: Buffer | null = null;
  #ended = false;
  #progress: (() => void) | null = null;
  /** Bytes read so far, dropped ones included. */
  bytesReceived = 0;
  /** Bytes wait for the kernel to take them. */
  sending = false;
  /** Why the socket failed, if it did not just close. */
  failure: Error | null = null;

  constructor(socket: Socket) {
    super({ readableHighWaterMark: PIECE_BYTES, writableHighWaterMark: PIECE_BYTES });
    this.#socket = socket;
    survivePeersThatStopReading(socket);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.#endReading());
    socket.on('error', (error) => {
      this.failure ??= error;
    });
    socket.on('close', () => this.#closed());
    socket.pause();
  }

  /** A request goes out: its response may begin with `100 Continue`. `progress` is called when writing begins and gets on. */
  beginExchange(progress: () => void): void {
    this.#sifting = true;
    this.#progress = progress;
  }

  /** An idle wire does not keep the process alive. */
  ref(): this {
    this.#socket.ref();
    return this;
  }

  unref(): this {
    this.#socket.unref();
    return this;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteCallback): void {
    this.#send([chunk], done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: WriteCallback): void {
    this.#send(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  override _final(done: WriteCallback): void {
    if (this.#socket.writable) this.#socket.end(() => done());
    else done();
  }

  override _destroy(error: Error | null, done: WriteCallback): void {
    this.#socket.destroy();
    done(error);
  }

  #send(buffers: Buffer[], done: WriteCallback): void {
    const resumes = !this.sending;
    this.sending = true;
    // From here on somebody has to watch whether the kernel takes them.
    if (resumes) this.#progress?.();
    const pieces = takePieces(buffers);
    const written = (error?: Error | null): void => {
      // Nothing more can be written; what the peer still says is read until it ends.
      if (error) return;
      this.sending = buffers.length > 0;
      if (this.sending) this.#send(buffers, done);
      else done();
      this.#progress?.();
    };
    this.#socket.cork();
    pieces.forEach((piece, at) => {
      this.#socket.write(piece, at === pieces.length - 1 ? written : undefined);
    });
    this.#socket.uncork();
  }

  #receive(chunk: Buffer): void {
    this.bytesReceived += chunk.length;
    const data = this.#sifting ? this.#sift(chunk) : chunk;
    if (data !== null && !this.push(data)) this.#socket.pause();
  }

  /** What is left of the beginning of a response without `100 Continue`; null while that is not clear. */
  #sift(chunk: Buffer): Buffer | null {
    let data = this.#held === null ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = null;
    for (;;) {
      const start = data.toString('latin1', 0, 12);
      const isContinue = /^HTTP\/1\.[01] 100$/.test(start);
      const end = isContinue ? data.indexOf('\r\n\r\n') : -1;
      if (end >= 0) {
        data = data.subarray(end + 4);
        if (data.length > 0) continue;
        return null;
      }
      const unclear = isContinue ? data.length < CONTINUE_BYTES : data.length < 12 && 'HTTP/1.1 100'.startsWith(start);
      if (unclear) this.#held = data;
      else this.#sifting = false;
      return unclear ? null : data;
    }
  }

  #endReading(): void {
    if (this.#ended || this.destroyed) return;
    this.#ended = true;
    if (this.#held !== null) this.push(this.#held);
    this.push(null);
  }

  #closed(): void {
    this.#endReading();
    if (this.readableEnded) this.destroy();
    else this.once('end', () => this.destroy());
  }
}

/** The first bytes of a list, cut at `PIECE_BYTES`; they are taken off the list. */
function takePieces(buffers: Buffer[]): Buffer[] {
  const pieces: Buffer[] = [];
  let room = PIECE_BYTES;
  while (buffers.length > 0 && room > 0) {
    const piece = buffers[0]!.subarray(0, room);
    if (piece.length === buffers[0]!.length) buffers.shift();
    else buffers[0] = buffers[0]!.subarray(piece.length);
    pieces.push(piece);
    room -= piece.length;
  }
  return pieces;
}

/**
 * A socket destroys itself when a write fails, unread data included. Here the failed write stays open instead: the
 * read side follows with the rest of the data and then its own end or error, which close the socket.
 */
function survivePeersThatStopReading(socket: Socket): void {
  const write = socket._write.bind(socket);
  const writev = socket._writev?.bind(socket);
  const unlessFailed =
    (done: WriteCallback): WriteCallback =>
    (error) => {
      if (!error || socket.destroyed) done(error);
    };
  socket._write = (chunk, encoding, done) => write(chunk, encoding, unlessFailed(done));
  if (writev) socket._writev = (chunks, done) => writev(chunks, unlessFailed(done));
}
