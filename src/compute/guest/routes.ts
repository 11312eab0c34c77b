/** Serves route handlers: one request in on the private socket, `Router.run`, one response out with its figures. */
import {
  createServer,
  type IncomingMessage,
  type ServerResponse,
  validateHeaderName,
  validateHeaderValue,
} from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { pathToFileURL } from 'node:url';
import {
  type GuestHost,
  type GuestRequest,
  type GuestResponse,
  type GuestStream,
  ROUTER_PROTOCOL,
  type RouterProtocol,
} from '../../router/protocol.ts';
import type { GuestFault, RunReply, RunRequest, StartMessage } from '../ipc.ts';
import { logThrown } from './console.ts';
import { endRun, ownServers, type Run, within } from './context.ts';
import { collect, withoutFields } from './frames.ts';
import { tell } from './link.ts';
import { describe } from './report.ts';

const HEAD_BYTES = 1_048_576;
type Marks = Partial<Record<'wr' | 'wa' | 'wp' | 'wz', number>>;

/** Whatever export carries the protocol, as ES module, CommonJS, or CommonJS bundled into either. */
export async function loadRouter(file: string): Promise<RouterProtocol> {
  const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  const inner = module.default as Record<string, unknown> | undefined;
  const candidates = [inner, inner?.default, module, ...Object.values(module)];
  for (const candidate of candidates) {
    const protocol = (candidate as { [ROUTER_PROTOCOL]?: RouterProtocol } | null | undefined)?.[ROUTER_PROTOCOL];
    if (protocol) return protocol;
  }
  throw new Error('the routes file does not export a Router');
}

export function serveRoutes(
  options: StartMessage,
  router: RouterProtocol,
  hostOf: (token: string) => GuestHost,
): Promise<void> {
  const server = createServer({ maxHeaderSize: HEAD_BYTES, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 });
  ownServers.add(server);
  server.maxHeadersCount = 0;
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const asked = readRun(request, options.runHeader);
    if (!asked || abandoned.delete(asked.token)) return void response.writeHead(403).end();
    const host = hostOf(asked.token);
    tell({ t: 'begun', token: asked.token });
    within(asked.token, (run) => void answer({ options, router, host, asked, run, request, response }));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.socketPath, resolve);
  });
}

/** With what tells the handler that nobody waits any more. */
const running = new Map<string, AbortController>();
/** Aborted before they arrived. */
const abandoned = new Set<string>();
const abortedWhileRunning = new Set<string>();

export function abortRun(token: string): void {
  const run = running.get(token);
  if (run) {
    abortedWhileRunning.add(token);
    run.abort();
  } else {
    abandoned.add(token);
    tell({ t: 'done', token });
  }
}

interface Exchange {
  readonly options: StartMessage;
  readonly router: RouterProtocol;
  readonly host: GuestHost;
  readonly asked: RunRequest;
  readonly run: Run;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

function readRun(request: IncomingMessage, runHeader: string): RunRequest | null {
  const value = request.headers[runHeader];
  if (typeof value !== 'string') return null;
  return JSON.parse(Buffer.from(value, 'base64url').toString()) as RunRequest;
}

async function answer(exchange: Exchange): Promise<void> {
  const { router, asked, host, run, request, options } = exchange;
  const startedMs = performance.now();
  const nobodyWaits = new AbortController();
  running.set(run.token, nobodyWaits);
  const marks: Marks = {};
  const timings = new Map<string, number | null>();
  const figures = () => ({
    wt: Math.round(performance.now() - startedMs),
    wm: Math.round(process.memoryUsage.rss() / 1_048_576),
    pu: run.outgoingMs > 0 ? Math.round(run.outgoingMs) : undefined,
    ...marks,
    ...(timings.size > 0 ? { userTimings: [...timings] } : {}),
  });
  try {
    const result = await router.run({
      routeId: asked.routeId,
      params: asked.params,
      request: { ...(await guestRequest(request, asked, options.runHeader)), signal: nobodyWaits.signal },
      host,
      mark: (metric, ms) => {
        marks[metric] = Math.round((marks[metric] ?? 0) + ms);
      },
      userTiming: (name, ms) => void timings.set(name, Number.isFinite(ms) ? Math.round(ms * 10) / 10 : null),
      ...(asked.failedStatus === undefined ? {} : { status: asked.failedStatus }),
      ...(options.headerPrefix === undefined ? {} : { headerPrefix: options.headerPrefix }),
    });
    const problem = malformation(result);
    if (problem) refuse(exchange, { kind: 'malformed', message: problem }, figures());
    else if ('stream' in result) await stream(exchange, result, figures());
    else whole(exchange, result, figures());
  } catch (error) {
    const fault = describe(error, 'uncaught');
    logThrown(error, fault);
    refuse(exchange, fault, figures());
  } finally {
    endRun(run);
    running.delete(run.token);
    if (abortedWhileRunning.delete(run.token)) tell({ t: 'done', token: run.token });
  }
}

async function guestRequest(request: IncomingMessage, asked: RunRequest, runHeader: string): Promise<GuestRequest> {
  return {
    method: request.method!,
    url: request.url!,
    protocol: asked.protocol,
    headers: withoutFields(request.rawHeaders, [runHeader, 'connection', 'transfer-encoding']),
    body: await collect(request),
  };
}

/** What is wrong with a response that cannot be sent, or null. Checked here because the platform never sees it. */
function malformation(result: GuestResponse | GuestStream): string | null {
  if (result === null || typeof result !== 'object') return 'the handler returned no response';
  const { status, headers } = result;
  if (!Number.isInteger(status) || status < 200 || status > 999) return `status ${String(status)} is no final status`;
  if (/[^\t\x20-\x7e\x80-\xff]/.test(result.reason)) return 'the reason phrase has characters that are not allowed';
  for (let at = 0; at < headers.length; at += 2) {
    try {
      validateHeaderName(headers[at]!);
      validateHeaderValue(headers[at]!, headers[at + 1]!);
    } catch (error) {
      return `header ${JSON.stringify(headers[at])}: ${(error as Error).message}`;
    }
  }
  return null;
}

const bodiless = (request: IncomingMessage, status: number): boolean =>
  request.method === 'HEAD' || status === 204 || status === 304;

function whole(
  { options, request, response }: Exchange,
  result: GuestResponse,
  figures: Omit<RunReply, 'whole'>,
): void {
  const headers = withoutFields(result.headers, [options.runHeader, 'connection', 'transfer-encoding', 'keep-alive']);
  const empty = bodiless(request, result.status);
  // HEAD and 304 may tell the length of a body that is not there; otherwise only the real length is true.
  const framed = empty && result.body.length === 0 ? headers : withoutFields(headers, ['content-length']);
  if (result.status !== 204 && framed !== headers) framed.push('content-length', String(result.body.length));
  head(response, result, [...framed, options.runHeader, ascii({ whole: true, ...figures })]);
  response.end(empty ? undefined : result.body);
}

async function stream(exchange: Exchange, result: GuestStream, figures: Omit<RunReply, 'whole'>): Promise<void> {
  const { options, request, response, run } = exchange;
  const headers = withoutFields(result.headers, [options.runHeader, 'connection', 'transfer-encoding', 'keep-alive']);
  head(response, result, [...headers, options.runHeader, ascii({ whole: false, ...figures })]);
  // Not `flushHeaders`: that would encode bytes beyond ASCII once more, as UTF-8.
  response.write('', 'latin1');
  const body = 'getReader' in result.stream ? Readable.fromWeb(result.stream as never) : (result.stream as Readable);
  if (bodiless(request, result.status)) {
    body.destroy();
    response.end();
    return;
  }
  // Told before the connection breaks: afterwards the platform asks what it was, and must find it told.
  body.once('error', (error: NodeJS.ErrnoException) => {
    // A reader that left is no failure of the project.
    if (error?.code !== 'ERR_STREAM_PREMATURE_CLOSE')
      tell({ t: 'fault', token: run.token, fault: describe(error, 'uncaught') });
  });
  await pipeline(body, response).catch(() => response.destroy());
}

/** The head is out already: the report goes over the control path and the connection breaks. */
function refuse({ options, response, run }: Exchange, fault: GuestFault, figures: Omit<RunReply, 'whole'>): void {
  if (response.headersSent || response.destroyed) {
    tell({ t: 'fault', token: run.token, fault });
    response.destroy();
    return;
  }
  head(response, { status: 500, reason: '' }, [options.runHeader, ascii({ whole: true, fault, ...figures })]);
  response.end();
}

function head(
  response: ServerResponse,
  { status, reason }: { status: number; reason: string },
  headers: string[],
): void {
  response.sendDate = false;
  if (reason === '') response.writeHead(status, headers);
  else response.writeHead(status, reason, headers);
}

const ascii = (reply: RunReply): string =>
  JSON.stringify(reply).replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
