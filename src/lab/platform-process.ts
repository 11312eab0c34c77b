/** A platform of the lab's own, as an operator starts it: real processes on free ports of loopback. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PlatformProcess {
  readonly pid: number;
  /** Port for clients. */
  readonly port: number;
  readonly control: string | null;
  readonly token: string | null;
  readonly link: string | null;
  readonly data: string;
  /** Drains and ends it; nothing of it stays behind. */
  stop(): Promise<void>;
  /** Tells it to drain and does not wait. */
  drain(): void;
}

export interface PlatformRequest {
  /** Folder of its own, for the configuration and the data. */
  readonly home: string;
  /** As in a configuration file. */
  readonly config: object;
  readonly args?: readonly string[];
}

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
/** Not ours to pass on: what a test runner or another platform left in the environment. */
const CLEAN = { NODE_TEST_CONTEXT: undefined, SELVEDGE_DATA: undefined, SELVEDGE_CONTROL: undefined };

/** Rejects with what the platform said when it does not start. */
export async function startPlatformProcess(request: PlatformRequest): Promise<PlatformProcess> {
  const child = await spawnPlatform(request);
  const ready = await firstLine(child);
  return {
    pid: child.pid!,
    port: Number(new URL(ready.http ?? 'http://none:0').port),
    control: ready.control,
    token: ready.token,
    link: ready.link ?? null,
    data: dataOf(request),
    stop: () => stopProcess(child),
    drain: () => void child.kill('SIGTERM'),
  };
}

/** For one that never becomes ready: the process alone. */
export async function spawnPlatform(request: PlatformRequest): Promise<ChildProcess> {
  const { home, config, args = [] } = request;
  await mkdir(home, { recursive: true });
  const file = join(home, 'selvedge.yaml');
  // JSON is YAML.
  await writeFile(file, JSON.stringify(config));
  const ports = [...(args.includes('--http-port') ? [] : ['--http-port', '0']), '--control-port', '0'];
  const argv = ['start', '--config', file, '--data', dataOf(request), '--json', ...ports, ...args];
  return spawnMain(argv);
}

const dataOf = ({ home }: PlatformRequest): string => join(home, 'data');

/** A command of the command line that has to succeed; resolves with what it printed as JSON. */
export const runMain = async <Shown>(argv: readonly string[]): Promise<Shown> =>
  JSON.parse(await sayMain([...argv, '--json'])) as Shown;

/** The same with what it printed for people. */
export async function sayMain(argv: readonly string[]): Promise<string> {
  const child = spawnMain(argv);
  const [said, failed] = [collect(child.stdout!), collect(child.stderr!)];
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`selvedge ${argv[0]} ended with ${code}: ${failed().trim()}`);
  return said();
}

function spawnMain(argv: readonly string[]): ChildProcess {
  const env = { ...process.env, ...CLEAN };
  // A group of its own: Ctrl-C reaches the lab alone, which ends them in order.
  return spawn(process.execPath, [MAIN, ...argv], { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
}

export async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await gone;
  clearTimeout(late);
}

interface Ready {
  readonly http: string | null;
  readonly control: string | null;
  readonly token: string | null;
  readonly link?: string;
}

async function firstLine(child: ChildProcess): Promise<Ready> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const failed = collect(child.stderr!);
  let said = '';
  child.stdout!.on('data', (bytes: Buffer) => {
    said += bytes.toString();
    const end = said.indexOf('\n');
    if (end >= 0) resolve(said.slice(0, end));
  });
  child.once('close', (code) => reject(new Error(`the lab's platform ended with ${code}: ${failed().trim()}`)));
  return JSON.parse(await promise) as Ready;
}

function collect(stream: NodeJS.ReadableStream): () => string {
  let text = '';
  stream.on('data', (bytes: Buffer) => {
    text = (text + bytes.toString()).slice(-20_000);
  });
  return () => text;
}

/** Writes a project's files into a folder. */
export async function writeFiles(folder: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, content);
  }
}
