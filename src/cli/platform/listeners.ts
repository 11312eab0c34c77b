/** The sockets of a POP process: one for requests and, for clients, one with TLS. Composed, opened and drained as one. */
import { readFile } from 'node:fs/promises';
import { systemClock } from '../../base/clock.ts';
import type { PlatformConfig } from '../../config/platform.ts';
import { createListener, type Listener, type ListenerOptions } from '../../http/listener.ts';
import { createSecureListener, type SecureListener } from '../../http/secure.ts';
import type { Pop } from '../../pop/pop.ts';
import { linkSecurity } from './link-tls.ts';
import type { PopSpec, Ports } from './spec.ts';

/** Between POPs connections are kept longer than the edge's pool keeps them, so that the edge ends them. */
const LINK_IDLE_MS = 120_000;

export class Listeners {
  readonly #spec: PopSpec;
  readonly #options: ListenerOptions;
  readonly #plain: Listener;
  #secure: SecureListener | null = null;
  /** What is really listened on; before that, what was asked for. */
  ports: Ports;

  /** `infront`: what accepts connections for the plain listener, where it does not do so itself. */
  constructor(spec: PopSpec, pop: Pick<Pop, 'handle' | 'onFault'>, infront?: (ordinary: Listener) => Listener) {
    this.#spec = spec;
    this.#options = optionsOf(spec, pop);
    const ordinary = createListener(this.#options);
    this.#plain = infront?.(ordinary) ?? ordinary;
    const { port, tlsPort } = spec.listen;
    this.ports = { port, tlsPort };
  }

  /** Rejects with a sentence that names the option; then nothing is open. */
  async listen(): Promise<Ports> {
    const { host, reusePort, port: wanted, tlsPort: wantedTls } = this.#spec.listen;
    const open = (listener: Pick<Listener, 'listen'>, port: number, what: PortName): Promise<{ port: number }> =>
      listener.listen({ host, port, reusePort }).catch((error: Error) => {
        throw listenError(error, what, `${host}:${port}`);
      });
    if (wantedTls !== undefined) this.#secure = await secureListener(this.#spec, this.#plain, this.#options);
    const { port } = await open(this.#plain, wanted, this.#spec.role === 'edge' ? 'client' : 'link');
    this.ports = { port };
    if (this.#secure) this.ports = { port, tlsPort: (await open(this.#secure, wantedTls!, 'tls')).port };
    return this.ports;
  }

  async drain(graceMs: number): Promise<void> {
    await Promise.all([this.#plain.drain(graceMs), this.#secure?.drain(graceMs)]);
  }
}

function optionsOf({ config, role }: PopSpec, pop: Pick<Pop, 'handle' | 'onFault'>): ListenerOptions {
  const { limits } = config;
  return {
    ...(role === 'global' ? linkSecurity(config) : {}),
    handle: pop.handle,
    onFault: pop.onFault,
    hop: role === 'edge' ? 'client' : 'edge',
    trustLink: role === 'global',
    clock: systemClock,
    limits: {
      pathQueryBytes: limits['url.pathQueryBytes'],
      cookieBytes: limits['request.cookieBytes'],
      headerBytes: limits['request.headerBytes'],
      headMs: limits['client.headMs'],
      idleMs: role === 'edge' ? limits['client.idleMs'] : LINK_IDLE_MS,
    },
  };
}

async function secureListener(
  { config: { listen } }: { readonly config: PlatformConfig },
  plain: Listener,
  exchange: ListenerOptions,
): Promise<SecureListener> {
  // The configuration was refused without them.
  const [cert, key] = await Promise.all([readFile(listen.certFile!), readFile(listen.keyFile!)]);
  try {
    return createSecureListener({ plain, certificate: { cert, key }, exchange });
  } catch (error) {
    const files = `listen.certFile (${listen.certFile}) and listen.keyFile (${listen.keyFile})`;
    throw new Error(`${files} cannot be used: ${(error as Error).message}`);
  }
}

type PortName = keyof typeof PORT_NAMES;
const PORT_NAMES = {
  client: ['client port', '--http-port'],
  tls: ['TLS port', '--set listen.tlsPort=PORT'],
  link: ['link port', '--set listen.linkPort=PORT'],
} as const;

function listenError(error: NodeJS.ErrnoException, name: PortName, address: string): Error {
  const [what, option] = PORT_NAMES[name];
  const where = `the ${what} ${address}`;
  if (error.code === 'EADDRINUSE') return new Error(`${where} is in use; choose another with ${option}`);
  if (error.code === 'EACCES')
    return new Error(`${where} may not be opened by this user; choose another with ${option}`);
  return new Error(`${where} cannot be opened (${error.code ?? error.message})`);
}
