/**
 * A connection on the fast path: requests that are plain and known are answered where they are read. One that is plain
 * and not known is lent to the ordinary listener, alone, and the connection comes back with its answer. One that is not
 * plain goes there with everything behind it, and the connection with it, for good. A client that does not take its
 * answers is not read from; memory of a connection is one answer and one read.
 */
import type { Socket } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { plainIp } from '../forwarded.ts';
import type { Adopted, Adoption } from '../listener.ts';
import { PhaseWatch } from '../phase-watch.ts';
import type { Answer } from './answer.ts';
import { Client, type DescribeAgent } from './client.ts';
import { Handed } from './handed.ts';
import type { LineLog, WaitingLine } from './line-log.ts';
import type { Moment } from './moment.ts';
import type { Outlet } from './outlet.ts';
import { MORE, PLAIN, type Scanner } from './scan.ts';
import type { AnswerTable } from './table.ts';

/** What the connections of a listener share. */
export interface FastShared {
  readonly table: AnswerTable;
  readonly scanner: Scanner;
  readonly moment: Moment;
  readonly outlet: Outlet;
  readonly log: LineLog;
  readonly clock: Clock;
  readonly describeAgent: DescribeAgent;
  readonly headMs: number;
  readonly idleMs: number;
  readonly writeIdleMs: number;
  readonly isDraining: () => boolean;
  /** Wall clock for a monotonic time. */
  readonly wallMs: (monotonicMs: number) => number;
  /** The ordinary listener's from now on; with `onIdle` it comes back each time that everything is answered. */
  readonly adopt: (connection: Handed, more: Adoption) => Adopted;
  /** The connection is not on the fast path any more. */
  readonly left: (connection: FastConnection) => void;
}

/** A head that comes in more pieces than this is read by somebody else: it is scanned again with each of them. */
const MOST_PIECES = 4;

export class FastConnection {
  readonly #socket: Socket;
  readonly #shared: FastShared;
  readonly #client: Client;
  readonly #watch: PhaseWatch;
  /** Bytes that were read and not used: the start of a head, or requests that wait for an answer to be taken. */
  #rest: Buffer | null = null;
  #pieces = 0;
  #bytesRead = 0;
  #stalled = false;
  #ended = false;
  #held: WaitingLine[] = [];
  /** What the ordinary listener has of this connection, once it has had it. */
  #handed: Handed | null = null;
  #adopted: Adopted | null = null;
  /** The ordinary listener is answering a request. */
  #isLent = false;
  /** The connection is the ordinary listener's for good. */
  #isGiven = false;

  constructor(socket: Socket, shared: FastShared) {
    this.#socket = socket;
    this.#shared = shared;
    this.#client = new Client(plainIp(socket.remoteAddress ?? ''), shared.describeAgent);
    const { clock, headMs, idleMs } = shared;
    this.#watch = new PhaseWatch({
      clock,
      headMs,
      idleMs,
      bytesRead: () => this.#bytesRead,
      onSlowHead: () => this.#handOver(this.#takeRest()),
      onSilence: () => socket.destroy(),
    });
    socket.on('error', () => {}); // 'close' follows and is what counts
    socket.on('end', () => this.#clientLeft());
    socket.on('close', () => this.#closed());
    socket.on('timeout', () => !this.#isLent && !this.#isGiven && this.#stalled && socket.resetAndDestroy());
  }

  /** The ordinary listener counts it as well. */
  get isShared(): boolean {
    return this.#handed !== null;
  }

  /** `bytes[0, end)` came and is gone after the call. False: nothing more is wanted for now. */
  feed(bytes: Buffer, end: number): boolean {
    if (this.#isGiven) return this.#handed!.receive(Buffer.from(bytes.subarray(0, end)));
    if (this.#isLent) return this.#wait(bytes, end);
    if (this.#rest === null) return this.#serve(bytes, end);
    const joined = Buffer.concat([this.#rest, bytes.subarray(0, end)]);
    this.#rest = joined;
    return this.#stalled ? false : this.#serve(joined, joined.length);
  }

  /** No new request is wanted. What has begun goes on elsewhere or ends with the answer that is on its way. */
  drain(): void {
    if (this.#stalled || this.#isLent) return;
    if (this.#rest === null) this.#socket.destroy();
    else this.#handOver(this.#takeRest());
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #serve(bytes: Buffer, end: number): boolean {
    const { scanner, table, moment, clock } = this.#shared;
    const startedMs = clock.monotonicMs();
    const nowMs = this.#shared.wallMs(startedMs);
    let at = 0;
    while (at < end) {
      const scanned = scanner.scan(bytes, at, end);
      if (scanned === MORE) break;
      if (scanned !== PLAIN || this.#shared.isDraining()) return this.#giveUp(bytes, at, end);
      this.#client.sees(bytes, scanner);
      const answer = table.find(bytes, scanner, this.#client.traits, nowMs);
      if (answer === null) return this.#lend(bytes, at, scanner.next, end);
      moment.bytes = bytes;
      moment.timeMs = Math.floor(nowMs);
      moment.elapsedMs = at === 0 ? 0 : Math.round(clock.monotonicMs() - startedMs);
      const isOnly = at === 0 && scanner.next === end;
      at = scanner.next;
      if (this.#answer(answer, nowMs, isOnly)) return this.#stall(bytes, at, end);
    }
    return this.#pause(bytes, at, end, startedMs);
  }

  /** True when the client does not take it. */
  #answer(answer: Answer, nowMs: number, isOnly: boolean): boolean {
    const { moment, outlet, log } = this.#shared;
    const { madeAtMs, freshUntilMs } = answer.lifetime.stored;
    moment.client = this.#client;
    moment.newId();
    moment.ageSeconds = Math.floor((nowMs - madeAtMs) / 1000);
    moment.ttlSeconds = Math.floor((freshUntilMs - nowMs) / 1000);
    moment.sentBytes = answer.body === null ? 0 : answer.body.length;
    outlet.add(answer, moment, this.#socket);
    if (isOnly) outlet.send(this.#socket);
    const taken = this.#socket.writableLength === 0;
    if (isOnly && taken) log.write(answer, moment);
    else this.#held.push(log.hold(answer, moment));
    return !taken;
  }

  /** Everything that came is used but for the start of a head. */
  #pause(bytes: Buffer, at: number, end: number, nowMs: number): boolean {
    if (at > 0 && this.#held.length > 0) {
      this.#shared.outlet.send(this.#socket);
      if (this.#socket.writableLength !== 0) return this.#stall(bytes, at, end);
      this.#tellHeld(true);
    }
    if (at > 0) {
      this.#pieces = 0;
      this.#bytesRead = 0;
      this.#watch.idle(nowMs);
    }
    this.#bytesRead = end - at;
    if (at === end) {
      this.#rest = null;
      return true;
    }
    if (++this.#pieces > MOST_PIECES) return this.#giveUp(bytes, at, end);
    this.#rest = Buffer.from(bytes.subarray(at, end));
    return true;
  }

  // A client that does not take what it asked for

  #stall(bytes: Buffer, at: number, end: number): boolean {
    this.#shared.outlet.send(this.#socket);
    this.#rest = at === end ? null : Buffer.from(bytes.subarray(at, end));
    this.#stalled = true;
    this.#watch.busy();
    this.#socket.setTimeout(this.#shared.writeIdleMs);
    this.#socket.write(NOTHING, (error) => !error && this.#taken());
    return false;
  }

  #taken(): void {
    this.#stalled = false;
    // The ordinary listener watches with the same timer.
    this.#socket.setTimeout(this.#handed === null ? 0 : this.#shared.writeIdleMs);
    this.#tellHeld(true);
    if (this.#socket.destroyed || this.#ended) return;
    if (this.#shared.isDraining()) {
      this.#socket.destroySoon();
      return;
    }
    this.#watch.idle();
    const rest = this.#takeRest();
    if (rest.length === 0 || this.#serve(rest, rest.length)) this.#socket.resume();
  }

  #tellHeld(done: boolean): void {
    for (const line of this.#held) this.#shared.log.tell(line, done);
    this.#held = [];
  }

  // Somebody else's

  /** One request, which has no body, for the ordinary listener. What follows waits here. */
  #lend(bytes: Buffer, at: number, next: number, end: number): boolean {
    this.#shared.outlet.send(this.#socket);
    this.#watch.busy();
    this.#isLent = true;
    this.#rest = next === end ? null : Buffer.from(bytes.subarray(next, end));
    this.#pieces = 0;
    this.#tellWhenSent();
    const request = Buffer.from(bytes.subarray(at, next));
    if (this.#handed === null) this.#adopt({ onIdle: () => this.#comeBack() });
    this.#handed!.receive(request);
    return end - next < MOST_WAITING_BYTES;
  }

  /** Requests that follow one that is being answered are kept, so that the end of the input is still seen. */
  #wait(bytes: Buffer, end: number): boolean {
    const came = bytes.subarray(0, end);
    this.#rest = this.#rest === null ? Buffer.from(came) : Buffer.concat([this.#rest, came]);
    return this.#rest.length < MOST_WAITING_BYTES;
  }

  #comeBack(): void {
    this.#isLent = false;
    if (this.#socket.destroyed || this.#ended) return;
    this.#bytesRead = 0;
    this.#watch.idle();
    const rest = this.#takeRest();
    if (rest.length === 0 || this.#serve(rest, rest.length)) this.#socket.resume();
  }

  #giveUp(bytes: Buffer, at: number, end: number): boolean {
    this.#shared.outlet.send(this.#socket);
    this.#handOver(Buffer.from(bytes.subarray(at, end)));
    return true;
  }

  #handOver(unread: Buffer): void {
    const headLeftMs = this.#watch.leftMs();
    this.#watch.stop();
    this.#rest = null;
    this.#isGiven = true;
    this.#shared.left(this);
    this.#tellWhenSent();
    if (this.#handed === null) this.#adopt({ headLeftMs });
    else this.#adopted!.keep(headLeftMs);
    this.#handed!.receive(unread);
  }

  #adopt(more: Adoption): void {
    this.#handed = new Handed(this.#socket, () => this.#socket.resume());
    this.#adopted = this.#shared.adopt(this.#handed, more);
  }

  #tellWhenSent(): void {
    if (this.#held.length > 0) this.#socket.write(NOTHING, (error) => !error && this.#tellHeld(true));
  }

  #takeRest(): Buffer {
    const rest = this.#rest ?? NOTHING;
    this.#rest = null;
    return rest;
  }

  // Ending

  /** A client that half-closes has left; what was written for it still goes out. */
  #clientLeft(): void {
    this.#ended = true;
    if (!this.#isLent && !this.#isGiven) this.#socket.end();
  }

  #closed(): void {
    this.#watch.stop();
    this.#tellHeld(false);
    if (!this.#isGiven) this.#shared.left(this);
  }
}

/** Requests that wait for one that is lent; beyond that the client is not read from. */
const MOST_WAITING_BYTES = 64 * 1024;
const NOTHING = Buffer.alloc(0);
