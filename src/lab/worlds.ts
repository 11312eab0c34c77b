/**
 * The platforms that the lab starts, each on a data directory of its own, with limits so low that nothing takes
 * long. Most cases share the world `main`; the others exist because a whole installation has to be different.
 */
import { join } from 'node:path';
import type { PeerKit } from './kit.ts';
import type { LogBook } from './log-book.ts';
import { type PlatformProcess, startPlatformProcess } from './platform-process.ts';

export type WorldName = 'main' | 'tight';

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
  /** The world that an edge of its own belongs to. */
  readonly main: () => Promise<PlatformProcess>;
}

interface WorldRow {
  /** What is special about it. */
  readonly about: string;
  /** Deploys projects; the others are edges of `main` or have none. */
  readonly deploys: boolean;
  start(needs: WorldNeeds, name: WorldName): Promise<PlatformProcess>;
}

const LINK_TOKEN = 'the-link-of-the-lab';
const COMMON = { listen: { host: '127.0.0.1' }, log: { flushMs: 10 }, pop: { name: 'lab', linkToken: LINK_TOKEN } };

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
  compute: {
    responseMs: 4_000,
    reservedMs: 800,
    memoryMiB: 256,
    reservedMemoryMiB: 20,
    requestBytes: 50_000,
    responseBytes: 100_000,
  },
};

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
          dns: { servers: [needs.kit.names.address] },
          limits: LAB_LIMITS,
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
};
