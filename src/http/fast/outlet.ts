/**
 * Puts answers together and hands them to sockets. Heads and small bodies are assembled in one reused piece of memory;
 * it is used again only when the system has taken everything, else it belongs to the write that is under way. Large
 * bodies are never copied: they go as a buffer of their own behind the head.
 */
import type { Socket } from 'node:net';
import type { Answer } from './answer.ts';
import type { Moment } from './moment.ts';

const SCRATCH_BYTES = 64 * 1024;
/** Up to here copying a body costs less than a second buffer in the write. */
const COPIED_BODY_BYTES = 16 * 1024;

export class Outlet {
  #scratch: Buffer = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  #end = 0;

  /** Adds one answer to what is sent next. */
  add({ head, body }: Answer, moment: Moment, socket: Socket): void {
    const bodyBytes = body === null ? 0 : body.length;
    const copied = bodyBytes <= COPIED_BODY_BYTES ? bodyBytes : 0;
    const room = head.text.length + HOLE_BYTES * head.cuts.length + copied;
    if (this.#end + room > this.#scratch.length) this.send(socket);
    if (room > this.#scratch.length) this.#scratch = Buffer.allocUnsafeSlow(room);
    this.#end = moment.write(head, this.#scratch, this.#end);
    if (copied > 0) {
      body!.copy(this.#scratch, this.#end);
      this.#end += copied;
    } else if (bodyBytes > 0) this.#sendWith(body!, socket);
  }

  /** Hands over what was added. */
  send(socket: Socket): void {
    if (this.#end === 0) return;
    const { length } = this.#scratch;
    socket.write(this.#scratch.subarray(0, this.#end));
    this.#end = 0;
    if (socket.writableLength !== 0 || length > SCRATCH_BYTES) this.#scratch = Buffer.allocUnsafeSlow(SCRATCH_BYTES);
  }

  /** The system seldom takes a large body at once: what goes with it gets memory of its own. */
  #sendWith(body: Buffer, socket: Socket): void {
    const heads = Buffer.from(this.#scratch.subarray(0, this.#end));
    this.#end = 0;
    socket.cork();
    socket.write(heads);
    socket.write(body);
    socket.uncork();
  }
}

/** The longest value of a hole in a head, with some to spare. */
const HOLE_BYTES = 40;
