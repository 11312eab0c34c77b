/**
 * The HTTP side of the Control API, knowing nothing of what it serves: a table of endpoints behind one bearer
 * token, JSON and NDJSON out, problem+json on errors, bodies bounded. No CORS; the Host must be an address, so
 * that a name that a stranger rebinds to this machine (DNS rebinding) leads nowhere.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { diskFull, isDiskFull, Problem } from './problem.ts';

const JSON_MAX_BYTES = 16 * 1024 * 1024;
/** A client that sends nothing more of a body for this long is gone. */
const BODY_IDLE_MS = 60_000;

/** One request at one endpoint. */
export interface Call {
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** Fires when the client has left or the listener ends. */
  readonly signal: AbortSignal;
  readonly body: AsyncIterable<Uint8Array>;
  /** The body as a JSON object; a 400, 413 or 422 `Problem` when it is none. */
  json(): Promise<Readonly<Record<string, unknown>>>;
}

export type Reply =
  | { readonly status?: number; readonly json: unknown }
  | { readonly text: string; readonly contentType: string }
  | { readonly stream: Readable; readonly headers: Readonly<Record<string, string | number>> }
  /** One JSON text per line, for as long as there are any. */
  | { readonly lines: AsyncIterable<unknown> };

export interface Endpoint {
  readonly method: 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE';
  /** `/v1/blobs/:sha256`; a parameter is one segment. */
  readonly path: string;
  handle(call: Call): Promise<Reply> | Reply;
}

/** A file of the console; null: there is none at the path. */
export type Pages = (path: string) => Promise<Page | null>;

export interface Page {
  readonly contentType: string;
  readonly text: string;
}

export interface ListenerOptions {
  readonly endpoints: readonly Endpoint[];
  readonly token: string;
  /** Answers GET outside of the API to everybody: the console's own files, which hold no secrets. */
  readonly pages?: Pages | undefined;
  /** Names in `Host` that are accepted beside IP literals and `localhost`. */
  readonly allowedHosts: readonly string[];
  /** A handler threw something that is no `Problem`. */
  readonly onError: (error: unknown) => void;
  /** How long a body may pause; default 60,000 ms. */
  readonly bodyIdleMs?: number;
}

export interface Listener {
  readonly port: number;
  /** Takes no more requests, lets those under way finish for `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>;
}

/** Rejects with Node's error (`EADDRINUSE`, `EACCES` …) when it cannot listen. */
export async function listen(options: ListenerOptions, host: string, port: number): Promise<Listener> {
  const ending = new AbortController();
  const routes = options.endpoints.map(compile);
  const expected = digest(options.token);
  const server = createServer((request, response) => {
    watchBody(request, response, options.bodyIdleMs ?? BODY_IDLE_MS);
    void respond(request, response, ending.signal, async () => {
      checkHost(request, options.allowedHosts);
      const page = await pageOf(request, options.pages);
      if (page) return showPage(response, page);
      checkToken(request, expected);
      return dispatch(routes, request, response, ending.signal);
    }).catch(options.onError);
  });
  server.requestTimeout = 0;
  server.keepAliveTimeout = 30_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
  return { port: portOf(server), close: (graceMs) => close(server, ending, graceMs) };

  async function respond(
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
    answer: () => Promise<Reply>,
  ): Promise<void> {
    if (signal.aborted) response.setHeader('connection', 'close');
    try {
      await send(request, response, await answer());
    } catch (error) {
      if (!(error instanceof Problem) && !isDisconnect(error)) options.onError(error);
      sendProblem(request, response, error);
    }
  }
}

/** On the response: there the timer may also fire while a complete request waits for a long answer, and is heard. */
function watchBody(request: IncomingMessage, response: ServerResponse, idleMs: number): void {
  response.setTimeout(idleMs, () => {
    if (!request.complete) request.destroy();
  });
}

async function pageOf({ method, url = '/' }: IncomingMessage, pages: Pages | undefined): Promise<Page | null> {
  const path = url.split('?', 1)[0]!;
  if (pages === undefined || method !== 'GET' || path.startsWith('/v1/')) return null;
  return pages(path);
}

/** Nothing of another origin, nothing inline, in no frame: whatever a request carried stays text. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

function showPage(response: ServerResponse, { contentType, text }: Page): Reply {
  response.setHeader('content-security-policy', PAGE_POLICY);
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('referrer-policy', 'no-referrer');
  return { text, contentType };
}

const portOf = (server: Server): number => (server.address() as { port: number }).port;

async function close(server: Server, ending: AbortController, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  ending.abort();
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearTimeout(timer);
}

interface CompiledEndpoint {
  readonly endpoint: Endpoint;
  readonly segments: readonly string[];
}

const compile = (endpoint: Endpoint): CompiledEndpoint => ({ endpoint, segments: endpoint.path.split('/') });

async function dispatch(
  routes: readonly CompiledEndpoint[],
  request: IncomingMessage,
  response: ServerResponse,
  ending: AbortSignal,
): Promise<Reply> {
  const [path = '', search = ''] = (request.url ?? '/').split('?', 2);
  const matching = routes.flatMap(({ endpoint, segments }) => {
    const params = match(segments, path.split('/'));
    return params === null ? [] : [{ endpoint, params }];
  });
  if (matching.length === 0) {
    throw new Problem({ status: 404, reason: 'no-endpoint', detail: `the Control API has no ${path}` });
  }
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const found = matching.find(({ endpoint }) => endpoint.method === method);
  if (found === undefined) throw wrongMethod(matching, request, response);
  const call = callOf(request, response, found.params, new URLSearchParams(search), ending);
  return found.endpoint.handle(call);
}

function match(pattern: readonly string[], path: readonly string[]): Record<string, string> | null {
  if (pattern.length !== path.length) return null;
  const params: Record<string, string> = {};
  for (const [at, segment] of pattern.entries()) {
    const value = path[at]!;
    if (segment.startsWith(':')) params[segment.slice(1)] = decoded(value);
    else if (segment !== value) return null;
  }
  return params;
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Problem({ status: 400, reason: 'bad-path', detail: `'${segment}' is not percent-encoded UTF-8` });
  }
}

function wrongMethod(
  matching: readonly { readonly endpoint: Endpoint }[],
  request: IncomingMessage,
  response: ServerResponse,
): Problem {
  const allow = matching.map(({ endpoint }) => endpoint.method).join(', ');
  response.setHeader('allow', allow);
  return new Problem({
    status: 405,
    reason: 'method',
    detail: `${request.method} is not possible here, only ${allow}`,
  });
}

function callOf(
  request: IncomingMessage,
  response: ServerResponse,
  params: Readonly<Record<string, string>>,
  query: URLSearchParams,
  ending: AbortSignal,
): Call {
  const left = new AbortController();
  response.once('close', () => left.abort());
  return {
    params,
    query,
    signal: AbortSignal.any([left.signal, ending]),
    body: request,
    json: () => readJson(request),
  };
}

async function readJson(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > JSON_MAX_BYTES) {
      const detail = `the JSON body is longer than ${JSON_MAX_BYTES} bytes`;
      throw new Problem({ status: 413, reason: 'body-bytes', detail });
    }
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString('utf8');
  try {
    const value: unknown = text === '' ? {} : JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch (error) {
    throw new Problem({ status: 400, reason: 'json', detail: `the body is not JSON: ${(error as Error).message}` });
  }
  throw new Problem({ status: 422, reason: 'json', detail: 'the body must be a JSON object' });
}

function checkHost(request: IncomingMessage, allowed: readonly string[]): void {
  const name = (request.headers.host ?? '').toLowerCase().replace(/:[0-9]+$/, '');
  const address = name.replace(/^\[|\]$/g, '');
  if (isIP(address) !== 0 || name === 'localhost' || allowed.includes(name)) return;
  const detail = `the Control API does not answer to the host '${name}': use its IP address or localhost`;
  throw new Problem({ status: 421, reason: 'host', detail });
}

function checkToken(request: IncomingMessage, expected: Buffer): void {
  const key = request.headers['x-api-key'];
  const token = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? key?.toString();
  if (token === undefined) {
    throw new Problem({
      status: 401,
      reason: 'token-missing',
      detail: 'send the header Authorization: Bearer <token>',
    });
  }
  if (!timingSafeEqual(digest(token), expected)) {
    throw new Problem({ status: 401, reason: 'token-wrong', detail: 'this is not the token of this control plane' });
  }
}

/** Of equal length whatever was sent, so that a comparison tells nothing. */
const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

async function send(request: IncomingMessage, response: ServerResponse, reply: Reply): Promise<void> {
  response.setHeader('cache-control', 'no-store');
  if ('json' in reply) {
    sendJson(response, reply.status ?? 200, 'application/json', reply.json);
  } else if ('text' in reply) {
    sendText(response, 200, reply.contentType, reply.text);
  } else if ('stream' in reply) {
    response.writeHead(200, reply.headers);
    if (request.method === 'HEAD') {
      reply.stream.destroy();
      response.end();
    } else await pipeline(reply.stream, response);
  } else {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.flushHeaders();
    await pipeline(Readable.from(ndjson(reply.lines)), response);
  }
}

async function* ndjson(lines: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const line of lines) yield `${JSON.stringify(line)}\n`;
}

function sendJson(response: ServerResponse, status: number, type: string, value: unknown): void {
  sendText(response, status, type, `${JSON.stringify(value)}\n`);
}

function sendText(response: ServerResponse, status: number, type: string, text: string): void {
  response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

function sendProblem(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  const { document } = error instanceof Problem ? error : isDiskFull(error) ? diskFull() : internal();
  if (document.status === 401) response.setHeader('www-authenticate', 'Bearer');
  // The rest of an unread body is not worth reading: the answer goes out, then the connection ends.
  if (!request.complete) response.setHeader('connection', 'close');
  sendJson(response, document.status, 'application/problem+json', document);
  if (!request.complete) drain(request, request.socket);
}

/** Reads on for a moment, because a socket that is closed on unread bytes takes the answer with it. */
function drain(request: IncomingMessage, socket: Socket): void {
  const timer = setTimeout(() => socket.destroy(), 2_000);
  timer.unref();
  request.once('close', () => clearTimeout(timer));
  request.resume();
}

const internal = (): Problem =>
  new Problem({
    status: 500,
    reason: 'internal',
    detail: 'the control plane failed at this; its own log says more',
  });

function isDisconnect(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return code === 'ERR_STREAM_PREMATURE_CLOSE' || code === 'ECONNRESET' || code === 'ABORT_ERR';
}
