/**
 * `npm start`: the example project, its origin beside the platform, deployed the way any project is. A later start
 * finds the deployment again and only deploys anew when the project's files have changed.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PlatformConfig } from '../../config/platform.ts';
import { replaceFile } from '../../control/discovery.ts';
import type { CliIo } from '../command.ts';
import { COMMANDS } from '../commands/index.ts';
import { runCli } from '../run.ts';
import { version } from '../version.ts';
import type { RunningPlatform } from './platform.ts';

export interface Example {
  readonly url: string;
  /** A first command to try. */
  readonly curl: string;
  stop(): Promise<void>;
}

const FOLDER = fileURLToPath(new URL('../../../examples/storefront', import.meta.url));
const ORIGIN_PORT = 4173;
const ENVIRONMENT = ['--project', 'storefront', '--environment', 'default'];

export async function startExample(config: PlatformConfig, platform: RunningPlatform, io: CliIo): Promise<Example> {
  if (!platform.control || !platform.http)
    throw new Error('--example needs the roles edge and control on this machine');
  const kept = join(config.data, 'example.json');
  const known = (await readFile(kept, 'utf8').then(JSON.parse, () => ({}))) as { originPort?: number; url?: string };
  const origin = await startOrigin(known.originPort ?? ORIGIN_PORT);
  const control = ['--to', platform.control.url, '--token', platform.control.token];
  try {
    const url = await deployExample(origin.port, control, io);
    await replaceFile(kept, JSON.stringify({ originPort: origin.port }));
    return { url, curl: `curl -si ${url}/api/products | head -40`, stop: () => stopOrigin(origin.process) };
  } catch (error) {
    await stopOrigin(origin.process);
    throw error;
  }
}

interface Origin {
  readonly process: ChildProcess;
  readonly port: number;
}

/** On the port that the deployed backends name; on a free one when that is taken. */
async function startOrigin(port: number): Promise<Origin> {
  const child = fork(join(FOLDER, 'origin', 'server.ts'), [String(port)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const { promise, resolve, reject } = Promise.withResolvers<Origin>();
  child.once('message', (message: { port: number }) => resolve({ process: child, port: message.port }));
  child.once('exit', (code) => reject(new Error(`the example's origin ended with exit code ${code}`)));
  return promise;
}

async function stopOrigin(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const { promise, resolve } = Promise.withResolvers<void>();
  child.once('exit', () => resolve());
  child.kill('SIGTERM');
  await promise;
}

async function deployExample(originPort: number, control: string[], io: CliIo): Promise<string> {
  process.env.STOREFRONT_ORIGIN_PORT = String(originPort);
  await cli(['env', 'set', `API_URL=http://127.0.0.1:${originPort}`, ...ENVIRONMENT, ...control, '--json'], io);
  const deployed = await cli(['deploy', FOLDER, ...ENVIRONMENT, ...control, '--json'], io);
  return (JSON.parse(deployed) as { url: string }).url;
}

/** One command of the ordinary command line; its JSON. Its progress goes where ours goes. */
async function cli(argv: string[], io: CliIo): Promise<string> {
  const printed: string[] = [];
  const code = await runCli(
    argv,
    { commands: COMMANDS, version: version() },
    { ...io, out: (text) => void printed.push(text) },
  );
  if (code !== 0) throw new Error(`the example could not be deployed (selvedge ${argv[0]} ended with ${code})`);
  return printed.join('');
}
