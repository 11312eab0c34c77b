/**
 * A client that speaks bytes: whatever a test wants on the wire, cut wherever it wants, and what comes back taken
 * apart. Strings are latin1, one character per byte.
 */
import { once } from 'node:events';
import net from 'node:net';

export interface RawResponse {
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  /** Flat lines as received. */
  readonly raw: readonly string[];
  readonly body: Buffer;
  readonly text: string;
  /** Flat trailer lines. */
  readonly trailers: readonly string[];
  /** 1xx responses that came before. */
  readonly interim: readonly { readonly status: number; readonly raw: readonly string[] }[];
  get(name: string): string | undefined;
  all(name: string): string[];
}

type Parsed<T> = { readonly value: T; readonly next: number } | null;
interface Head {
  readonly version: string;
  readonly status: number;
  readonly reason: string;
  readonly raw: string[];
}

export class RawClient {
  readonly socket: net.Socket;
  /** Everything that has come and has not been taken. */
  received: Buffer = Buffer.alloc(0);
  /** Resolves when the connection is gone; the value tells how. */
  readonly closed: Promise<'ended' | 'reset'>;
  #ended = false;
  #wake: (() => void)[] = [];

  constructor(socket: net.Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => {
      let reset = false;
      socket.on('error', () => {
        reset = true;
      });
      socket.on('close', () => {
        this.#ended = true;
        this.#notify();
        resolve(reset ? 'reset' : 'ended');
      });
    });
    socket.on('end', () => {
      this.#ended = true;
      this.#notify();
    });
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.#notify();
    });
  }

  static async connect(port: number, host = '127.0.0.1'): Promise<RawClient> {
    const socket = net.connect({ port, host, noDelay: true });
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  /** One connection, one answer. */
  static async ask(port: number, bytes: string | Buffer, method = 'GET'): Promise<RawResponse> {
    const client = await RawClient.connect(port);
    try {
      client.write(bytes);
      return await client.response(method);
    } finally {
      client.destroy();
    }
  }

  write(bytes: string | Buffer): this {
    this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
    return this;
  }

  /** Sends in pieces of `size` bytes, each a segment of its own as far as the system lets it. */
  async writeSplit(bytes: string, size = 1): Promise<void> {
    for (let at = 0; at < bytes.length && !this.socket.destroyed; at += size) {
      this.write(bytes.slice(at, at + size));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** The next final response; throws when the connection ends before it is complete. */
  async response(method = 'GET'): Promise<RawResponse> {
    const interim: { status: number; raw: string[] }[] = [];
    for (;;) {
      const head = await this.#take((bytes) => parseHead(bytes));
      if (head.status >= 100 && head.status < 200 && head.status !== 101) {
        interim.push({ status: head.status, raw: head.raw });
        continue;
      }
      return this.#withBody(head, method, interim);
    }
  }

  /** The next interim or final head, body left in `received`. */
  head(): Promise<Head> {
    return this.#take((bytes) => parseHead(bytes));
  }

  /** Resolves with the first `length` bytes of what comes next. */
  bytes(length: number): Promise<Buffer> {
    return this.#take((bytes) =>
      bytes.length < length ? null : { value: Buffer.from(bytes.subarray(0, length)), next: length },
    );
  }

  /** Half-closes: nothing more will be sent. */
  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }

  /** Closes with a reset instead of an end. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  async #withBody(head: Head, method: string, interim: RawResponse['interim']): Promise<RawResponse> {
    const get = (name: string): string | undefined => lines(head.raw, name)[0];
    let body: Buffer = Buffer.alloc(0);
    let trailers: string[] = [];
    const bodiless = method === 'HEAD' || head.status === 204 || head.status === 304 || head.status === 101;
    if (!bodiless && get('transfer-encoding') === 'chunked') {
      const chunked = await this.#take((bytes) => parseChunked(bytes));
      body = chunked.body;
      trailers = chunked.trailers;
    } else if (!bodiless && get('content-length') !== undefined) body = await this.bytes(Number(get('content-length')));
    else if (!bodiless) body = await this.#untilEnd();
    const text = body.toString('latin1');
    return { ...head, body, text, trailers, interim, get, all: (name) => lines(head.raw, name) };
  }

  async #take<T>(parse: (bytes: Buffer) => Parsed<T>): Promise<T> {
    for (;;) {
      const parsed = parse(this.received);
      if (parsed) {
        this.received = this.received.subarray(parsed.next);
        return parsed.value;
      }
      if (this.#ended) throw new Error(`connection ended after ${JSON.stringify(this.received.toString('latin1'))}`);
      await this.#more();
    }
  }

  async #untilEnd(): Promise<Buffer> {
    while (!this.#ended) await this.#more();
    const all = this.received;
    this.received = Buffer.alloc(0);
    return all;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

function lines(raw: readonly string[], name: string): string[] {
  return raw.filter((_, at) => at % 2 === 1 && raw[at - 1]!.toLowerCase() === name.toLowerCase());
}

function parseHead(bytes: Buffer): Parsed<Head> {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return null;
  const [start, ...rest] = bytes.toString('latin1', 0, end).split('\r\n');
  const match = /^HTTP\/(\d\.\d) (\d{3}) (.*)$/.exec(start!);
  if (!match) throw new Error(`not a status line: ${JSON.stringify(start)}`);
  const raw = rest.flatMap(splitLine);
  return { value: { version: match[1]!, status: Number(match[2]), reason: match[3]!, raw }, next: end + 4 };
}

const splitLine = (line: string): [string, string] => {
  const colon = line.indexOf(':');
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
};

function parseChunked(bytes: Buffer): Parsed<{ body: Buffer; trailers: string[] }> {
  const parts: Buffer[] = [];
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at);
    if (lineEnd < 0) return null;
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16);
    const start = lineEnd + 2;
    if (size === 0) {
      const end = bytes.subarray(start, start + 2).equals(CRLF) ? start : bytes.indexOf('\r\n\r\n', start) + 2;
      if (end < start || bytes.length < end + 2) return null;
      const trailers = bytes.toString('latin1', start, end).split('\r\n').filter(Boolean).flatMap(splitLine);
      return { value: { body: Buffer.concat(parts), trailers }, next: end + 2 };
    }
    if (bytes.length < start + size + 2) return null;
    parts.push(bytes.subarray(start, start + size));
    at = start + size + 2;
  }
}

const CRLF = Buffer.from('\r\n');
