/**
 * Upstreams made of real sockets on 127.0.0.1: an HTTP origin that logs what it was asked, and a scripted one that
 * says exactly the bytes a test wants, when it wants them.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, createServer as createNetServer, type Socket } from 'node:net';

export interface LoggedRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly rawHeaders: readonly string[];
  /** Number of the connection, counted from 1. */
  readonly connection: number;
  /** Resolves with the whole body. */
  readonly body: Promise<Buffer>;
}

export interface HttpOrigin extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly requests: LoggedRequest[];
  readonly server: Server;
  /** Connections accepted so far. */
  readonly connections: number;
  /** Closes all connections and stops. */
  close(): Promise<void>;
}

/** An origin on `node:http`. Without a listener it answers 200 with the request's method and path. */
export async function httpOrigin(
  listener: RequestListener = (request, response) => response.end(`${request.method} ${request.url}`),
): Promise<HttpOrigin> {
  const requests: LoggedRequest[] = [];
  const numbers = new WeakMap<object, number>();
  let connections = 0;
  const server = createServer({ keepAliveTimeout: 60_000 }, (request: IncomingMessage, response: ServerResponse) => {
    requests.push(logged(request, numbers.get(request.socket) ?? 0));
    listener(request, response);
  });
  server.on('connection', (socket) => numbers.set(socket, ++connections));
  const port = await listening(server);
  const close = async (): Promise<void> => {
    server.close();
    server.closeAllConnections();
    await once(server, 'close').catch(() => {});
  };
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    requests,
    server,
    get connections() {
      return connections;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function logged(request: IncomingMessage, connection: number): LoggedRequest {
  const { promise, resolve } = Promise.withResolvers<Buffer>();
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => resolve(Buffer.concat(chunks)));
  request.pause();
  queueMicrotask(() => request.resume());
  const { method = '', url = '', headers, rawHeaders } = request;
  return { method, url, headers, rawHeaders, connection, body: promise };
}

export interface RawConnection {
  readonly socket: Socket;
  /** Number of the connection, counted from 1. */
  readonly number: number;
  /** Resolves as soon as everything received contains the text; rejects when the connection ends before that. */
  received(text: string): Promise<string>;
  /** Everything received, as Latin-1. */
  readonly text: string;
  write(bytes: string | Buffer): Promise<void>;
  /** RST instead of FIN. */
  reset(): void;
  /** Resolves when the other side has closed, in order or by a reset. */
  readonly hungUp: Promise<void>;
}

export interface RawOrigin extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** Connections accepted so far. */
  readonly connections: RawConnection[];
  close(): Promise<void>;
}

/** An origin that runs `script` for every connection, byte by byte as the test says. */
export async function rawOrigin(script: (connection: RawConnection) => void | Promise<void>): Promise<RawOrigin> {
  const connections: RawConnection[] = [];
  const server = createNetServer({ allowHalfOpen: true }, (socket) => {
    const connection = rawConnection(socket, connections.length + 1);
    connections.push(connection);
    Promise.resolve(script(connection)).catch(() => socket.destroy());
  });
  const port = await listening(server);
  const close = async (): Promise<void> => {
    for (const { socket } of connections) socket.destroy();
    server.close();
    await once(server, 'close').catch(() => {});
  };
  return { port, url: `http://127.0.0.1:${port}`, connections, close, [Symbol.asyncDispose]: close };
}

/** Answers every request head on a connection with the given bytes; `end` closes it behind them. */
export function answering(bytes: string | Buffer, end?: 'fin' | 'rst'): (connection: RawConnection) => Promise<void> {
  return async (connection) => {
    await connection.received('\r\n\r\n');
    await connection.write(bytes);
    if (end === 'fin') connection.socket.end();
    if (end === 'rst') connection.reset();
  };
}

export function rawConnection(socket: Socket, number: number): RawConnection {
  let text = '';
  let waiting: (() => void)[] = [];
  const hungUp = new Promise<void>((resolve) => socket.once('end', resolve).once('close', () => resolve()));
  const wake = (): void => {
    const woken = waiting;
    waiting = [];
    for (const one of woken) one();
  };
  socket.on('error', () => {});
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    wake();
  });
  socket.on('close', wake);
  return {
    socket,
    number,
    hungUp,
    get text() {
      return text;
    },
    async received(wanted) {
      while (!text.includes(wanted)) {
        if (socket.destroyed) throw new Error(`the connection ended without ${JSON.stringify(wanted)}`);
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
      return text;
    },
    write: (bytes) =>
      new Promise((resolve, reject) => {
        socket.write(bytes, (error) => (error ? reject(error) : resolve()));
      }),
    reset: () => void socket.resetAndDestroy(),
  };
}

async function listening(server: { listen(port: number, host: string): unknown; address(): unknown }): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server as never, 'listening');
  return (server.address() as AddressInfo).port;
}

/**
 * A port of 127.0.0.1 on which nothing listens, nor will as long as this process lives: an open connection has it at
 * its near end.
 */
export async function closedPort(): Promise<number> {
  const server = createNetServer((socket) => socket.unref());
  const holder = connect(await listening(server), '127.0.0.1');
  await Promise.all([once(server, 'connection'), once(holder, 'connect')]);
  server.close();
  return holder.unref().localPort!;
}
