/**
 * One client connection that speaks HTTP/2 (RFC 9113): every stream becomes an exchange, served beside its
 * neighbours. Framing, flow control and header compression are nghttp2's; here are the bounds (streams, memory,
 * header lines, resets, settings, pings) and the waits (first request, idleness) that keep one client from costing more
 * than its share.
 */
import { performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../../base/clock.ts';
import { asFault, Fault, type Hop } from '../../status/fault.ts';
import { httpDate } from '../date.ts';
import { checkEntry, type Entered, type EntryLimits } from '../entry.ts';
import type { ServerExchange } from '../exchange.ts';
import { Fields } from '../fields.ts';
import { plainIp } from '../forwarded.ts';
import type { FaultAnswer, FaultContext } from '../refusal.ts';
import { StreamExchange, type StreamHost } from './exchange.ts';
import { type StreamHead, streamHead } from './head.ts';

export interface SessionOptions {
  readonly handle: (exchange: ServerExchange) => Promise<void>;
  readonly onFault: (fault: Fault, context: FaultContext) => FaultAnswer;
  readonly entryLimits: EntryLimits;
  /** From the connection to its first request. */
  readonly headMs: number;
  /** Without a stream. */
  readonly idleMs: number;
  readonly bodyIdleMs: number;
  readonly writeIdleMs: number;
  readonly clock: Clock;
  readonly hop: Hop;
}

/** What a client may have open at a time; RFC 9113 section 6.5.2 recommends no fewer. */
const CONCURRENT_STREAMS = 128;
/** Per stream; the connection has room for several that upload at full speed. */
const STREAM_WINDOW_BYTES = 256 * 1024;
const CONNECTION_WINDOW_BYTES = 1024 * 1024;
/** Lines beyond the limit of 70 get a page that says so; beyond these the stream is reset. */
const MOST_HEADER_LINES = 1_000;
/** Lets go of a session whose client does not close its side. */
const LINGER_MS = 2_000;

const HANDSHAKE = {
  settings: {
    maxConcurrentStreams: CONCURRENT_STREAMS,
    initialWindowSize: STREAM_WINDOW_BYTES,
    enablePush: false,
  },
  maxHeaderListPairs: MOST_HEADER_LINES,
  maxSettings: 32,
  maxOutstandingPings: 10,
  maxSessionMemory: 10,
  maxSessionInvalidFrames: 100,
  maxSessionRejectedStreams: 100,
  streamResetBurst: 200,
  streamResetRate: 33,
  // Lines that occur twice are what the pipeline has been given; it decides what they mean.
  strictSingleValueFields: false,
} as const;

export class StreamSession implements StreamHost {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly clock: Clock;
  readonly hop: Hop;
  readonly bodyIdleMs: number;
  readonly writeIdleMs: number;
  readonly #options: SessionOptions;
  readonly #session: ServerHttp2Session;
  readonly #socket: Duplex;
  #streams = 0;
  #timer: Timer | undefined;

  constructor(socket: Duplex & { remoteAddress?: string; remotePort?: number }, options: SessionOptions) {
    this.#options = options;
    this.clock = options.clock;
    this.hop = options.hop;
    this.bodyIdleMs = options.bodyIdleMs;
    this.writeIdleMs = options.writeIdleMs;
    this.remoteAddress = plainIp(socket.remoteAddress ?? '');
    this.remotePort = socket.remotePort ?? 0;
    this.#socket = socket;
    const headerBytes = options.entryLimits.headerBytes + options.entryLimits.pathQueryBytes;
    this.#session = performServerHandshake(socket, {
      ...HANDSHAKE,
      settings: { ...HANDSHAKE.settings, ...(Number.isFinite(headerBytes) ? { maxHeaderListSize: headerBytes } : {}) },
    });
    this.#session.setLocalWindowSize(CONNECTION_WINDOW_BYTES);
    this.#session.on('stream', (stream, _headers, _flags, raw) => this.#accept(stream, raw as unknown as string[]));
    // nghttp2 has had enough; a client that does not close its side either is not waited for.
    this.#session.on('error', () => this.#linger());
    this.#session.once('close', () => this.#timer?.cancel());
    this.#wait(options.headMs);
  }

  httpDate(): string {
    return httpDate(this.clock);
  }

  /** Lets open streams end and takes no new ones. */
  drain(): void {
    if (!this.#session.closed && !this.#session.destroyed) this.#session.close();
  }

  cut(): void {
    this.#session.destroy();
    this.#socket.destroy();
  }

  onClose(then: () => void): void {
    this.#session.once('close', then);
  }

  #accept(stream: ServerHttp2Stream, raw: readonly string[]): void {
    this.#streams++;
    this.#timer?.cancel();
    stream.on('error', () => {}); // its 'close' says all that matters
    stream.once('close', () => {
      if (--this.#streams === 0) this.#wait(this.#options.idleMs);
    });
    const head = streamHead(raw);
    const verdict = checkEntry(head, this.#options.entryLimits);
    const expectation = fieldOf(head, 'expect')?.toLowerCase();
    const expectsContinue = expectation === '100-continue';
    let refusal: Fault | null = null;
    if (!verdict.ok) refusal = new Fault({ cause: verdict.cause, evidence: verdict.evidence, hop: this.hop });
    else if (expectation !== undefined && !expectsContinue)
      refusal = new Fault({ cause: 'request.expectation', hop: this.hop });
    const entered: Entered = verdict.ok
      ? verdict
      : { ok: true, host: '', path: head.target, query: '', bodyLength: null };
    const exchange = new StreamExchange({ host: this, stream, head, entered, expectsContinue });
    void (refusal ? this.#refuse(exchange, head, refusal) : this.#serve(exchange, head)).catch(() => exchange.abort());
  }

  async #serve(exchange: StreamExchange, head: StreamHead): Promise<void> {
    try {
      await this.#options.handle(exchange);
      if (!exchange.answered) throw new Error('the request was handled without an answer');
    } catch (error) {
      // A client that left before the answer gets none, and no code is invented for it (rule R8).
      if (exchange.headSent || exchange.signal.aborted) exchange.abort();
      else await this.#refuse(exchange, head, asFault(error, this.hop));
    }
  }

  async #refuse(exchange: StreamExchange, head: StreamHead, fault: Fault): Promise<void> {
    const { remoteAddress, remotePort } = this;
    const answer = this.#options.onFault(fault, {
      method: head.method,
      target: head.target,
      httpVersion: '2.0',
      fields: new Fields(head.rawHeaders),
      remoteAddress,
      remotePort,
      receivedAtMs: exchange.receivedAtMs,
    });
    const delivery = await exchange.respond(answer);
    answer.sent?.(delivery);
  }

  /** Without a stream for so long, the connection ends; one that does not take part in that is cut. */
  #wait(delayMs: number): void {
    if (this.#session.destroyed) return;
    this.#timer?.cancel();
    this.#timer = this.clock.setTimer(delayMs, () => {
      this.drain();
      this.#linger();
    });
  }

  #linger(): void {
    this.#timer?.cancel();
    this.#timer = this.clock.setTimer(LINGER_MS, () => this.cut());
  }
}

function fieldOf({ rawHeaders }: StreamHead, name: string): string | undefined {
  const at = rawHeaders.findIndex((line, index) => index % 2 === 0 && line === name);
  return at < 0 ? undefined : rawHeaders[at + 1];
}
