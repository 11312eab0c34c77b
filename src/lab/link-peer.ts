/**
 * What an edge of the lab takes for its global POP: a peer in the middle that leads to the real one, or does to the
 * connection what a case wants. One script at a time; whoever sets one ends all connections that were made before.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';
import { encodeReport } from '../pop/link.ts';
import type { Certificate, Lab as Certificates } from './peers/certificates.ts';

export type LinkScript = (socket: Socket, peer: LinkPeer) => void;

export class LinkPeer implements AsyncDisposable {
  readonly port: number;
  readonly certificates: Certificates;
  /** Link port of the real global POP. */
  globalPort = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #script: LinkScript = (socket) => socket.destroy();

  static async open(certificates: Certificates): Promise<LinkPeer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new LinkPeer(server, certificates);
  }

  constructor(server: Server, certificates: Certificates) {
    this.port = (server.address() as AddressInfo).port;
    this.certificates = certificates;
    this.#server = server;
    server.on('connection', (socket) => {
      this.#keep(socket);
      this.#script(socket, this);
    });
  }

  play(script: LinkScript): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    this.#script = script;
  }

  /** A connection to the real global POP, with the certificate of an edge or another one. */
  dialGlobal(certificate: Certificate = this.certificates.client): TLSSocket {
    const socket = connect(this.globalPort, '127.0.0.1');
    this.#keep(socket);
    const { ca } = this.certificates;
    const { cert, key } = certificate;
    const secured = connectTls({
      socket,
      cert,
      key,
      ca,
      ALPNProtocols: ['http/1.1'],
      checkServerIdentity: () => undefined,
    });
    return secured.on('error', () => {});
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => this.#sockets.delete(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.play((socket) => socket.destroy());
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Completes the handshake with this certificate and goes on with the secured socket. */
export const secured =
  (
    then: (socket: TLSSocket, peer: LinkPeer) => void,
    pick: (of: Certificates) => Certificate = (of) => of.good,
  ): LinkScript =>
  (socket, peer) => {
    const { cert, key } = pick(peer.certificates);
    const secureContext = createSecureContext({ cert, key, ca: peer.certificates.ca });
    const inner = new TLSSocket(socket, {
      isServer: true,
      secureContext,
      requestCert: true,
      rejectUnauthorized: false,
    });
    inner.on('error', () => {});
    inner.once('secure', () => then(inner, peer));
  };

/** Answers the first request head with these bytes. */
export const answers = (bytes: string, end: 'fin' | 'rst' | 'keep' = 'keep'): LinkScript =>
  secured((socket) => {
    socket.once('data', () => {
      if (bytes !== '') socket.write(bytes);
      if (end === 'fin') socket.end();
      if (end === 'rst') setTimeout(() => socket.destroy(), 20);
    });
  });

const REPORT = encodeReport({ pop: 'global-lab', metrics: '', statuses: '', components: '', level: 0 });
/** A head as a global POP says it, with further lines. */
export const reported = (lines = ''): string => `HTTP/1.1 200 OK\r\nselvedge-link-report: ${REPORT}\r\n${lines}\r\n`;

/** Leads to the real global POP; `rewrite` may change the head of a request on the way. */
export const relayed = (
  rewrite: (head: string) => string = (head) => head,
  certificate?: (of: Certificates) => Certificate,
) =>
  secured((socket, peer) => {
    const onward = peer.dialGlobal(certificate?.(peer.certificates));
    socket.once('data', (head: Buffer) => {
      onward.write(Buffer.from(rewrite(head.toString('latin1')), 'latin1'));
      socket.pipe(onward);
    });
    onward.pipe(socket);
    onward.on('close', () => socket.end());
  });
