/** The request as a worker gets it: end-to-end fields, one framing, and the private line that names the run. */
import type { ClientRequest, RequestOptions } from 'node:http';
import type { Fields } from '../http/fields.ts';
import type { HttpRequest } from '../http/message.ts';
import { Fault } from '../status/fault.ts';
import { HOP_BY_HOP } from './head.ts';
import type { RunRequest } from './ipc.ts';
import type { Worker, WorkerRun } from './worker.ts';

/** Far above every limit of ours: whether a head is too large is decided by our own count. */
const HEAD_BYTES = 4_194_304;
const EXPECTS_BODY = new Set(['POST', 'PUT', 'PATCH']);

export function outgoingRequest(worker: Worker, { token, call }: WorkerRun): RequestOptions {
  const { request, target, params, failedStatus } = call;
  const fields = request.fields.clone();
  const length = declaredLength(fields);
  fields.deleteWhere((name) => HOP_BY_HOP.has(name) || name === 'expect' || name === 'content-length');
  if (!fields.has('host')) fields.append('host', request.host);
  const { body } = request;
  if (Buffer.isBuffer(body)) fields.append('content-length', String(body.length));
  else if (body === null && EXPECTS_BODY.has(request.method)) fields.append('content-length', '0');
  else if (body !== null && length >= 0) fields.append('content-length', String(length));
  else if (body !== null) fields.append('transfer-encoding', 'chunked');
  const common = {
    method: request.method,
    path: request.query === '' ? request.path : `${request.path}?${request.query}`,
    maxHeaderSize: HEAD_BYTES,
  };
  if (target.kind === 'app') {
    if (call.runnable.app?.kind === 'module') fields.append(worker.runHeader, token);
    return { ...common, headers: fields.raw, host: worker.appHost, port: worker.port };
  }
  const failed = failedStatus === undefined ? {} : { failedStatus };
  const run: RunRequest = { token, routeId: target.routeId, params, protocol: request.protocol, ...failed };
  fields.append(worker.runHeader, Buffer.from(JSON.stringify(run)).toString('base64url'));
  return { ...common, headers: fields.raw, socketPath: worker.socketPath };
}

/** Content-Length, or -1 when there is none that can be understood. */
export function declaredLength(fields: Fields): number {
  const text = fields.get('content-length');
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : -1;
}

export const requestTooLarge = (limit: number, seen: number): Fault =>
  new Fault({
    cause: 'request.body-bytes',
    hop: 'compute',
    evidence: { limit: 'compute.requestBytes', value: limit, seen },
  });

/** What is known to be too large before a byte is read. */
export function requestFault({ fields, body }: HttpRequest, limit: number): Fault | null {
  const length = Buffer.isBuffer(body) ? body.length : body === null ? 0 : declaredLength(fields);
  return length > limit ? requestTooLarge(limit, length) : null;
}

/** Streams the body with back-pressure and counts it. Errors of `request` itself are not told here. */
export function sendBody(
  { body }: HttpRequest,
  request: ClientRequest,
  limit: number,
  fail: (fault: Fault) => void,
): void {
  if (body === null || Buffer.isBuffer(body)) return void request.end(body ?? undefined);
  // The head goes at once: who streams may wait for an answer before saying more.
  // Not `flushHeaders`: that would encode bytes beyond ASCII once more, as UTF-8.
  request.write('', 'latin1');
  let seen = 0;
  const stop = (): void => {
    body.off('data', onData);
    body.off('end', onEnd);
    request.off('drain', resume);
    // Nobody reads the rest; whoever owns the stream decides what becomes of it.
    body.pause();
  };
  const resume = (): void => void body.resume();
  const onEnd = (): void => void request.end();
  const onData = (chunk: Buffer): void => {
    seen += chunk.length;
    if (seen > limit) {
      stop();
      fail(requestTooLarge(limit, seen));
    } else if (!request.write(chunk)) body.pause();
  };
  body.on('data', onData);
  body.once('end', onEnd);
  body.once('error', (error) => {
    stop();
    fail(error instanceof Fault ? error : new Fault({ cause: 'request.framing', hop: 'compute', error }));
  });
  request.on('drain', resume);
  request.once('close', stop);
}
