/**
 * The example's origin: the shop's API as a plain server that knows nothing of an edge.
 *
 *   node examples/storefront/origin/server.ts [port]
 *
 * /products  /products/<id>  /stock/<id>   JSON
 * /lookbook?ms=1500                        JSON after a while: slow on purpose
 * /ticker                                  server-sent events
 * /broken                                  a connection that is closed instead of an answer
 */
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Origin {
  readonly port: number;
  close(): Promise<void>;
}

export interface OriginOptions {
  /** 0 picks a free one. */
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
}

interface Product {
  readonly id: string;
}

const products = JSON.parse(readFileSync(new URL('./products.json', import.meta.url), 'utf8')) as readonly Product[];
const NAME = 'https://api.warp-and-weft.example';
const TICK_MS = 4_000;
const SLOW_MS = 1_500;
const SLOWEST_MS = 60_000;
const NEWS = [
  'Loom 3 is on metre 41 of Shepherd Tweed',
  'The dye vat is warm: indigo until four',
  'Two metres of Harbour Madras just left the counter',
  'Loom 1 has stopped. A thread, not a strike',
  'The moth traps are empty. We check twice',
];

/** Rejects when the port is taken. */
export async function startOrigin({ port, host = '127.0.0.1' }: OriginOptions): Promise<Origin> {
  const server = createServer((request, response) => answer(request, response));
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen(port, host, resolve);
  await promise;
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

function answer(request: IncomingMessage, response: ServerResponse): void {
  response.setHeader('x-powered-by', 'a shuttle and two treadles');
  const url = new URL(request.url ?? '/', NAME);
  const [, kind = '', id] = url.pathname.split('/');
  if (request.method !== 'GET' && request.method !== 'HEAD') send(response, reply(405, { error: 'only GET and HEAD' }));
  else if (Object.hasOwn(SPECIAL, kind)) SPECIAL[kind]!(response, url);
  else send(response, lookUp(kind, id));
}

interface Reply {
  readonly status: number;
  readonly value: unknown;
  readonly link?: string;
}
const reply = (status: number, value: unknown, link?: string): Reply => ({ status, value, link });

function lookUp(kind: string, id: string | undefined): Reply {
  if (kind === 'products' && id === undefined)
    return reply(200, { products }, `<${NAME}/products/${products[0]!.id}>; rel="first"`);
  const at = products.findIndex((product) => product.id === id);
  if (at < 0) return reply(404, { error: 'no such thing in this shop' });
  if (kind === 'products') return reply(200, products[at], `<${NAME}/products>; rel="collection"`);
  return kind === 'stock' ? reply(200, stockOf(at)) : reply(404, { error: 'no such thing in this shop' });
}

/** Shrinks through the day, and is full again in the morning. */
function stockOf(at: number): object {
  const now = new Date();
  const metres = 60 + at * 7 - (now.getHours() * 60 + now.getMinutes()) / 30;
  return { id: products[at]!.id, metres: Math.round(metres * 2) / 2, at: now.toISOString() };
}

function send(response: ServerResponse, { status, value, link }: Reply): void {
  const body = JSON.stringify(value);
  if (link !== undefined) response.setHeader('link', link);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

const SPECIAL: Readonly<Record<string, (response: ServerResponse, url: URL) => void>> = {
  lookbook(response, url) {
    const asked = Number(url.searchParams.get('ms') ?? SLOW_MS);
    const waitedMs = Math.min(Number.isFinite(asked) ? asked : SLOW_MS, SLOWEST_MS);
    const timer = setTimeout(() => send(response, reply(200, { season: 'autumn', pages: 24, waitedMs })), waitedMs);
    response.once('close', () => clearTimeout(timer));
  },
  ticker(response) {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    let at = 0;
    const tell = (): void => {
      response.write(`id: ${at}\ndata: ${JSON.stringify({ text: NEWS[at++ % NEWS.length] })}\n\n`);
    };
    tell();
    const timer = setInterval(tell, TICK_MS);
    response.once('close', () => clearInterval(timer));
  },
  broken(response) {
    response.destroy();
  },
};

/** By itself: on the port that was asked for, or on a free one when that is taken. Tells a parent process the port. */
async function main(): Promise<void> {
  const wanted = Number(process.argv[2] ?? process.env.STOREFRONT_ORIGIN_PORT ?? 4173);
  const origin = await startOrigin({ port: wanted }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EADDRINUSE' || !process.send) throw error;
    return startOrigin({ port: 0 });
  });
  if (process.send) process.send({ port: origin.port });
  else console.log(`origin on http://127.0.0.1:${origin.port}`);
  const stop = async (): Promise<void> => {
    await origin.close();
    if (process.connected) process.disconnect?.();
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop);
  process.once('disconnect', stop);
}

if (import.meta.main) {
  await main().catch((error: NodeJS.ErrnoException) => {
    console.error(error.code === 'EADDRINUSE' ? `port ${process.argv[2] ?? 4173} is taken: name another one` : error);
    process.exitCode = 1;
  });
}
