/** The peers that cases need, opened when a case asks for one and closed together. */

import type { RequestListener } from 'node:http';
import { createServer } from 'node:net';
import type { TlsOptions } from 'node:tls';
import type { Backend } from '../router/table.ts';
import { type Lab as Certificates, certificates } from './peers/certificates.ts';
import { closedDnsServer, type DnsServer, dnsServer, type Zone } from './peers/dns-server.ts';
import { fullBacklog } from './peers/full-backlog.ts';
import { closedPort, httpOrigin, type RawConnection, rawOrigin } from './peers/origin.ts';
import { notTls, tlsOrigin } from './peers/tls-peer.ts';

type Script = Parameters<typeof rawOrigin>[0];

export class PeerKit {
  readonly names: DnsServer;
  /** For the name of the global POP. */
  readonly linkNames: DnsServer;
  /** Where nothing listens, unless a case opens it. */
  readonly globalPort: number;
  readonly certificates: Certificates;
  readonly #open: AsyncDisposable[];
  readonly #heard = new Set<string>();
  readonly #listeners: (() => void)[] = [];

  /** Certificates and a name server are made at once, everything else on demand. */
  static async open(): Promise<PeerKit> {
    return new PeerKit(await dnsServer(), await dnsServer(), await certificates(), await freePort());
  }

  constructor(names: DnsServer, linkNames: DnsServer, made: Certificates, globalPort: number) {
    this.names = names;
    this.linkNames = linkNames;
    this.globalPort = globalPort;
    this.certificates = made;
    this.#open = [names, linkNames];
  }

  /** A plain HTTP backend whose every connection runs the script. */
  async raw(script: Script): Promise<Backend> {
    const origin = await rawOrigin((connection) => {
      connection.socket.on('data', () => this.#hear(connection.text));
      return script(connection);
    });
    return at(this.keep(origin).port);
  }

  /** Resolves when a raw backend has been asked for a path that begins like this, from now on or before. */
  async asked(path: string): Promise<void> {
    while (![...this.#heard].some((heard) => heard.startsWith(path))) {
      await new Promise<void>((resolve) => this.#listeners.push(resolve));
    }
  }

  #hear(text: string): void {
    for (const [, path] of text.matchAll(/^[A-Z]+ (\S+) HTTP/gm)) this.#heard.add(path!);
    for (const wake of this.#listeners.splice(0)) wake();
  }

  async http(listener: RequestListener): Promise<Backend> {
    return at(this.keep(await httpOrigin(listener)).port);
  }

  /** An HTTPS backend with these TLS options. */
  async tls(options: TlsOptions): Promise<Backend> {
    return at(this.keep(await tlsOrigin(options)).port, 'https');
  }

  /** A backend that is taken for HTTPS and never speaks it; the script gets the plain socket. */
  async notTls(script: Parameters<typeof notTls>[0]): Promise<Backend> {
    return at(this.keep(await notTls(script)).port, 'https');
  }

  async closed(): Promise<Backend> {
    return at(await closedPort());
  }

  /** Nobody accepts: every connect hangs. */
  async full(): Promise<Backend> {
    return at(this.keep(await fullBacklog()).port);
  }

  /** A backend on a name that is answered for as the zone says. */
  named(name: string, zone: Zone): Backend {
    this.names.zones.set(name, zone);
    return { domainOrIp: name, port: 80, scheme: 'http' };
  }

  closedDns(): Promise<string> {
    return closedDnsServer();
  }

  keep<Peer extends AsyncDisposable>(peer: Peer): Peer {
    this.#open.push(peer);
    return peer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#open.map((peer) => peer[Symbol.asyncDispose]()));
  }
}

export const at = (port: number, scheme: 'http' | 'https' = 'http'): Backend => ({
  domainOrIp: '127.0.0.1',
  port,
  scheme,
});

/** A script that answers each request head with these bytes. */
export const saying =
  (bytes: string, end?: 'fin' | 'rst'): Script =>
  async (connection: RawConnection) => {
    let answered = 0;
    const answer = (): void => {
      for (const heads = connection.text.split('\r\n\r\n').length - 1; answered < heads; answered++) {
        connection.socket.write(bytes);
        if (end === 'fin') connection.socket.end();
        if (end === 'rst') setTimeout(() => connection.reset(), RESET_MS);
      }
    };
    await connection.received('\r\n\r\n');
    connection.socket.on('data', answer);
    answer();
  };

/** So that what was written is on its way before the reset. */
const RESET_MS = 5;

/** A port that was free a moment ago, for who has to know it before it listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
