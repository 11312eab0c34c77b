/** What a client of the lab saw: everything that came back, also of an answer that broke off in the middle. */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { RawClient } from './peers/raw-client.ts';

export interface Seen {
  /** Null: the connection ended without an answer. */
  readonly status: number | null;
  readonly reason: string;
  /** Flat header lines. */
  readonly raw: readonly string[];
  readonly body: Buffer;
  /** The body came to its end. */
  readonly complete: boolean;
  readonly elapsedMs: number;
}

export interface Question {
  readonly port: number;
  readonly host: string;
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: Buffer | string;
  readonly signal?: AbortSignal;
}

/** All lines of a name joined with commas, or undefined. */
export function fieldOf({ raw }: Pick<Seen, 'raw'>, name: string): string | undefined {
  const values = raw.filter((_, at) => at % 2 === 1 && raw[at - 1]!.toLowerCase() === name);
  return values.length === 0 ? undefined : values.join(', ');
}

/** One request on a connection of its own. Never rejects because of what the other side does. */
export async function ask(question: Question): Promise<Seen> {
  const startedMs = performance.now();
  const response = await head(question).catch(() => null);
  if (response === null) return nothing(performance.now() - startedMs);
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of response) chunks.push(chunk as Buffer);
  } catch {
    // What came before the break is what was seen.
  }
  return {
    status: response.statusCode!,
    reason: response.statusMessage ?? '',
    raw: response.rawHeaders,
    body: Buffer.concat(chunks),
    complete: response.complete,
    elapsedMs: performance.now() - startedMs,
  };
}

/** Bytes as they are, the answer taken apart. */
export async function askBytes(port: number, bytes: string, then?: (client: RawClient) => void): Promise<Seen> {
  const startedMs = performance.now();
  const client = await RawClient.connect(port);
  try {
    client.write(bytes);
    then?.(client);
    return await read(client, startedMs);
  } finally {
    client.destroy();
  }
}

/** The next answer on a connection. */
export async function read(client: RawClient, startedMs = performance.now()): Promise<Seen> {
  const answer = await client.response().catch(() => null);
  const elapsedMs = performance.now() - startedMs;
  if (answer === null) return nothing(elapsedMs);
  const { status, reason, raw, body } = answer;
  return { status, reason, raw, body, complete: true, elapsedMs };
}

const nothing = (elapsedMs: number): Seen => ({
  status: null,
  reason: '',
  raw: [],
  body: Buffer.alloc(0),
  complete: false,
  elapsedMs,
});

function head({ port, host, path, method = 'GET', headers = {}, body, signal }: Question): Promise<IncomingMessage> {
  const lines = ['host', host];
  for (const [name, value] of Object.entries(headers)) for (const one of [value].flat()) lines.push(name, one);
  if (body !== undefined) lines.push('content-length', String(Buffer.byteLength(body)));
  lines.push('connection', 'close');
  const options = { host: '127.0.0.1', port, path, method, headers: lines, agent: false, maxHeaderSize: 1_000_000 };
  return new Promise((resolve, reject) => {
    const request = httpRequest({ ...options, ...(signal ? { signal } : {}) } as never, resolve);
    request.maxHeadersCount = 0;
    // An answer may come before all of a body was taken; what is written after it fails and does not matter.
    request.on('error', reject);
    request.end(body);
  });
}
