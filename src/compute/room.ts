/** What all workers of one compute room share: options, private directory, ports, broker and reaper. */
import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Broker } from './broker.ts';
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
  /** Compiled code that later workers start faster with. */
  readonly compileCache: string;
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
  return {
    ...options,
    variablePrefix: options.variablePrefix ?? 'SELVEDGE',
    loadMs: options.limits.loadMs,
    requestsPerWorker: options.requestsPerWorker ?? Number.POSITIVE_INFINITY,
    growMs: options.growMs ?? GROW_MS,
    ports: new Ports(),
    broker: new Broker(join(directory, 'b')),
    reaper: startReaper(directory),
    compileCache: join(directory, 'c'),
    workerDirectory,
  };
}

function privateDirectory(runDir: string): string {
  const parent = join(runDir, 'selvedge-XXXXXX').length <= SOCKET_PATH_CHARS ? runDir : tmpdir();
  return mkdtempSync(join(parent, 'selvedge-'));
}

export async function closeRoom(room: Room): Promise<void> {
  room.broker.stop();
  await room.reaper.finish();
}
