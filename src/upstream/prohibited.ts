/**
 * Where the platform may not dial. Checked on the address at the moment of dialling, so that a name which resolves
 * to something else the second time gains nothing (DNS rebinding).
 */
import { BlockList, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

export interface SocketName {
  /** Host name or address that the socket is bound to. */
  readonly host: string;
  readonly port: number;
}

export interface ProhibitedOptions {
  /** Addresses or networks in CIDR notation. */
  readonly networks?: readonly string[];
  /** The platform's own sockets; see `add`. */
  readonly sockets?: readonly SocketName[];
}

export class Prohibited {
  readonly #networks = new BlockList();
  readonly #sockets: SocketName[] = [];

  /** Throws Node's `ERR_INVALID_ADDRESS` or `ERR_OUT_OF_RANGE` for something that is no network. */
  constructor(options: ProhibitedOptions = {}) {
    for (const network of options.networks ?? []) addNetwork(this.#networks, network);
    for (const socket of options.sockets ?? []) this.add(socket);
  }

  /** Closes one more socket to projects. Its port is closed on every address of this machine, not only on `host`. */
  add(socket: SocketName): void {
    this.#sockets.push(socket);
  }

  /** Why this address must not be dialled, for operators, or null when it may be. */
  reason(address: string, port: number): string | null {
    if (this.#networks.check(address, familyOf(address))) return 'network';
    const hit = this.#sockets.find((socket) => socket.port === port && (socket.host === address || isLocal(address)));
    return hit === undefined ? null : `socket ${hit.host}:${hit.port}`;
  }
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4');

function addNetwork(list: BlockList, network: string): void {
  const [address = '', prefix] = network.split('/');
  if (prefix === undefined) list.addAddress(address, familyOf(address));
  else list.addSubnet(address, Number(prefix), familyOf(address));
}

/** Loopback and "any", which connects to this machine as well. */
const ALWAYS_LOCAL = new BlockList();
for (const network of ['127.0.0.0/8', '0.0.0.0/8', '::1', '::']) addNetwork(ALWAYS_LOCAL, network);

function isLocal(address: string): boolean {
  const family = familyOf(address);
  if (ALWAYS_LOCAL.check(address, family)) return true;
  const own = new BlockList();
  for (const one of Object.values(networkInterfaces()).flat()) if (one) addNetwork(own, one.address);
  return own.check(address, family);
}
