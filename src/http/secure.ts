/**
 * The client-facing TLS listener: one port, TLS 1.2 and up, the protocol agreed by ALPN (RFC 7301). HTTP/2 is
 * served by `h2/`; HTTP/1.1 goes to the ordinary listener, which serves it like any connection. The certificate is
 * chosen by the name that the client asks for (SNI), and may change while the listener is open.
 */
import { createSecureContext, createServer, type SecureContext, type TLSSocket } from 'node:tls';
import { type Clock, systemClock } from '../base/clock.ts';
import { type SessionOptions, StreamSession } from './h2/session.ts';
import { DEFAULT_WRITE_IDLE_MS, type ListenAddress, type Listener, type ListenerOptions } from './listener.ts';

/** PEM texts. */
export interface Certificate {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

export interface SecureListenerOptions {
  /** Serves what is not HTTP/2. */
  readonly plain: Pick<Listener, 'adopt'>;
  /** For clients that ask for no name, or for one without a certificate of its own. */
  readonly certificate: Certificate;
  /** The certificate of a host name in lower case; asked at each handshake. */
  readonly certificateOf?: (host: string) => SecureContext | undefined;
  readonly exchange: Pick<ListenerOptions, 'handle' | 'onFault' | 'limits' | 'clock' | 'hop'>;
  /** Longest TLS handshake. Default `limits.headMs`. */
  readonly handshakeMs?: number;
}

export interface SecureListener {
  /** Rejects with Node's error (`EADDRINUSE`, `EACCES` …). */
  listen(address: ListenAddress): Promise<{ readonly port: number }>;
  /** Stops accepting and lets HTTP/2 streams end; after `graceMs` the rest is cut. HTTP/1.1 is `plain`'s to drain. */
  drain(graceMs: number): Promise<void>;
}

/** Throws Node's error when certificate and key do not fit together. */
export function createSecureListener(options: SecureListenerOptions): SecureListener {
  const { plain, certificateOf, exchange } = options;
  const { limits, clock = systemClock } = exchange;
  const sessions = new Set<StreamSession>();
  const handshaking = new Set<{ destroy(): unknown }>();
  const fallback = contextOf(options.certificate);
  const server = createServer({
    cert: options.certificate.cert,
    key: options.certificate.key,
    minVersion: 'TLSv1.2',
    ALPNProtocols: ['h2', 'http/1.1'],
    handshakeTimeout: options.handshakeMs ?? limits.headMs,
    SNICallback: (host, done) => done(null, certificateOf?.(host.toLowerCase()) ?? fallback),
  });
  server.on('connection', (socket) => {
    handshaking.add(socket);
    socket.once('close', () => handshaking.delete(socket));
  });
  // Whoever cannot agree with us on TLS is nobody's request yet; Node has already closed the connection.
  server.on('tlsClientError', () => {});
  server.on('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol !== 'h2') return plain.adopt(socket);
    const session = new StreamSession(socket, sessionOptions(exchange, clock));
    sessions.add(session);
    session.onClose(() => sessions.delete(session));
  });
  return {
    listen: ({ host, port, reusePort = false }) => {
      const { promise, resolve, reject } = Promise.withResolvers<{ port: number }>();
      server.once('error', reject);
      server.listen({ host, port, reusePort }, () => {
        server.off('error', reject);
        const address = server.address();
        resolve({ port: typeof address === 'object' && address ? address.port : port });
      });
      return promise;
    },
    async drain(graceMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const session of sessions) session.drain();
      const timer = clock.setTimer(graceMs, () => {
        for (const session of sessions) session.cut();
        for (const socket of handshaking) socket.destroy();
      });
      await closed;
      timer.cancel();
    },
  };
}

/** A certificate ready for handshakes. Throws Node's error when certificate and key do not fit together. */
export const contextOf = ({ cert, key }: Certificate): SecureContext =>
  createSecureContext({ cert, key, minVersion: 'TLSv1.2' });

function sessionOptions(
  { handle, onFault, limits, hop = 'client' }: SecureListenerOptions['exchange'],
  clock: Clock,
): SessionOptions {
  return {
    handle,
    onFault,
    entryLimits: limits,
    headMs: limits.headMs,
    idleMs: limits.idleMs,
    bodyIdleMs: limits.bodyIdleMs ?? limits.headMs,
    writeIdleMs: limits.writeIdleMs ?? DEFAULT_WRITE_IDLE_MS,
    clock,
    hop,
  };
}
