/** A client of a POP: any host name, any header lines, and everything that came back, interim answers included. */
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { RawClient } from './raw-client.ts';

export interface Ask {
  readonly port: number;
  /** Host header, without port or with. */
  readonly host: string;
  readonly path: string;
  readonly method?: string;
  /** A list of values becomes as many lines. */
  readonly headers?: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body?: string | Buffer;
  readonly signal?: AbortSignal;
}

export interface Interim {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
}

export interface Answer {
  readonly status: number;
  readonly reason: string;
  /** Flat header lines. */
  readonly raw: readonly string[];
  readonly body: Buffer;
  /** The body as text, content coding undone. */
  readonly text: string;
  readonly trailers: Readonly<Record<string, string | undefined>>;
  readonly interim: readonly Interim[];
  /** All lines of a name joined with commas; undefined when there is none. */
  get(name: string): string | undefined;
  all(name: string): string[];
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  json(): any;
}

const agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY, timeout: 2_000 });

/** Resolves with the whole answer; rejects when the connection breaks. */
export async function ask(options: Ask): Promise<Answer> {
  const { response, interim } = await begin(options);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return answerOf(response, Buffer.concat(chunks), interim);
}

/** Resolves with the head, the body still to come. */
export async function begin({ port, host, path, method = 'GET', headers = {}, body, signal }: Ask): Promise<{
  readonly response: IncomingMessage;
  readonly interim: Interim[];
}> {
  const lines = ['host', host];
  for (const [name, value] of Object.entries(headers)) for (const one of [value ?? []].flat()) lines.push(name, one);
  if (body !== undefined) lines.push('content-length', String(Buffer.byteLength(body)));
  const interim: Interim[] = [];
  const options = { host: '127.0.0.1', port, path, method, headers: lines, agent, maxHeaderSize: 1_000_000, signal };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest(options as never, resolve);
    request.maxHeadersCount = 0;
    request.on('information', ({ statusCode, headers: told }) => interim.push({ status: statusCode, headers: told }));
    request.on('error', reject);
    request.end(body);
  });
  return { response, interim };
}

export const openClient = (port: number): Promise<RawClient> => RawClient.connect(port);

function answerOf(response: IncomingMessage, body: Buffer, interim: readonly Interim[]): Answer {
  const raw = response.rawHeaders;
  const all = (name: string): string[] =>
    raw.filter((_, at) => at % 2 === 1 && raw[at - 1]!.toLowerCase() === name.toLowerCase());
  const text = decoded(body, all('content-encoding')[0]);
  return {
    status: response.statusCode!,
    reason: response.statusMessage!,
    raw,
    body,
    text,
    trailers: response.trailers,
    interim,
    get: (name) => (all(name).length === 0 ? undefined : all(name).join(', ')),
    all,
    json: () => JSON.parse(text),
  };
}

function decoded(body: Buffer, coding: string | undefined): string {
  if (body.length === 0) return '';
  if (coding === 'gzip') return gunzipSync(body).toString();
  return coding === 'br' ? brotliDecompressSync(body).toString() : body.toString();
}
