/** The machine: its tools, its cores, and processes that are pinned to one of them and ended with the run. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { availableParallelism, cpus, release, type } from 'node:os';

const INSTALL: Readonly<Record<string, string>> = {
  wrk: 'apt-get install wrk',
  nginx: 'apt-get install nginx',
  taskset: 'apt-get install util-linux (Linux only)',
};

/** One line for each tool that is missing, with the way to get it. */
export const missingTools = (): string[] =>
  Object.entries(INSTALL)
    .filter(([tool]) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0)
    .map(([tool, install]) => `${tool} is missing: ${install}`);

export function describeMachine(): string[] {
  const firstLine = (command: string, ...args: string[]): string => {
    const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    return `${stdout}${stderr}`.split('\n', 1)[0]!.trim();
  };
  return [
    `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, ${type()} ${release()}`,
    `node ${process.version}, ${firstLine('nginx', '-v')}, ${firstLine('wrk', '-v')}`,
  ];
}

/** Measured on one core, loaded from another, with the origin on a third if there is one. */
export function chooseCores(): { subject: number; load: number; origin: number } {
  const cores = availableParallelism();
  if (cores < 2) throw new Error('at least two cores are needed: one that is measured, one for the load');
  return { subject: 0, load: 1, origin: cores > 2 ? 2 : 1 };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

export interface Pinned {
  readonly child: ChildProcess;
  stop(): Promise<void>;
}

/** Its standard output is a pipe, its errors are ours. */
export function startPinned(core: number, command: string, args: readonly string[], env = process.env): Pinned {
  const child = spawn('taskset', ['-c', String(core), command, ...args], { stdio: ['ignore', 'pipe', 'inherit'], env });
  return {
    child,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
