/** What running handlers may ask for: upstreams and assets through the platform, the app's own server directly. */
import { Agent, request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import type { GuestHost, GuestRequest, GuestResponse } from '../../router/protocol.ts';
import type { BrokerReply, BrokerRequest, StartMessage } from '../ipc.ts';
import { collect, frameHead, readFrame, withoutFields } from './frames.ts';
import { ownAgents, watchPlatformCall } from './outgoing.ts';
import { FAULT_REF } from './report.ts';

const agent = new Agent({ keepAlive: true });
ownAgents.add(agent);

export const guestHost =
  (options: StartMessage, appHost: string | undefined) =>
  (token: string): GuestHost => ({
    async proxy(backend, { method, url, protocol, headers, body }) {
      const head = { token, call: 'proxy', backend, method, url, protocol, headers } as const;
      const answer = await watchPlatformCall(method, backend, url, askBroker(options.brokerPath, head, body));
      return { ...answer!, fromUpstream: true };
    },
    asset: (path) => askBroker(options.brokerPath, { token, call: 'asset', path }, Buffer.alloc(0)),
    app: (request) => askApp(options, appHost, token, request),
  });

async function askBroker(socketPath: string, head: BrokerRequest, body: Buffer): Promise<GuestResponse | null> {
  const answer = await exchange({ socketPath, method: 'POST', path: '/' }, Buffer.concat([frameHead(head), body]));
  const { head: reply, body: content } = readFrame<BrokerReply>(await collect(answer));
  // An upstream that failed in the middle of its body.
  if (answer.trailers.fault) throw platformError(JSON.parse(answer.trailers.fault) as BrokerReply & { kind: 'fault' });
  if (reply.kind === 'none') return null;
  if (reply.kind === 'fault') throw platformError(reply);
  return { status: reply.status, reason: reply.reason, headers: [...reply.headers], body: content };
}

/** Project code may catch it; if it does not, the platform answers with the fault that it stands for. */
function platformError({ ref, message, code }: BrokerReply & { kind: 'fault' }): Error {
  return Object.assign(new Error(message), { [FAULT_REF]: ref, statusCode: code });
}

async function askApp(
  { app, port, runHeader }: StartMessage,
  host: string | undefined,
  token: string,
  { method, url, headers, body }: GuestRequest,
): Promise<GuestResponse> {
  if (!host) throw new Error('this deployment has no app server');
  const lines = withoutFields(headers, ['connection', 'content-length', 'transfer-encoding']);
  if (body.length > 0) lines.push('content-length', String(body.length));
  if (app?.kind === 'module') lines.push(runHeader, token);
  const answer = await exchange({ host, port, method, path: url, headers: lines }, body);
  return {
    status: answer.statusCode!,
    reason: answer.statusMessage ?? '',
    headers: withoutFields(answer.rawHeaders, ['connection', 'keep-alive', 'transfer-encoding']),
    body: await collect(answer),
  };
}

function exchange(options: RequestOptions & { headers?: string[] }, body: Buffer): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ ...options, agent }, resolve);
    request.maxHeadersCount = 0;
    request.once('error', reject);
    request.end(body.length > 0 ? body : undefined);
  });
}
