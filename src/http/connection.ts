/**
 * One client connection: requests are served one after another in the order they came (RFC 9112 section 9.3.2), the
 * clock watches heads and idleness, and whatever cannot be trusted is answered once and then closed, with the rest
 * of the input read and dropped for a moment so that the answer is not lost in a reset.
 */
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock, Timer } from '../base/clock.ts';
import { asFault, Fault, type Hop } from '../status/fault.ts';
import { httpDate } from './date.ts';
import { checkEntry, type Entered, type EntryLimits } from './entry.ts';
import { type ExchangeHost, HttpExchange, type ServerExchange } from './exchange.ts';
import { plainIp } from './forwarded.ts';
import { serialiseLast } from './frame.ts';
import type { Adoption } from './listener.ts';
import { type ParserError, parserFault } from './parser-fault.ts';
import { PhaseWatch } from './phase-watch.ts';
import { type FaultAnswer, type FaultContext, faultContext } from './refusal.ts';
import { RequestBody } from './request-body.ts';
import type { Delivery } from './send.ts';

/** What all connections of a listener share. */
export interface ConnectionOptions {
  readonly handle: (exchange: ServerExchange) => Promise<void>;
  readonly onFault: (fault: Fault, context: FaultContext) => FaultAnswer;
  readonly entryLimits: EntryLimits;
  readonly headMs: number;
  readonly idleMs: number;
  readonly bodyIdleMs: number;
  readonly unreadBodyBytes: number;
  readonly clock: Clock;
  readonly hop: Hop;
  readonly isDraining: () => boolean;
}

/** How a parsed request reached us. */
export interface Arrival {
  readonly expectation: 'none' | 'continue' | 'unknown';
  readonly upgrade: { readonly to: string; readonly head: Buffer } | null;
}

const LINGER_MS = 2_000;
/** Pipelined requests beyond this stop the reading until some are served. */
const MOST_WAITING = 32;

/** A socket as far as both `net.Socket` and an injected `Duplex` have it. */
type ClientSocket = Duplex & {
  remoteAddress?: string;
  remotePort?: number;
  /** On TLS sockets. */
  encrypted?: boolean;
  bytesRead?: number;
  destroySoon?: () => void;
  resetAndDestroy?: () => unknown;
};

export class Connection implements ExchangeHost {
  readonly socket: ClientSocket;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #options: ConnectionOptions;
  readonly #waiting: (() => Promise<void>)[] = [];
  #current: HttpExchange | null = null;
  /** The exchange whose request was parsed last; its body may still be arriving. */
  #latest: HttpExchange | null = null;
  #busy = false;
  /** No further request is taken from the input. */
  #deaf = false;
  /** The last answer is on its way. */
  #lastSent = false;
  #paused = false;
  #upgraded = false;
  #lingering: Timer | undefined;
  readonly #watch: PhaseWatch;

  /** Takes the connection back between two requests. */
  #lender: (() => void) | undefined;
  /** The lender has it. */
  #isBack = false;

  constructor(socket: Duplex, options: ConnectionOptions, { headLeftMs, onIdle }: Adoption = {}) {
    this.#lender = onIdle;
    this.socket = socket;
    this.remoteAddress = plainIp(this.socket.remoteAddress ?? '');
    this.remotePort = this.socket.remotePort ?? 0;
    this.#options = options;
    socket.on('error', () => {}); // 'close' follows and is what counts
    socket.once('end', () => this.#clientLeft());
    socket.once('close', () => this.#closed());
    const { clock, headMs, idleMs } = options;
    const watched = {
      ...{ clock, headMs, idleMs },
      bytesRead: () => this.socket.bytesRead ?? 0,
      onSlowHead: () => this.#slowHead(),
      onSilence: () => this.socket.destroy(),
    };
    this.#watch = new PhaseWatch(watched, headLeftMs);
  }

  /** Neither serving nor in the middle of reading a request. */
  get idle(): boolean {
    return !this.#busy && !this.#upgraded && !this.#isBack && this.#watch.untouched;
  }

  // What the listener tells

  accept(incoming: IncomingMessage, outgoing: ServerResponse, arrival: Arrival): void {
    if (this.#deaf) return;
    this.#isBack = false;
    this.#watch.busy();
    const verdict = checkEntry(
      {
        method: incoming.method!,
        target: incoming.url!,
        httpVersion: incoming.httpVersion,
        rawHeaders: incoming.rawHeaders,
      },
      this.#options.entryLimits,
    );
    let refusal: Fault | null = null;
    if (!verdict.ok) refusal = this.#fault({ cause: verdict.cause, evidence: verdict.evidence });
    else if (arrival.expectation === 'unknown') refusal = this.#fault({ cause: 'request.expectation' });
    const entered: Entered = verdict.ok
      ? verdict
      : { ok: true, host: '', path: incoming.url!, query: '', bodyLength: undefined };
    const exchange = new HttpExchange({
      host: this,
      incoming,
      outgoing,
      entered,
      protocol: this.socket.encrypted === true ? 'https' : 'http',
      expectsContinue: arrival.expectation === 'continue',
      upgrade: arrival.upgrade,
      last: refusal !== null,
    });
    this.#latest = exchange;
    if (refusal || arrival.upgrade) this.#deaf = true;
    const serving = refusal;
    this.#enqueue(() => (serving ? this.#refuse(exchange, serving) : this.#serve(exchange)));
  }

  /** Node has taken its parser off the socket: what comes is for the tunnel, or for nobody. */
  acceptUpgrade(incoming: IncomingMessage, to: string, head: Buffer): void {
    const outgoing = new ServerResponse(incoming);
    outgoing.shouldKeepAlive = false;
    outgoing.assignSocket(this.socket as never);
    this.socket.on('drain', () => outgoing.emit('drain'));
    outgoing.on('finish', () => this.#linger());
    this.accept(incoming, outgoing, { expectation: 'none', upgrade: { to, head } });
  }

  /** CONNECT: refused, a gateway opens no tunnels. */
  acceptConnect(incoming: IncomingMessage): void {
    if (this.#deaf) return;
    this.#refuseRaw(this.#fault({ cause: 'request.method', evidence: { method: 'CONNECT' } }), incoming);
  }

  parserError(error: ParserError): void {
    if (this.#deaf) return;
    const fault = parserFault(error, this.#options.hop, this.#options.entryLimits.pathQueryBytes);
    if (fault === null) {
      this.socket.destroy();
      return;
    }
    const exchange = this.#latest;
    if (exchange === null || isComplete(exchange)) {
      this.#refuseRaw(fault, null);
      return;
    }
    this.#deaf = true;
    // Once it has been answered nobody is left to be told.
    if (this.#current === null) this.socket.destroy();
    else exchange.bodyFailed(fault);
  }

  canUpgrade(): boolean {
    return !this.#busy && !this.#deaf;
  }

  /** Nobody takes the connection back any more. */
  keep(headLeftMs: number): void {
    this.#lender = undefined;
    this.#isBack = false;
    this.#watch.head(headLeftMs);
  }

  closeIfIdle(): void {
    if (this.idle) this.socket.destroy();
  }

  // What exchanges ask for

  get mustClose(): boolean {
    return this.#options.isDraining();
  }

  httpDate(): string {
    return httpDate(this.#options.clock);
  }

  monotonicMs(): number {
    return this.#options.clock.monotonicMs();
  }

  requestBody(incoming: IncomingMessage, onFirstRead: () => void): RequestBody {
    const { clock, bodyIdleMs: idleMs } = this.#options;
    const onIdle = (body: RequestBody): void => {
      body.destroy(this.#fault({ cause: 'request.timeout', details: 'body-timeout', evidence: { value: idleMs } }));
    };
    return new RequestBody(incoming, { clock, idleMs, onFirstRead, onIdle });
  }

  canSkip(exchange: HttpExchange): boolean {
    if (isComplete(exchange) || exchange.bodyIsBeingRead) return true;
    return (exchange.bodyLength ?? 0) <= this.#options.unreadBodyBytes;
  }

  skipRest(exchange: HttpExchange): void {
    if (isComplete(exchange)) return;
    this.socket.destroySoon = () => this.#linger();
    exchange.afterBody(() => this.#drop(exchange.incoming));
  }

  isLast(): void {
    this.#deaf = true;
    this.#lastSent = true;
  }

  cut(): void {
    this.isLast();
    // A socket whose end is already under way cannot be reset: Node would report an error and never close it.
    if (this.socket.resetAndDestroy && !this.socket.writableEnded) this.socket.resetAndDestroy();
    else this.socket.destroy();
  }

  handOver(head: Buffer): Duplex {
    this.isLast();
    this.#upgraded = true;
    this.#watch.stop();
    if (head.length > 0) this.socket.unshift(head);
    return this.socket;
  }

  // Serving

  #enqueue(task: () => Promise<void>): void {
    this.#waiting.push(task);
    if (!this.#busy) void this.#run();
    else if (this.#waiting.length > MOST_WAITING && !this.#paused) {
      this.#paused = true;
      this.socket.pause();
    }
  }

  async #run(): Promise<void> {
    this.#busy = true;
    for (let task = this.#waiting.shift(); task && !this.#lastSent; task = this.#waiting.shift()) {
      await task().catch(() => this.cut()); // not even the error answer could be made
    }
    this.#busy = false;
    if (this.socket.destroyed || this.#lastSent) return;
    if (this.#paused) {
      this.#paused = false;
      this.socket.resume();
    }
    if (this.#options.isDraining()) this.socket.destroySoon?.();
    else if (this.#lender && this.#latest !== null && isComplete(this.#latest)) this.#giveBack(this.#lender);
    else this.#watch.idle();
  }

  #giveBack(lender: () => void): void {
    this.#watch.busy();
    this.#isBack = true;
    lender();
  }

  async #serve(exchange: HttpExchange): Promise<void> {
    this.#current = exchange;
    try {
      await this.#options.handle(exchange);
      if (!exchange.answered) throw new Error('the request was handled without an answer');
    } catch (error) {
      // A client that left before the answer gets none, and no code is invented for it (rule R8).
      if (exchange.headSent || exchange.signal.aborted) exchange.abort();
      else await this.#refuse(exchange, asFault(error, this.#options.hop));
    }
    if (exchange.answered) await exchange.ended;
    this.#current = null;
  }

  async #refuse(exchange: HttpExchange, fault: Fault): Promise<void> {
    const { incoming } = exchange;
    const answer = this.#options.onFault(fault, faultContext(this, incoming, exchange.receivedAtMs));
    const delivery = await exchange.respond(answer);
    answer.sent?.(delivery);
  }

  /** Answers what never became a request, once everything before it has been answered. */
  #refuseRaw(fault: Fault, incoming: IncomingMessage | null): void {
    this.#deaf = true;
    const context = faultContext(this, incoming, this.monotonicMs());
    this.#enqueue(async () => {
      this.isLast();
      const answer = this.#options.onFault(fault, context);
      const { promise, resolve } = Promise.withResolvers<Delivery>();
      const bytes = answer.body?.length ?? 0;
      this.socket.once('close', () => resolve({ bytes: 0, completed: false }));
      this.socket.write(serialiseLast(answer, this.httpDate()), () => resolve({ bytes, completed: true }));
      this.#linger();
      answer.sent?.(await promise);
    });
  }

  #fault(init: Omit<ConstructorParameters<typeof Fault>[0], 'hop'>): Fault {
    return new Fault({ ...init, hop: this.#options.hop });
  }

  // Ending

  /** Ends our side and reads on for a moment: closing with unread input would reset the answer away. */
  #linger(): void {
    this.isLast();
    this.#watch.stop();
    this.#lingering ??= this.#options.clock.setTimer(LINGER_MS, () => this.socket.destroy());
    this.socket.end();
    this.socket.resume();
  }

  #slowHead(): void {
    if (this.#deaf) this.socket.destroy();
    else this.#refuseRaw(this.#fault({ cause: 'request.timeout', evidence: { value: this.#options.headMs } }), null);
  }

  #drop(incoming: IncomingMessage): void {
    let bytes = 0;
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > this.#options.unreadBodyBytes && !this.#lastSent) this.#linger();
    });
    incoming.resume();
  }

  #clientLeft(): void {
    if (this.#upgraded) return; // the tunnel sees it
    this.#deaf = true;
    this.#current?.clientLeft();
  }

  #closed(): void {
    this.isLast();
    this.#watch.stop();
    this.#lingering?.cancel();
    this.#current?.clientLeft();
    this.#latest?.clientLeft();
  }
}

/** At the time of its head a request without a body does not count as complete with Node, but is. */
const isComplete = (exchange: HttpExchange): boolean => exchange.bodyLength === null || exchange.incoming.complete;
