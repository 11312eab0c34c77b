/**
 * One HTTP/2 stream as an exchange: the same promises to the pipeline as one request of an HTTP/1 connection. After
 * the head a failure resets the stream and leaves its neighbours on the connection alone.
 */
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { constants, type ServerHttp2Stream } from 'node:http2';
import type { Duplex, Readable } from 'node:stream';
import type { Clock, Timer } from '../../base/clock.ts';
import { Fault, type Hop } from '../../status/fault.ts';
import type { Entered } from '../entry.ts';
import type { ServerExchange } from '../exchange.ts';
import { Fields } from '../fields.ts';
import { type Framed, frameResponse } from '../frame.ts';
import { letGo } from '../let-go.ts';
import type { HttpRequest, HttpResponse } from '../message.ts';
import { ClientLeft, RequestBody } from '../request-body.ts';
import type { Delivery } from '../send.ts';
import type { StreamHead } from './head.ts';

export interface StreamHost {
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly clock: Clock;
  readonly hop: Hop;
  readonly bodyIdleMs: number;
  /** Longest time in which a client takes nothing of a response. */
  readonly writeIdleMs: number;
  httpDate(): string;
}

export interface StreamExchangeInit {
  readonly host: StreamHost;
  readonly stream: ServerHttp2Stream;
  readonly head: StreamHead;
  readonly entered: Entered;
  readonly expectsContinue: boolean;
}

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = constants;

export class StreamExchange implements ServerExchange {
  readonly request: HttpRequest;
  readonly httpVersion = '2.0';
  readonly receivedAtMs: number;
  readonly upgradeTo = undefined;
  readonly #stream: ServerHttp2Stream;
  readonly #host: StreamHost;
  readonly #body: RequestBody | null;
  #awaitsContinue: boolean;
  #answered = false;
  #over = false;
  #left = false;
  #abort: AbortController | undefined;

  constructor({ host, stream, head, entered, expectsContinue }: StreamExchangeInit) {
    this.#host = host;
    this.#stream = stream;
    this.receivedAtMs = host.clock.monotonicMs();
    const fields = new Fields(head.rawHeaders);
    const hasBody = !stream.endAfterHeaders && fields.get('content-length') !== '0';
    this.#awaitsContinue = expectsContinue && hasBody;
    this.#body = hasBody ? this.#makeBody() : null;
    const { path, query, host: name } = entered;
    const protocol = head.scheme === 'http' ? 'http' : 'https';
    this.request = { method: head.method, protocol, host: name, path, query, fields, body: this.#body };
    stream.once('close', () => this.#closed());
  }

  get remoteAddress(): string {
    return this.#host.remoteAddress;
  }

  get remotePort(): number {
    return this.#host.remotePort;
  }

  get headSent(): boolean {
    return this.#answered;
  }

  get answered(): boolean {
    return this.#answered;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#left) this.#abort.abort(new ClientLeft());
    return this.#abort.signal;
  }

  continue(): void {
    if (!this.#awaitsContinue) return;
    this.#awaitsContinue = false;
    this.inform(100);
  }

  inform(status: number, fields: Fields = new Fields()): void {
    if (this.#answered || this.#left || this.#stream.destroyed) return;
    this.#stream.additionalHeaders({ ':status': status, ...linesByName(fields) });
  }

  async respond(response: HttpResponse): Promise<Delivery> {
    if (this.#answered) throw new Error('the exchange has been answered');
    if (response.status < 200 || response.status > 999) throw new RangeError(`not a final status: ${response.status}`);
    const date = this.#host.httpDate();
    const framed = frameResponse(response, { method: this.request.method, httpVersion: '2.0', close: false, date });
    if (this.#left || this.#stream.destroyed) {
      this.#answered = true;
      drop(response);
      return { bytes: 0, completed: false };
    }
    const { body, trailers } = framed;
    // With input still to come the head has to be out before the input is refused, and only an end tells that.
    const endStream = body === null && this.#body === null;
    this.#stream.respond(linesOf(framed), { endStream, waitForTrailers: trailers !== undefined });
    this.#answered = true;
    if (trailers) this.#stream.once('wantTrailers', () => this.#sendTrailers(trailers));
    if (body === null) letGo(response.body);
    const delivery = await this.#send(framed);
    this.#over = delivery.completed;
    this.#endInput();
    return delivery;
  }

  upgrade(): Duplex {
    throw new Error('nothing to upgrade');
  }

  abort(): void {
    this.#answered = true;
    this.#stream.close(NGHTTP2_INTERNAL_ERROR);
  }

  #makeBody(): RequestBody {
    const { clock, bodyIdleMs: idleMs, hop } = this.#host;
    const body = new RequestBody(this.#stream, {
      clock,
      idleMs,
      onFirstRead: () => this.continue(),
      onIdle: (idle) => idle.destroy(new Fault({ cause: 'request.timeout', details: 'body-timeout', hop })),
    });
    body.on('error', () => {}); // told to who reads; nobody has to
    return body;
  }

  #send(framed: Framed): Promise<Delivery> {
    const stream = this.#stream;
    const { body, trailers } = framed;
    const { promise, resolve } = Promise.withResolvers<Delivery>();
    const progress = this.#watchProgress();
    const sent: Sent = { bytes: 0, failed: undefined };
    const isWhole = () => sent.failed === undefined && stream.writableEnded && stream.rstCode === NGHTTP2_NO_ERROR;
    const settle = (completed: boolean): void => {
      progress.stop();
      if (body !== null && !Buffer.isBuffer(body)) body.destroy();
      const { bytes, failed } = sent;
      resolve({ bytes, completed, ...(failed === undefined ? {} : { error: failed }) });
    };
    // Trailers follow the last byte; only the closed stream tells that they are out.
    if (trailers === undefined) stream.once('finish', () => stream.rstCode === NGHTTP2_NO_ERROR && settle(isWhole()));
    stream.once('close', () => settle(isWhole()));
    if (body === null) {
      if (this.#body !== null) stream.end();
    } else if (Buffer.isBuffer(body)) {
      sent.bytes = body.length;
      stream.end(body);
    } else this.#pump(framed, body, sent, progress);
    return promise;
  }

  #pump(framed: Framed, body: Readable, sent: Sent, progress: Progress): void {
    const stream = this.#stream;
    const fail = (error: unknown): void => {
      if (sent.failed !== undefined || stream.writableEnded) return;
      sent.failed = error;
      body.destroy();
      stream.close(NGHTTP2_INTERNAL_ERROR);
    };
    body.on('data', (chunk: Buffer) => {
      if (framed.length !== undefined && sent.bytes + chunk.length > framed.length) {
        fail(new Error(`body is longer than the declared ${framed.length} bytes`));
        return;
      }
      sent.bytes += chunk.length;
      if (stream.write(chunk)) return;
      body.pause();
      progress.expect();
    });
    stream.on('drain', () => {
      progress.stop();
      body.resume();
    });
    body.on('error', fail);
    body.on('close', () => {
      if (!body.readableEnded) fail(new Error('body closed before its end'));
    });
    body.on('end', () => {
      if (framed.length !== undefined && sent.bytes < framed.length) {
        fail(new Error(`body ended after ${sent.bytes} of the declared ${framed.length} bytes`));
        return;
      }
      progress.expect();
      stream.end();
    });
    progress.stop();
  }

  /** A client that opens no window must not hold what we have for it: after a while without progress it is reset. */
  #watchProgress(): Progress {
    const { clock, writeIdleMs } = this.#host;
    let timer: Timer | undefined;
    const stop = (): void => timer?.cancel();
    const expect = (): void => {
      stop();
      if (Number.isFinite(writeIdleMs)) timer = clock.setTimer(writeIdleMs, () => this.#stream.close(NGHTTP2_CANCEL));
    };
    expect();
    return { expect, stop };
  }

  #sendTrailers(trailers: () => Fields): void {
    this.#stream.sendTrailers(linesByName(trailers()));
  }

  /** What is left of the request is not wanted: the client is told to stop without an error (RFC 9113 section 8.1). */
  #endInput(): void {
    const body = this.#body;
    if (body !== null && !body.readableEnded && !this.#stream.destroyed) this.#stream.close(NGHTTP2_NO_ERROR);
  }

  #closed(): void {
    if (this.#over || this.#left) return;
    if (this.#answered && this.#stream.rstCode === NGHTTP2_NO_ERROR) return;
    this.#left = true;
    this.#body?.destroy(new ClientLeft());
    this.#abort?.abort(new ClientLeft());
  }
}

interface Sent {
  bytes: number;
  failed: unknown;
}

interface Progress {
  /** From now on something has to move. */
  expect(): void;
  stop(): void;
}

/** Throws for a line that cannot be sent, as an HTTP/1 connection would. */
function linesOf({ status, head }: Framed): string[] {
  const raw = [':status', String(status)];
  for (let at = 0; at < head.length; at += 2) {
    const name = head[at]!.toLowerCase();
    validateHeaderName(name);
    validateHeaderValue(name, head[at + 1]!);
    raw.push(name, head[at + 1]!);
  }
  return raw;
}

const linesByName = (fields: Fields): Record<string, string[]> =>
  Object.fromEntries(fields.raw.filter((_, at) => at % 2 === 0).map((name) => [name.toLowerCase(), fields.all(name)]));

function drop({ body }: HttpResponse): void {
  if (body === null || Buffer.isBuffer(body)) return;
  body.on('error', () => {});
  body.destroy();
}
