/**
 * One request and its response on one connection (RFC 9112), with a deadline for each phase: writing (while bytes
 * wait for the peer to take them), the head (from the last byte sent), the body (while we wait for bytes that
 * somebody wants). The complication is the order of things: a response may begin and end before the request does,
 * and whatever fails first names the failure. Later symptoms of our own tearing down are not looked at.
 */
import type { Duplex } from 'node:stream';
import { Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Clock } from '../base/clock.ts';
import { Fields } from '../http/fields.ts';
import type { HttpResponse } from '../http/message.ts';
import { bodyFailure, headFailure } from './classify.ts';
import type { Connection } from './connection.ts';
import { Deadline } from './deadline.ts';
import { codeOf, StageFailure, type Trail } from './failure.ts';
import { checkHead, checkTrailers, contentLength, endsWithConnection, fieldsFrom } from './head.ts';
import { ResponseBody } from './response-body.ts';
import type { Attempt, UpstreamCall } from './types.ts';

export interface ExchangeOptions {
  readonly clock: Clock;
  readonly trail: Trail;
  readonly attempt: Attempt;
  /** Response fields that no limit counts. */
  readonly exempt: (lowerName: string) => boolean;
  /** The exchange is over and the connection free; it may have been closed. */
  readonly release: (connection: Connection) => void;
  /** The connection belongs to the caller from now on. */
  readonly detach: (connection: Connection) => void;
}

export interface ExchangeAnswer {
  readonly response: HttpResponse;
  readonly socket?: Duplex;
}

/** Why an exchange gave no response, and whether that proves that the request may be sent once more (R6). */
export class ExchangeFailure extends Error {
  readonly reason: unknown;
  readonly replayable: boolean;

  constructor(reason: unknown, replayable: boolean) {
    super('exchange failed', { cause: reason });
    this.reason = reason;
    this.replayable = replayable;
  }
}

/** Resolves with a complete response head; rejects with an `ExchangeFailure` or with the signal's reason. */
export function exchange(
  connection: Connection,
  call: UpstreamCall,
  options: ExchangeOptions,
): Promise<ExchangeAnswer> {
  return new Promise((resolve, reject) => new Exchange(connection, call, options, resolve, reject).start());
}

/** Sending them twice does no harm (RFC 9110 section 9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);

class Exchange implements Dispatcher.DispatchHandler {
  readonly #connection: Connection;
  readonly #call: UpstreamCall;
  readonly #options: ExchangeOptions;
  readonly #resolve: (answer: ExchangeAnswer) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #aborted = (): void => this.#fail(this.#call.signal.reason);
  #deadline: Deadline | undefined;
  #phase: 'send' | 'head' | 'body' | 'over' = 'send';
  #started = false;
  #requestSent = false;
  #receivedBefore = 0;
  /** When the phase that is under way began. */
  #sinceMs = 0;
  #fields = new Fields();
  #trailers = new Fields();
  #body: ResponseBody | null = null;
  #bodyBytes = 0;

  constructor(
    connection: Connection,
    call: UpstreamCall,
    options: ExchangeOptions,
    resolve: (answer: ExchangeAnswer) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#connection = connection;
    this.#call = call;
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { signal, method, path, fields, body, upgrade } = this.#call;
    if (signal.aborted) {
      this.#fail(signal.reason);
      return;
    }
    signal.addEventListener('abort', this.#aborted, { once: true });
    if (body instanceof Readable) body.on('error', ignore);
    const { wire, client } = this.#connection;
    this.#connection.uses++;
    this.#receivedBefore = wire.bytesReceived;
    this.#sinceMs = this.#options.clock.monotonicMs();
    wire.beginExchange(() => this.#onSendProgress());
    client.dispatch({ method, path: wirePath(path), headers: fields.raw, body, upgrade: upgrade ?? null }, this);
  }

  // What the HTTP client tells, in the order in which it happens.

  onRequestStart(): void {
    this.#started = true;
  }

  onRequestSent(): void {
    this.#requestSent = true;
    if (this.#phase === 'send') this.#measure('sendMs');
    this.#onSendProgress();
  }

  onRequestUpgrade(controller: Dispatcher.DispatchController, status: number, _headers: unknown, socket: Duplex): void {
    if (this.#phase === 'over') {
      socket.destroy();
      return;
    }
    const fields = fieldsFrom(controller.rawHeaders);
    const chosen = fields.get('upgrade')?.toLowerCase();
    if (chosen !== this.#call.upgrade?.toLowerCase()) {
      this.#fail(new StageFailure('head.upgrade', { evidence: { asked: this.#call.upgrade, chosen } }));
      socket.destroy();
      return;
    }
    this.#measure('headMs');
    this.#finish();
    this.#options.detach(this.#connection);
    this.#resolve({ response: { status, fields, body: null }, socket });
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _headers: unknown, reason?: string): void {
    if (this.#phase === 'over') return;
    const fields = fieldsFrom(controller.rawHeaders);
    if (status >= 100 && status < 200) this.#onInformation(status, fields);
    else this.#onHead(controller, status, fields, reason);
  }

  #onHead(controller: Dispatcher.DispatchController, status: number, fields: Fields, reason?: string): void {
    const { limits, passUnknownTransferCoding } = this.#call.origin;
    const failure =
      checkHead(status, fields, limits, this.#options.exempt, passUnknownTransferCoding) ?? this.#checkLength(fields);
    if (failure !== null) {
      this.#fail(failure);
      return;
    }
    this.#measure('headMs');
    this.#fields = fields;
    this.#phase = 'body';
    if (this.#mayHaveBody(status)) this.#openBody(controller);
    this.#resolve({
      response: {
        status,
        fields,
        body: this.#body,
        ...(reason ? { reason } : {}),
        ...(this.#body === null ? {} : { trailers: () => this.#trailers }),
      },
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const body = this.#body;
    if (this.#phase !== 'body' || body === null) return;
    this.#bodyBytes += chunk.length;
    if (this.#bodyBytes > this.#call.origin.limits.bodyBytes) {
      this.#fail(tooLarge(this.#bodyBytes, this.#call));
      return;
    }
    this.#deadline?.touch();
    if (body.push(chunk)) return;
    controller.pause();
    // Nobody asks the upstream for anything now, so its silence is not its own.
    this.#stopDeadline();
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    if (this.#phase !== 'body') return;
    const { wire } = this.#connection;
    if (wire.failure !== null && this.#body !== null && endsWithConnection(this.#fields)) {
      this.#fail(bodyFailure(wire.failure, this.#connection, this.#progress()));
      return;
    }
    this.#trailers = fieldsFrom(controller.rawTrailers);
    if (this.#body !== null) this.#measureBody();
    const failure = checkTrailers(this.#trailers, this.#call.origin.limits, this.#options.exempt);
    if (failure !== null) {
      this.#fail(failure);
      return;
    }
    this.#finish();
    this.#body?.push(null);
    // The client closes the wire behind this call if the response says so or the request is not yet sent.
    queueMicrotask(() => this.#options.release(this.#connection));
  }

  onResponseError(_controller: unknown, error: Error): void {
    if (this.#phase === 'over') return;
    const source = this.#call.body;
    const classify = this.#phase === 'body' ? bodyFailure : headFailure;
    if (source instanceof Readable && gaveUp(source, error)) this.#fail(source.errored ?? error);
    else this.#fail(classify(error, this.#connection, this.#progress()));
  }

  // Phases and their deadlines.

  #onSendProgress(): void {
    if (this.#phase === 'send' || this.#phase === 'head') this.#watchRequest();
    else if (this.#phase === 'body') this.#deadline?.touch();
  }

  #watchRequest(): void {
    const { limits } = this.#call.origin;
    const { sending } = this.#connection.wire;
    if (sending) this.#watch(limits.writeIdleMs, 'send.timeout');
    else if (!this.#requestSent) this.#stopDeadline();
    else if (this.#phase === 'send') {
      this.#phase = 'head';
      this.#watch(limits.responseMs, 'head.timeout');
    }
  }

  #onInformation(status: number, fields: Fields): void {
    // On the link the time to the head counts silence only; an upstream has to answer, not to say that it will.
    if (this.#call.origin.leg === 'link') this.#deadline?.touch();
    this.#call.onInformation?.(status, fields);
  }

  #watch(limitMs: number, stage: 'send.timeout' | 'head.timeout' | 'body.timeout'): void {
    this.#stopDeadline();
    const late = (): void => this.#fail(new StageFailure(stage, { evidence: { value: limitMs, ...this.#progress() } }));
    this.#deadline = new Deadline(this.#options.clock, limitMs, late);
  }

  #stopDeadline(): void {
    this.#deadline?.stop();
    this.#deadline = undefined;
  }

  #openBody(controller: Dispatcher.DispatchController): void {
    this.#body = new ResponseBody({
      wanted: () => {
        if (this.#phase === 'body' && this.#deadline === undefined) this.#watchBody();
        controller.resume();
      },
      // The reader lost interest: nothing is wrong with the upstream, but its connection is of no use any more.
      dropped: (error) => this.#fail(error ?? new Error('the response was not read to its end')),
    });
    this.#watchBody();
  }

  #watchBody(): void {
    this.#watch(this.#call.origin.limits.bodyIdleMs, 'body.timeout');
  }

  #mayHaveBody(status: number): boolean {
    if (this.#call.method === 'HEAD' || status === 204 || status === 304) return false;
    return contentLength(this.#fields) !== 0 || this.#fields.has('transfer-encoding');
  }

  #checkLength(fields: Fields): StageFailure | null {
    const length = this.#call.method === 'HEAD' ? 0 : (contentLength(fields) ?? 0);
    return length > this.#call.origin.limits.bodyBytes ? tooLarge(length, this.#call) : null;
  }

  /** Ends a phase of the attempt; the next one begins. */
  #measure(phase: 'sendMs' | 'headMs' | 'bodyMs'): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#options.attempt[phase] = nowMs - this.#sinceMs;
    this.#sinceMs = nowMs;
  }

  #measureBody(): void {
    this.#measure('bodyMs');
    this.#options.attempt.bodyBytes = this.#bodyBytes;
  }

  /** What was under way when it failed took time, too. */
  #measureUnfinished(): void {
    if (this.#sinceMs === 0) return;
    if (this.#phase === 'body') this.#measureBody();
    else this.#measure(this.#requestSent ? 'headMs' : 'sendMs');
  }

  #progress(): { bytesReceived: number; requestSent: boolean; bodyBytes: number } {
    const bytesReceived = this.#connection.wire.bytesReceived - this.#receivedBefore;
    return { bytesReceived, requestSent: this.#requestSent, bodyBytes: this.#bodyBytes };
  }

  // Ends.

  #fail(reason: unknown): void {
    if (this.#phase === 'over') return;
    const { trail, attempt } = this.#options;
    const replayable = this.#isReplayable(reason);
    const afterHead = this.#phase === 'body';
    this.#measureUnfinished();
    this.#finish();
    const ours = reason instanceof StageFailure;
    if (ours) attempt.fault = trail.fault(reason);
    this.#connection.close();
    // What was read of a request's body is gone, so nobody else can send it.
    if (this.#started && this.#call.body instanceof Readable) this.#call.body.destroy();
    if (afterHead) this.#body?.fail(ours ? trail.finalFault(reason) : toError(reason));
    else this.#reject(this.#call.signal.aborted ? this.#call.signal.reason : new ExchangeFailure(reason, replayable));
  }

  /** R6: a kept connection that turns out to be closed says nothing about the upstream. */
  #isReplayable(reason: unknown): boolean {
    if (this.#connection.uses < 2 || !(reason instanceof StageFailure) || reason.stage !== 'head.closed') return false;
    if (!this.#started) return true;
    if (this.#progress().bytesReceived > 0) return false;
    return IDEMPOTENT.has(this.#call.method) && !(this.#call.body instanceof Readable);
  }

  #finish(): void {
    this.#phase = 'over';
    this.#stopDeadline();
    this.#call.signal.removeEventListener('abort', this.#aborted);
  }
}

function tooLarge(bytes: number, call: UpstreamCall): StageFailure {
  const evidence = { limit: 'upstream.bodyBytes', value: call.origin.limits.bodyBytes, seen: bytes };
  return new StageFailure('body.bytes', { parameters: { 'body-size': bytes }, evidence });
}

/** A request whose body fails ends with the body's error, or with the HTTP client's word for "closed early". */
function gaveUp(source: Readable, error: Error): boolean {
  if (!source.destroyed || source.readableEnded) return false;
  return error === source.errored || codeOf(error) === 'UND_ERR_ABORTED';
}

/** A path may come from a template of the project's; what cannot stand in a request line is percent-encoded. */
const wirePath = (path: string): string =>
  path.replace(/[^\x21-\x7e]+/g, (characters) => encodeURIComponent(characters.toWellFormed()));

const toError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)));
function ignore(): void {}
