/**
 * One request in the hands of one worker: from hand-over to the end of the response, the deadline, or whatever
 * goes wrong in between. The first end counts; what our own tearing down causes afterwards is not looked at.
 */
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import type { Timer } from '../base/clock.ts';
import { Fields } from '../http/fields.ts';
import { BodyPipe } from '../http/held-failure.ts';
import type { Body } from '../http/message.ts';
import { asFault, Fault } from '../status/fault.ts';
import type { BrokerSession } from './broker.ts';
import { faultLine } from './fault-line.ts';
import { bodyFault, HOP_BY_HOP, headFault, headOverflow, malformed, trailerFault } from './head.ts';
import { brokenBy, handlerEnded } from './inquiry.ts';
import type { GuestFault, RunReply } from './ipc.ts';
import { endFault, reportFault, type WorkerEnd } from './outcome.ts';
import { declaredLength, outgoingRequest, sendBody } from './request.ts';
import type { Room } from './room.ts';
import { type Handover, telemetry, withEvidence, workerTelemetry } from './telemetry.ts';
import { timeoutFault } from './timeout.ts';
import type { ComputeAnswer, ComputeCall } from './types.ts';
import type { Worker, WorkerRun } from './worker.ts';

/** A connection that breaks is explained by the end of its process, if that comes this soon. */
const EXPLANATION_MS = 1_000;
/** A reader that does not read is not the project's fault: look again after this. */
const READER_RECHECK_MS = 1_000;
const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE']);
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE']);

/** What becomes of the worker: free at once, replaced, or watched until the abandoned handler has ended. */
type Afterwards = 'free' | 'retire' | 'linger';

export class Exchange {
  readonly answer: Promise<ComputeAnswer>;
  /** The worker has nothing more to do with the request. */
  readonly released: Promise<void>;
  /** The answer is a fault, and none that this request has caused: another worker may be asked, once. */
  repeatable = false;

  readonly #room: Room;
  readonly #worker: Worker;
  readonly #call: ComputeCall;
  readonly #handover: Handover;
  readonly #run: WorkerRun;
  readonly #session: BrokerSession;
  readonly #answered = Promise.withResolvers<ComputeAnswer>();
  readonly #released = Promise.withResolvers<void>();
  #request: ClientRequest | undefined;
  #out: BodyPipe | undefined;
  #over = false;
  #deadline: Timer;
  #retried = false;

  constructor(room: Room, worker: Worker, call: ComputeCall, handover: Handover) {
    this.#room = room;
    this.#worker = worker;
    this.#call = call;
    this.#handover = handover;
    this.answer = this.#answered.promise;
    this.released = this.#released.promise;
    // The caller may come to it a turn later.
    this.answer.catch(() => {});
    this.#run = worker.begin(call);
    this.#session = room.broker.open(this.#run.token, call);
    this.#deadline = this.#armDeadline(room.limits.responseMs - room.limits.reservedMs);
    call.signal.addEventListener('abort', this.#onAbort, { once: true });
    void this.#start();
  }

  async #start(): Promise<void> {
    try {
      if (this.#worker.state === 'starting') await this.#worker.ready;
      if (!this.#over) this.#send(this.#worker.agent);
    } catch (error) {
      this.#fail(asFault(error, 'compute'), 'retire');
    }
  }

  #send(agent: Worker['agent'] | false): void {
    const { limits } = this.#room;
    const request = httpRequest({ ...outgoingRequest(this.#worker, this.#run), agent });
    // Node cuts headers beyond 1,000 lines without a word unless told not to.
    request.maxHeadersCount = 0;
    this.#request = request;
    request.once('response', (response) => this.#onResponse(response));
    request.once('upgrade', (_response, socket) => {
      socket.destroy();
      this.#fail(malformed('an upgrade that nobody asked for'), 'retire');
    });
    request.on('error', (error: NodeJS.ErrnoException) => {
      if (this.#request === request) this.#onRequestError(error);
    });
    sendBody(this.#call.request, request, limits.requestBytes, (fault) => this.#fail(fault, 'linger'));
  }

  #onRequestError(error: NodeJS.ErrnoException): void {
    if (this.#over) return;
    if (error.code === 'HPE_HEADER_OVERFLOW') this.#fail(headOverflow(this.#room.limits.headerBytes, error), 'retire');
    else if (error.code?.startsWith('HPE_')) this.#fail(malformed(error.message, error), 'retire');
    else if (this.#mayRetry(error)) {
      this.#retried = true;
      this.#send(false);
    } else if (this.#out === undefined) void this.#explain(error);
  }

  /** An idle connection that the app closed at the same moment; nothing has been answered on it. */
  #mayRetry({ code }: NodeJS.ErrnoException): boolean {
    const wasIdle = this.#request?.reusedSocket === true && (code === 'ECONNRESET' || code === 'EPIPE');
    const untold = !this.#retried && !this.#run.report;
    return wasIdle && untold && this.#replayable(IDEMPOTENT) && this.#call.target.kind === 'app';
  }

  #replayable(methods: ReadonlySet<string>): boolean {
    const { method, body } = this.#call.request;
    return methods.has(method) && (body === null || Buffer.isBuffer(body));
  }

  #onResponse(response: IncomingMessage): void {
    const fields = new Fields(response.rawHeaders);
    const reply = this.#call.target.kind === 'route' ? this.#reply(fields) : undefined;
    if (this.#over) return;
    if (reply?.fault) this.#refused(reply.fault);
    else this.#accept(response, fields, reply);
  }

  #accept(response: IncomingMessage, fields: Fields, reply: RunReply | undefined): void {
    const status = response.statusCode!;
    const { responseBytes } = this.#room.limits;
    const empty = this.#call.request.method === 'HEAD' || status === 204 || status === 304;
    const declared = empty ? 0 : declaredLength(fields);
    const tooLarge = declared > responseBytes ? bodyFault(responseBytes, declared) : null;
    const problem = headFault(status, fields, this.#room) ?? tooLarge;
    if (problem) {
      this.#fail(problem, problem.why === 'compute.malformed' ? 'retire' : 'linger');
      return;
    }
    const head = {
      status,
      reason: response.statusMessage ?? '',
      fields: fields.deleteWhere((name) => HOP_BY_HOP.has(name)),
    };
    const deliver = (body: Body): void => {
      const trailers = (): Fields => new Fields(response.rawTrailers);
      const figures = workerTelemetry(this.#worker, this.#handover, this.#room.clock.monotonicMs(), reply);
      this.#answered.resolve({ response: { ...head, body, trailers }, telemetry: figures });
    };
    if (empty || reply?.whole) this.#collect(response, (body) => deliver(empty ? null : body));
    else this.#stream(response, deliver);
  }

  #reply(fields: Fields): RunReply | undefined {
    const text = fields.get(this.#worker.runHeader);
    fields.delete(this.#worker.runHeader);
    try {
      return JSON.parse(text ?? '') as RunReply;
    } catch (error) {
      this.#fail(new Fault({ cause: 'platform.internal', hop: 'compute', error }), 'retire');
      return undefined;
    }
  }

  /** The handler failed; what failed in a platform-managed call keeps the name that it was given there. */
  #refused(report: GuestFault): void {
    const inner = report.ref === undefined ? undefined : this.#session.faultOf(report.ref);
    this.#fail(
      inner ?? reportFault(report, this.#worker.wi),
      inner || report.kind === 'content-coding' ? 'free' : 'retire',
    );
  }

  #collect(response: IncomingMessage, deliver: (body: Buffer) => void): void {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', (error) => void this.#explain(error));
    response.once('end', () => {
      if (this.#over) return;
      deliver(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks));
      this.#finish('free');
    });
  }

  #stream(response: IncomingMessage, deliver: (body: BodyPipe) => void): void {
    const { responseBytes } = this.#room.limits;
    const out = new BodyPipe();
    this.#out = out;
    let seen = 0;
    response.on('data', (chunk: Buffer) => {
      seen += chunk.length;
      if (seen > responseBytes) this.#fail(bodyFault(responseBytes, seen), 'linger');
      else if (!out.write(chunk)) response.pause();
    });
    out.on('drain', () => response.resume());
    response.on('error', (error) => void this.#explain(error));
    response.once('end', () => {
      if (this.#over) return;
      const problem = trailerFault(new Fields(response.rawTrailers), this.#room);
      if (problem) return this.#fail(problem, 'free');
      out.end();
      this.#finish('free');
    });
    // The reader left.
    out.once('close', () => this.#abandon());
    deliver(out);
  }

  /** The connection broke. Who knows more: the guest, the process's end, or nobody. */
  async #explain(error: Error): Promise<void> {
    if (this.#over) return;
    const found = await brokenBy(this.#worker, this.#run, this.#room.clock, EXPLANATION_MS);
    if (this.#over) return;
    const { wi } = this.#worker;
    if (found === null) {
      const evidence = { worker: wi, message: error.message };
      this.#fail(new Fault({ cause: 'compute.incomplete', hop: 'compute', evidence, error }), 'retire');
    } else if ('kind' in found) this.#refused(found);
    else this.#ended(found);
  }

  /** The process is gone. Whether this request is to blame decides if it is asked again elsewhere. */
  #ended(end: WorkerEnd): void {
    const { reportToken } = end;
    const foreign = reportToken !== undefined && reportToken !== this.#run.token;
    const reached = this.#run.begun || this.#call.runnable.app?.kind === 'command';
    this.repeatable =
      this.#out === undefined &&
      end.killed !== 'stop' &&
      ((!reached && this.#replayable(IDEMPOTENT)) || (foreign && this.#replayable(SAFE)));
    const fault = endFault(end, this.#room.projectCrashed);
    const leftBy = foreign ? this.#worker.requestOf(reportToken) : undefined;
    this.#fail(foreign ? withEvidence(fault, { leftBy, begun: this.#run.begun }) : fault, 'retire');
  }

  #armDeadline(delayMs: number): Timer {
    // One turn of the event loop first: an answer that has arrived but was not noticed is not late.
    return this.#room.clock.setTimer(delayMs, () => setImmediate(() => void this.#onDeadline()));
  }

  async #onDeadline(): Promise<void> {
    if (this.#over) return;
    if (this.#out?.writableNeedDrain) {
      this.#deadline = this.#armDeadline(READER_RECHECK_MS);
      return;
    }
    const fault = await timeoutFault(this.#room, this.#worker, this.#run, this.#session);
    if (this.#over) return;
    if (this.#worker.state === 'ended') return this.#explain(new Error('the worker ended at the deadline'));
    // A worker that still loads has a limit of its own: the next request may find it ready.
    if (this.#worker.state === 'starting') return this.#fail(fault, 'free');
    this.#worker.kill('deadline');
    this.#fail(fault, 'retire');
  }

  #onAbort = (): void => this.#abandon();

  /** Nobody waits any more: no fault is invented. */
  #abandon(): void {
    if (this.#over) return;
    this.#over = true;
    this.#answered.reject(this.#call.signal.reason ?? new Error('the reader left'));
    this.#out?.destroy();
    this.#finish('linger');
  }

  #fail(fault: Fault, afterwards: Afterwards): void {
    if (this.#over) return;
    this.#over = true;
    const nowMs = this.#room.clock.monotonicMs();
    const told = withEvidence(fault, { telemetry: telemetry(this.#handover, nowMs), worker: this.#worker.wi });
    this.#worker.tellFault(this.#run, faultLine(told, this.repeatable));
    if (this.#out) this.#out.fail(told);
    else this.#answered.reject(told);
    this.#finish(afterwards);
  }

  #finish(afterwards: Afterwards): void {
    const complete = !this.#over;
    this.#over = true;
    this.#deadline.cancel();
    this.#call.signal.removeEventListener('abort', this.#onAbort);
    this.#room.broker.close(this.#run.token);
    if (!complete) this.#request?.destroy();
    if (afterwards === 'linger' && this.#request && this.#call.target.kind === 'route') void this.#linger();
    else this.#release(afterwards);
  }

  /** The handler goes on for nobody: the worker is free when it ends, and ended at its deadline. */
  async #linger(): Promise<void> {
    const { clock, limits } = this.#room;
    const leftMs = limits.responseMs - (clock.monotonicMs() - this.#handover.handedOverMs);
    const timer = clock.setTimer(Math.max(0, leftMs), () => this.#worker.kill('deadline'));
    this.#worker.abort(this.#run.token);
    await handlerEnded(this.#worker, this.#run.token);
    timer.cancel();
    this.#release('free');
  }

  #release(afterwards: Afterwards): void {
    this.#worker.busyMs += this.#room.clock.monotonicMs() - this.#handover.handedOverMs;
    this.#worker.finish(this.#run);
    if (afterwards === 'retire' || this.#worker.served >= this.#room.requestsPerWorker) this.#worker.retire();
    this.#released.resolve();
  }
}
