/** Peers that should speak TLS: properly over any certificate, or in one of the ways in which handshakes fail. */
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type TlsOptions } from 'node:tls';

export interface TlsPeer extends AsyncDisposable {
  readonly port: number;
  /** Sockets accepted so far, before any handshake. */
  readonly sockets: Socket[];
  /** Handshakes that were completed here. */
  readonly secured: TLSSocket[];
  close(): Promise<void>;
}

/** An HTTPS origin: TLS options as for `node:tls`, answers by the listener (default: 200 `secure`). */
export async function tlsOrigin(
  options: TlsOptions,
  listener: RequestListener = (_request, response) => response.end('secure'),
): Promise<TlsPeer> {
  const http = createServer(listener);
  const secured: TLSSocket[] = [];
  const server = createTlsServer(options, (socket) => {
    secured.push(socket);
    http.emit('connection', socket);
  });
  server.on('tlsClientError', () => {});
  return peer(server, secured);
}

/** A peer that completes handshakes and hands the secured socket to the script. */
export function tlsScript(options: TlsOptions, script: (socket: TLSSocket) => void): Promise<TlsPeer> {
  const secured: TLSSocket[] = [];
  const server = createTlsServer(options, (socket) => {
    secured.push(socket);
    socket.on('error', () => {});
    script(socket);
  });
  server.on('tlsClientError', () => {});
  return peer(server, secured);
}

/** A peer that never completes a handshake: the script gets the plain socket, e.g. to close it or to say nothing. */
export function notTls(script: (socket: Socket) => void): Promise<TlsPeer> {
  return peer(createNetServer(script), []);
}

async function peer(server: ReturnType<typeof createNetServer>, secured: TLSSocket[]): Promise<TlsPeer> {
  const sockets: Socket[] = [];
  server.on('connection', (socket) => {
    socket.on('error', () => {});
    sockets.push(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const close = async (): Promise<void> => {
    for (const socket of [...secured, ...sockets]) socket.destroy();
    server.close();
    await once(server, 'close').catch(() => {});
  };
  const { port } = server.address() as AddressInfo;
  return { port, sockets, secured, close, [Symbol.asyncDispose]: close };
}
