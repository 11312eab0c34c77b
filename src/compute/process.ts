/** How a guest process is started and how its whole group is ended. */
import { type ChildProcess, spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ComputeLimits } from './options.ts';
import { INSPECTOR_FLAGS } from './sample.ts';

const EXTENSION = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const GUEST = fileURLToPath(new URL(`./guest/main.${EXTENSION}`, import.meta.url));
/** What Node maps as data before project code has run; measured, below roughly this it does not boot. */
const RUNTIME_DATA_MIB = 640;
/** Request heads may be larger than Node's default of 16 KB: the platform has its own limit. */
const HEAD_BYTES = 262_144;

export interface GuestPlace {
  readonly cwd: string;
  readonly env: Record<string, string>;
  /** Puts the command behind others that confine it. */
  readonly confine?: (command: readonly string[]) => readonly string[];
}

type MemoryLimits = Pick<ComputeLimits, 'memoryMiB' | 'reservedMemoryMiB'>;

/** Where the guest's own code lies; its frames are not the project's. */
export const GUEST_ROOM: string = dirname(dirname(GUEST));

/** Leads a group of its own; gets this environment, the standard streams, the control pipe and nothing else. */
export function spawnGuest(place: GuestPlace, limits: MemoryLimits): ChildProcess {
  const guest = bounded(limits.memoryMiB, [
    process.execPath,
    '--enable-source-maps',
    `--max-old-space-size=${Math.max(16, limits.memoryMiB - limits.reservedMemoryMiB)}`,
    `--max-http-header-size=${HEAD_BYTES}`,
    ...INSPECTOR_FLAGS,
    GUEST,
  ]);
  const [command, ...args] = place.confine?.(guest) ?? guest;
  const { cwd, env } = place;
  return spawn(command!, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'], detached: true });
}

/** A limit on data, heap and buffers alike, where the shell can set one; the watch on resident memory stands anyway. */
const bounded = (memoryMiB: number, command: readonly string[]): readonly string[] =>
  process.platform === 'linux'
    ? ['/bin/sh', '-c', `ulimit -d ${(RUNTIME_DATA_MIB + memoryMiB) * 1024} 2>/dev/null; exec "$0" "$@"`, ...command]
    : command;

export function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Gone already.
  }
}
