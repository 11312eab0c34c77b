/**
 * Platform-managed calls of project code: the other end of `GuestHost.proxy` and `.asset`. A call names its
 * request by a token that only the worker of that request was given; a token dies with its request.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Fields } from '../http/fields.ts';
import type { HttpRequest, HttpResponse } from '../http/message.ts';
import { asFault, type Fault } from '../status/fault.ts';
import { collect, frameHead, readFrame } from './guest/frames.ts';
import type { BrokerReply, BrokerRequest, OpenRequest } from './ipc.ts';
import type { ComputeCall } from './types.ts';

/** One request's licence to call. */
export class BrokerSession {
  readonly call: ComputeCall;
  readonly #abort = new AbortController();
  readonly #faults = new Map<string, Fault>();
  readonly #open = new Map<object, { readonly backend: string; readonly startedMs: number }>();

  constructor(call: ComputeCall) {
    this.call = call;
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** The fault that an error inside the guest stands for. */
  faultOf(ref: string): Fault | undefined {
    return this.#faults.get(ref);
  }

  keep(fault: Fault): string {
    const ref = String(this.#faults.size + 1);
    this.#faults.set(ref, fault);
    return ref;
  }

  begin(backend: string): () => void {
    const entry = { backend, startedMs: performance.now() };
    this.#open.set(entry, entry);
    return () => this.#open.delete(entry);
  }

  openRequests(): OpenRequest[] {
    return [...this.#open.values()].map(({ backend, startedMs }) => ({
      kind: 'platform',
      host: backend,
      phase: 'head',
      elapsedMs: Math.round(performance.now() - startedMs),
    }));
  }

  end(): void {
    this.#abort.abort();
  }
}

export class Broker {
  readonly #sessions = new Map<string, BrokerSession>();
  readonly #server: Server;
  readonly socketPath: string;
  readonly listening: Promise<void>;

  constructor(socketPath: string) {
    this.socketPath = socketPath;
    this.#server = createServer({ keepAliveTimeout: 0, requestTimeout: 0 }, (request, response) => {
      this.#serve(request, response).catch(() => response.destroy());
    });
    this.listening = new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(socketPath, resolve);
    });
    this.listening.catch(() => {});
    this.#server.unref();
  }

  open(token: string, call: ComputeCall): BrokerSession {
    const session = new BrokerSession(call);
    this.#sessions.set(token, session);
    return session;
  }

  close(token: string): void {
    this.#sessions.get(token)?.end();
    this.#sessions.delete(token);
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { head, body } = readFrame<BrokerRequest>(await collect(request));
    const session = this.#sessions.get(head.token);
    if (!session) return void response.writeHead(403).end();
    const done = session.begin(head.backend ?? 'static');
    try {
      const answer = await ask(session, head, body);
      if (answer) await send(session, answer, response);
      else response.end(frameHead({ kind: 'none' } satisfies BrokerReply));
    } catch (error) {
      if (!response.headersSent) response.end(frameHead(faultReply(session, error)));
      else response.destroy();
    } finally {
      done();
    }
  }
}

function ask(session: BrokerSession, head: BrokerRequest, body: Buffer): Promise<HttpResponse | null> {
  const { services, request } = session.call;
  if (head.call === 'asset') return services.asset(head.path ?? '/');
  const [path = '/', ...query] = (head.url ?? '/').split('?');
  const asked: HttpRequest = {
    method: head.method ?? 'GET',
    protocol: head.protocol ?? request.protocol,
    host: request.host,
    path,
    query: query.join('?'),
    fields: new Fields(head.headers),
    body: body.length > 0 ? body : null,
  };
  return services.proxy(head.backend ?? '', asked, session.signal);
}

/** The frame's head at once, the body as it comes; what fails in the body is told in a trailer. */
async function send(session: BrokerSession, answer: HttpResponse, response: ServerResponse): Promise<void> {
  const { status, reason = '', fields, body } = answer;
  response.writeHead(200, { trailer: 'fault' });
  response.write(frameHead({ kind: 'response', status, reason, headers: fields.raw } satisfies BrokerReply));
  if (body === null || Buffer.isBuffer(body)) return void response.end(body ?? undefined);
  try {
    await pipeline(body, response, { end: false });
  } catch (error) {
    const reply = JSON.stringify(faultReply(session, error)).replace(/[^\x20-\x7e]/g, '?');
    response.addTrailers({ fault: reply });
  }
  response.end();
}

function faultReply(session: BrokerSession, error: unknown): BrokerReply {
  const fault = asFault(error, 'compute');
  return { kind: 'fault', ref: session.keep(fault), message: fault.message, code: fault.code };
}
