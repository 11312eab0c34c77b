/**
 * The platforms that the lab starts, each on a data directory of its own, with limits so low that nothing takes
 * long. Most cases share the world `main`; the others exist because a whole installation has to be different.
 */

import { connect } from 'node:net';
import { join } from 'node:path';
import { freePort, type PeerKit } from './kit.ts';
import type { LinkPeer } from './link-peer.ts';
import type { LogBook } from './log-book.ts';
import { type PlatformProcess, spawnPlatform, startPlatformProcess, stopProcess } from './platform-process.ts';

export type WorldName = 'main' | 'tight' | 'link' | 'names' | 'cold';

export interface World {
  readonly name: WorldName;
  readonly port: number;
  readonly process: PlatformProcess;
  readonly log: LogBook;
  /** Host of a project that was deployed to it. */
  host(project: string): string;
}

export interface WorldNeeds {
  /** Folder of the lab, removed at its end. */
  readonly home: string;
  readonly kit: PeerKit;
  readonly link: LinkPeer;
  readonly patience: number;
  /** The world that an edge of its own belongs to. */
  readonly main: () => Promise<PlatformProcess>;
}

interface WorldRow {
  /** What is special about it. */
  readonly about: string;
  /** Deploys projects; the others are edges of `main` or have none. */
  readonly deploys: boolean;
  /** Worlds that it is a part of. */
  readonly needs?: readonly WorldName[];
  start(needs: WorldNeeds, name: WorldName): Promise<PlatformProcess>;
}

const LINK_TOKEN = 'the-link-of-the-lab';
const COMMON = { listen: { host: '127.0.0.1' }, log: { flushMs: 10 } };
/** POPs of the lab speak mutual TLS with each other. */
const popOf = (home: string) => ({
  name: 'lab',
  // Pools, fills and memories are each process's own: what one does is what is judged.
  processes: 1,
  linkToken: LINK_TOKEN,
  certFile: join(home, 'pop.pem'),
  keyFile: join(home, 'pop-key.pem'),
  caFile: join(home, 'ca.pem'),
});

/** Long enough for a machine that is busy, short enough to wait for. */
export const LAB_LIMITS = {
  drainMs: 3_000,
  client: { headMs: 2_500 },
  request: { cookieBytes: 32_768 },
  upstream: {
    dnsMs: 1_500,
    connectMs: 1_500,
    tlsMs: 2_000,
    responseMs: 2_500,
    writeIdleMs: 1_500,
    bodyIdleMs: 1_500,
    bodyBytes: 300_000,
  },
  response: { headerFieldBytes: 50_000 },
  pop: { dnsMs: 1_500, connectMs: 1_500, tlsMs: 3_000, silenceMs: 1_500, heartbeatMs: 300 },
  compute: {
    responseMs: 4_000,
    reservedMs: 800,
    memoryMiB: 256,
    reservedMemoryMiB: 20,
    requestBytes: 50_000,
    responseBytes: 100_000,
  },
};

/** The same with every time this much longer. */
function patient<Tree extends object>(limits: Tree, factor: number): Tree {
  const entries = Object.entries(limits).map(([name, value]) => {
    if (typeof value === 'object') return [name, patient(value as object, factor)];
    return [name, name.endsWith('Ms') ? value * factor : value];
  });
  return Object.fromEntries(entries) as Tree;
}

/** `127.0.0.9` stands for an address that an operator closed to projects. */
const PROHIBITED = '127.0.0.9';
const METADATA = '169.254.169.254';

export const WORLDS: Readonly<Record<WorldName, WorldRow>> = {
  main: {
    about: 'a whole platform: edge, link, global POP, compute, control plane',
    deploys: true,
    start: (needs, name) =>
      startPlatformProcess({
        home: join(needs.home, name),
        config: {
          ...COMMON,
          pop: popOf(needs.home),
          dns: { servers: [needs.kit.names.address] },
          limits: patient(LAB_LIMITS, needs.patience),
          compute: { workers: 8, prewarm: 1 },
          upstream: { prohibited: [`${PROHIBITED}/32`, `${METADATA}/32`], caFile: join(needs.home, 'ca.pem') },
        },
      }),
  },
  tight: {
    about: 'one worker, one connection to each backend, no name server, and a process that ends is 549',
    deploys: true,
    start: async (needs, name) =>
      startPlatformProcess({
        home: join(needs.home, name),
        config: {
          ...COMMON,
          pop: popOf(needs.home),
          dns: { servers: [await needs.kit.closedDns()] },
          limits: {
            ...LAB_LIMITS,
            upstream: { ...LAB_LIMITS.upstream, poolSize: 1, poolWaitMs: 300 },
            compute: { ...LAB_LIMITS.compute, scheduleMs: 1_000, queueDepth: 1 },
          },
          compute: { workers: 1, prewarm: 1 },
          codes: { projectCrashed: 549 },
        },
      }),
  },
  link: {
    about: 'an edge that is led to a peer in the middle instead of its global POP',
    deploys: false,
    needs: ['main'],
    start: (needs, name) =>
      startEdge(needs, name, `https://127.0.0.1:${needs.link.port}`, needs.kit.names.address, { pop: { poolSize: 2 } }),
  },
  names: {
    about: 'an edge that knows its global POP by a name',
    deploys: false,
    needs: ['main'],
    start: (needs, name) =>
      startEdge(needs, name, `https://global.lab.test:${needs.kit.globalPort}`, needs.kit.linkNames.address),
  },
  cold: {
    about: 'an edge on an empty disk, whose control plane nobody can reach',
    deploys: false,
    start: startCold,
  },
};

async function startEdge(
  { home, main }: WorldNeeds,
  name: WorldName,
  global: string,
  nameServer: string,
  limits: { readonly pop?: object } = {},
): Promise<PlatformProcess> {
  const { control, token } = await main();
  return startPlatformProcess({
    home: join(home, name),
    config: {
      ...COMMON,
      // One process, so that there is one pool and one memory of names.
      pop: { ...popOf(home), role: 'edge', global, processes: 1 },
      control: { url: control, token },
      dns: { servers: [nameServer] },
      limits: {
        ...LAB_LIMITS,
        upstream: { ...LAB_LIMITS.upstream, poolWaitMs: 300 },
        pop: { ...LAB_LIMITS.pop, ...limits.pop },
      },
    },
  });
}

/** It never says that it is ready, because it is not; it listens all the same. */
async function startCold({ home, kit }: WorldNeeds, name: WorldName): Promise<PlatformProcess> {
  const port = await freePort();
  const place = join(home, name);
  const pop = { ...popOf(home), role: 'edge', global: 'https://127.0.0.1:1' };
  const control = { url: `http://127.0.0.1:${kit.globalPort}`, token: 'nobody-is-there-to-ask' };
  const child = await spawnPlatform({
    home: place,
    config: { ...COMMON, pop, control },
    args: ['--http-port', String(port)],
  });
  while (!(await listens(port))) await new Promise((resolve) => setTimeout(resolve, 20));
  return {
    pid: child.pid!,
    port,
    control: null,
    token: null,
    link: null,
    data: join(place, 'data'),
    stop: () => stopProcess(child),
    drain: () => void child.kill('SIGTERM'),
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
  });
}
