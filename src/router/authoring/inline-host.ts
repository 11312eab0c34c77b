/**
 * What a handler needs around it when a router runs outside the platform (`router.run`: custom servers, tests):
 * backends through `fetch`, files from the working directory. No cache, no deadlines.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuestHost, GuestRequest, GuestResponse } from '../protocol.ts';
import type { Backend, RouteTable } from '../table.ts';

export const inlineHost = (backends: RouteTable['backends'], directory: string): GuestHost => ({
  async proxy(name, request) {
    const backend = backends[name];
    if (!backend) throw new Error(`the backend '${name}' is not declared`);
    return fetchFrom(backend, request);
  },
  async asset(path) {
    const body = await readFile(join(directory, path)).catch(() => null);
    return body && { status: 200, reason: '', headers: ['content-length', String(body.length)], body };
  },
  app: () => Promise.reject(new Error('the application server only runs on the platform')),
});

/** Of the connection, or redone by `fetch`. */
const OWN_FIELDS = new Set(['connection', 'content-length', 'host', 'keep-alive', 'transfer-encoding']);

async function fetchFrom(backend: Backend, request: GuestRequest): Promise<GuestResponse> {
  const { domainOrIp, port, basePath = '', hostHeader, scheme = 'https' } = backend;
  const protocol = scheme === 'match' ? request.protocol : scheme;
  const headers = new Headers();
  for (let at = 0; at < request.headers.length; at += 2)
    if (!OWN_FIELDS.has(request.headers[at]!.toLowerCase()))
      headers.append(request.headers[at]!, request.headers[at + 1]!);
  if (hostHeader !== undefined) headers.set('host', hostHeader);
  const answer = await fetch(
    `${protocol}://${domainOrIp}${port === undefined ? '' : `:${port}`}${basePath}${request.url}`,
    {
      method: request.method,
      headers,
      redirect: 'manual',
      ...(request.body.length > 0 ? { body: new Uint8Array(request.body) } : {}),
    },
  );
  const received = [...answer.headers].filter(([name]) => name !== 'content-encoding' && !OWN_FIELDS.has(name));
  return {
    status: answer.status,
    reason: answer.statusText,
    headers: received.flat(),
    body: Buffer.from(await answer.arrayBuffer()),
  };
}
