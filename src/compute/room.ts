/** What all workers of one compute room share: options, private directory, ports, broker and reaper. */
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker } from './broker.ts';
import { canConfine } from './confine.ts';
import type { ComputeOptions } from './options.ts';
import { Ports } from './ports.ts';
import { type Reaper, startReaper } from './reaper.ts';

/** Longest path of a unix socket on every system we run on, with room for what we append. */
const SOCKET_PATH_CHARS = 103 - '/w1234567/s'.length;
const GROW_MS = 25;

export interface Room extends ComputeOptions {
  readonly variablePrefix: string;
  readonly loadMs: number;
  readonly growMs: number;
  readonly requestsPerWorker: number;
  readonly ports: Ports;
  readonly broker: Broker;
  readonly reaper: Reaper;
  /** Whether workers get namespaces of their own. */
  readonly confines: Promise<boolean>;
  readonly brokerDirectory: string;
  /** Compiled code that later workers of the same owner start faster with; nobody else's code is trusted. */
  compileCacheOf(owner: string): string;
  /** What is not there for confined workers. */
  readonly hidden: readonly string[];
  /** A new private directory for one worker. */
  workerDirectory(): string;
}

export function openRoom(options: ComputeOptions): Room {
  const directory = privateDirectory(options.runDir);
  let workers = 0;
  const workerDirectory = (): string => {
    const path = join(directory, `w${++workers}`);
    mkdirSync(path, { mode: 0o700 });
    return path;
  };
  const brokerDirectory = join(directory, 'b');
  mkdirSync(brokerDirectory, { mode: 0o700 });
  return {
    ...options,
    variablePrefix: options.variablePrefix ?? 'SELVEDGE',
    loadMs: options.limits.loadMs,
    requestsPerWorker: options.requestsPerWorker ?? Number.POSITIVE_INFINITY,
    growMs: options.growMs ?? GROW_MS,
    ports: new Ports(),
    broker: new Broker(join(brokerDirectory, 's')),
    brokerDirectory,
    hidden: [directory, ...(options.hidden ?? [])],
    confines: confines(options, directory),
    reaper: startReaper(directory),
    compileCacheOf(owner) {
      const path = join(directory, 'c', createHash('sha256').update(owner).digest('hex').slice(0, 16));
      mkdirSync(path, { recursive: true, mode: 0o700 });
      return path;
    },
    workerDirectory,
  };
}

async function confines({ isolation, report }: ComputeOptions, directory: string): Promise<boolean> {
  if (isolation === 'none') return false;
  const can = await canConfine(directory);
  if (!can)
    report?.(
      'workers run without namespaces of their own: this system does not let its users make them. Bundles are read-only by their mode alone, temporary files have no quota, and projects could read what this user can read.',
    );
  return can;
}

function privateDirectory(runDir: string): string {
  const parent = join(runDir, 'selvedge-XXXXXX').length <= SOCKET_PATH_CHARS ? runDir : tmpdir();
  return mkdtempSync(join(parent, 'selvedge-'));
}

export async function closeRoom(room: Room): Promise<void> {
  room.broker.stop();
  await room.reaper.finish();
}
