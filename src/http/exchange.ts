/**
 * One request and the one answer to it, as the listener hands it to the pipeline. The pipeline answers exactly once:
 * `respond` or `upgrade`; interim responses may come before.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Fault } from '../status/fault.ts';
import type { Entered } from './entry.ts';
import { Fields } from './fields.ts';
import { type FrameContext, frameResponse, type HttpVersion, serialiseHead } from './frame.ts';
import { letGo } from './let-go.ts';
import type { Body, HttpRequest, HttpResponse } from './message.ts';
import { ClientLeft, type RequestBody } from './request-body.ts';
import { type Delivery, send } from './send.ts';

export interface ServerExchange {
  readonly request: HttpRequest;
  /** Address of the peer, IPv4 without IPv6 wrapping; empty when it has already left. */
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly httpVersion: HttpVersion;
  /** Monotonic ms of the clock when the request head was complete. */
  readonly receivedAtMs: number;
  /** Aborted, with a `ClientLeft` as reason, when the client leaves before the answer has ended. */
  readonly signal: AbortSignal;
  /** Protocol that the client asks to switch to (`websocket`); undefined for an ordinary request. */
  readonly upgradeTo: string | undefined;
  /** The head of the answer is out: nothing but `abort` can change what the client sees. */
  readonly headSent: boolean;
  /** Sends 100 to a client that waits for it. The first read of the body does the same. */
  continue(): void;
  /** Sends an interim response (102, 103); nothing for an HTTP/1.0 client or after the head. */
  inform(status: number, fields?: Fields): void;
  /**
   * Sends the answer and resolves when its last byte is with the system or the client has left. Throws, with nothing
   * sent, when a header line is not sendable. A body that fails after the head cuts the connection.
   */
  respond(response: HttpResponse): Promise<Delivery>;
  /**
   * Answers 101 and gives the connection away, bytes that came behind the request included. Only when `upgradeTo` is
   * set. `fields` are those of the next hop's 101; Connection and Upgrade are added.
   */
  upgrade(fields: Fields): Duplex;
  /** Cuts the connection at once. */
  abort(): void;
}

/** What an exchange needs of its connection. */
export interface ExchangeHost {
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** No further request is wanted: the process drains. */
  readonly mustClose: boolean;
  httpDate(): string;
  monotonicMs(): number;
  requestBody(incoming: IncomingMessage, onFirstRead: () => void): RequestBody;
  /** Request bytes still to come can be read and dropped within bounds. */
  canSkip(exchange: HttpExchange): boolean;
  /** Starts to read and drop what is left of the request. */
  skipRest(exchange: HttpExchange): void;
  /** The answer that has just started is the last one on this connection. */
  isLast(): void;
  cut(): void;
  /** The connection is no longer HTTP. */
  handOver(head: Buffer): Duplex;
}

export interface ExchangeInit {
  readonly host: ExchangeHost;
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly entered: Entered;
  readonly protocol: 'http' | 'https';
  readonly expectsContinue: boolean;
  readonly upgrade: { readonly to: string; readonly head: Buffer } | null;
  /** Its answer ends the connection: what follows in the input cannot be trusted. */
  readonly last: boolean;
}

export class HttpExchange implements ServerExchange {
  readonly request: HttpRequest;
  readonly httpVersion: '1.0' | '1.1';
  readonly receivedAtMs: number;
  readonly incoming: IncomingMessage;
  readonly bodyLength: number | undefined | null;
  /** Resolves when the answer has ended, however it did. */
  readonly ended: Promise<void>;
  readonly #outgoing: ServerResponse;
  readonly #host: ExchangeHost;
  readonly #upgrade: ExchangeInit['upgrade'];
  readonly #body: RequestBody | null;
  readonly #end: () => void;
  #awaitsContinue: boolean;
  #last: boolean;
  #abort: AbortController | undefined;
  #left = false;
  #answered = false;
  #over = false;

  constructor({ host, incoming, outgoing, entered, protocol, expectsContinue, upgrade, last }: ExchangeInit) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
    this.#host = host;
    this.incoming = incoming;
    this.#outgoing = outgoing;
    this.#upgrade = upgrade;
    this.#last = last;
    this.bodyLength = entered.bodyLength;
    this.httpVersion = incoming.httpVersion as '1.0' | '1.1';
    this.receivedAtMs = host.monotonicMs();
    this.#awaitsContinue = expectsContinue && entered.bodyLength !== null;
    this.#body = entered.bodyLength === null ? null : this.#makeBody();
    const { path, query, host: name } = entered;
    const fields = new Fields(incoming.rawHeaders);
    this.request = { method: incoming.method!, protocol, host: name, path, query, fields, body: this.#body };
  }

  get remoteAddress(): string {
    return this.#host.remoteAddress;
  }

  get remotePort(): number {
    return this.#host.remotePort;
  }

  get upgradeTo(): string | undefined {
    return this.#upgrade?.to;
  }

  get headSent(): boolean {
    return this.#outgoing.headersSent || this.#answered;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#left) this.#abort.abort(new ClientLeft());
    return this.#abort.signal;
  }

  continue(): void {
    if (!this.#awaitsContinue || this.headSent) return;
    this.#awaitsContinue = false;
    this.#outgoing.writeContinue();
  }

  inform(status: number, fields: Fields = new Fields()): void {
    if (this.httpVersion === '1.0' || this.headSent || this.#left) return;
    this.#outgoing.writeInformation(status, fields.raw);
  }

  async respond(response: HttpResponse): Promise<Delivery> {
    if (this.#answered) throw new Error('the exchange has been answered');
    if (response.status < 200 || response.status > 999) throw new RangeError(`not a final status: ${response.status}`);
    if (this.#left) return this.#nobody(response);
    const framed = frameResponse(response, this.#frameContext());
    const sending = send(this.#outgoing, framed, {
      cut: () => this.#host.cut(),
      beforeEnd: () => this.#host.skipRest(this),
    });
    this.#answered = true;
    if (framed.last) this.#host.isLast();
    if (framed.body === null) letGo(response.body);
    const delivery = await sending;
    this.#finish();
    return delivery;
  }

  upgrade(fields: Fields): Duplex {
    if (!this.#upgrade || this.#answered) throw new Error('nothing to upgrade');
    this.#answered = true;
    const lines = fields.clone().deleteWhere((name) => name === 'connection' || name === 'upgrade');
    const offered = fields.get('upgrade') ?? this.#upgrade.to;
    lines.append('Connection', 'Upgrade').append('Upgrade', offered);
    const tunnel = this.#host.handOver(this.#upgrade.head);
    tunnel.write(serialiseHead(101, 'Switching Protocols', lines.raw));
    tunnel.once('close', () => this.#finish());
    return tunnel;
  }

  abort(): void {
    this.#answered = true;
    this.#host.cut();
  }

  /** The connection is gone. */
  clientLeft(): void {
    if (this.#over || this.#left) return;
    this.#left = true;
    this.#body?.destroy(new ClientLeft());
    this.#abort?.abort(new ClientLeft());
    this.#finish();
  }

  get answered(): boolean {
    return this.#answered;
  }

  get bodyIsBeingRead(): boolean {
    return this.#body?.started === true && !this.#body.destroyed;
  }

  /** Calls back as soon as nobody reads the body any more. */
  afterBody(then: () => void): void {
    if (this.bodyIsBeingRead) this.#body!.once('close', then);
    else then();
  }

  /** The rest of the body cannot be had: who reads it is told why. */
  bodyFailed(fault: Fault): void {
    this.#last = true;
    this.#body?.destroy(fault);
  }

  #makeBody(): RequestBody {
    const body = this.#host.requestBody(this.incoming, () => this.continue());
    body.on('error', () => {}); // told to who reads; nobody has to
    return body;
  }

  #frameContext(): FrameContext {
    const close =
      this.#last ||
      this.#host.mustClose ||
      !this.#outgoing.shouldKeepAlive ||
      this.#awaitsContinue ||
      this.#upgrade !== null ||
      !this.#host.canSkip(this);
    return { method: this.request.method, httpVersion: this.httpVersion, close, date: this.#host.httpDate() };
  }

  #nobody(response: HttpResponse): Delivery {
    this.#answered = true;
    abandon(response.body);
    return { bytes: 0, completed: false };
  }

  #finish(): void {
    this.#over = true;
    this.#end();
  }
}

/** The client has left. */
function abandon(body: Body): void {
  if (body === null || Buffer.isBuffer(body)) return;
  body.on('error', () => {});
  body.destroy();
}
