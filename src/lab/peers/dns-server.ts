/** A name server over UDP on 127.0.0.1 that answers what a test wants: addresses with TTLs, any rcode, or nothing. */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { type Answer, decode, encode, RECURSION_DESIRED } from 'dns-packet';

const RCODES = { FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

export interface Zone {
  readonly A?: readonly string[];
  readonly AAAA?: readonly string[];
  readonly ttlSeconds?: number;
  readonly rcode?: keyof typeof RCODES;
  /** Queries of these types (default: all) get no answer. */
  readonly silent?: true | readonly ('A' | 'AAAA')[];
}

export interface DnsServer extends AsyncDisposable {
  /** `127.0.0.1:port`, as `dns.servers` takes it. */
  readonly address: string;
  /** What names resolve to; change it at any time. Names that are not in it do not exist. */
  readonly zones: Map<string, Zone>;
  /** `name TYPE` of every query, in order. */
  readonly queries: string[];
  /** Resolves when a query for the name has come in. */
  asked(name: string): Promise<void>;
  close(): Promise<void>;
}

export async function dnsServer(zones: Readonly<Record<string, Zone>> = {}): Promise<DnsServer> {
  const socket = createSocket('udp4');
  const known = new Map(Object.entries(zones));
  const queries: string[] = [];
  const waiting: (() => void)[] = [];
  socket.on('message', (message, from) => {
    const reply = answer(message, known, queries);
    for (const wake of waiting.splice(0)) wake();
    if (reply !== null) send(socket, reply, from);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const close = async (): Promise<void> => {
    socket.close();
    await once(socket, 'close');
  };
  return {
    address: `127.0.0.1:${socket.address().port}`,
    zones: known,
    queries,
    async asked(name) {
      while (!queries.some((query) => query.startsWith(`${name} `))) {
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function send(socket: ReturnType<typeof createSocket>, reply: Buffer, to: RemoteInfo): void {
  socket.send(reply, to.port, to.address);
}

function answer(message: Buffer, zones: ReadonlyMap<string, Zone>, queries: string[]): Buffer | null {
  const query = decode(message);
  const [question] = query.questions ?? [];
  if (question === undefined) return null;
  const { name, type } = question;
  queries.push(`${name} ${type}`);
  const zone = zones.get(name.toLowerCase()) ?? { rcode: 'NXDOMAIN' };
  if (zone.silent === true || zone.silent?.some((one) => one === type)) return null;
  const records = type === 'A' ? zone.A : type === 'AAAA' ? zone.AAAA : undefined;
  const ttl = zone.ttlSeconds ?? 60;
  const answers = (records ?? []).map((data) => ({ type, name, ttl, data }) as Answer);
  const flags = RECURSION_DESIRED | (zone.rcode === undefined ? 0 : RCODES[zone.rcode]);
  return encode({ type: 'response', id: query.id, flags, questions: [question], answers: zone.rcode ? [] : answers });
}

/** The address of a name server that does not run: a UDP port of 127.0.0.1 that nobody is bound to. */
export async function closedDnsServer(): Promise<string> {
  const server = await dnsServer();
  await server.close();
  return server.address;
}
