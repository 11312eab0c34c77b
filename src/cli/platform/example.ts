/**
 * `npm start`: the example project, its origin beside the platform, deployed the way any project is. A later start
 * finds the deployment again and only deploys anew when the project's files have changed.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { PlatformConfig } from '../../config/platform.ts';
import { type ControlAddress, replaceFile } from '../../control/discovery.ts';
import type { CliIo } from '../command.ts';
import { COMMANDS } from '../commands/index.ts';
import { runCli } from '../run.ts';
import { version } from '../version.ts';
import type { RunningPlatform } from './platform.ts';

export interface Example {
  readonly url: string;
  /** A first command to try. */
  readonly curl: string;
}

const FOLDER = fileURLToPath(new URL('../../../examples/storefront', import.meta.url));
/** Where a build leaves its output. */
const BUILT = join('storefront', '.selvedge');
const ORIGIN_PORT = 4173;
const ENVIRONMENT = ['--project', 'storefront', '--environment', 'default'];

/** The example while the platform itself still starts. */
export interface StartingExample {
  /** Deploys what was built, unless that was deployed already. */
  deployTo(platform: RunningPlatform): Promise<Example>;
  stop(): Promise<void>;
}

/** Starts the origin and builds beside the start of the platform, whose processes spend much of it waiting. */
export function startExample(config: PlatformConfig, io: CliIo): StartingExample {
  const kept = join(config.data, 'example.json');
  const preparing = prepare(kept, io);
  // Told to whoever deploys.
  preparing.catch(() => {});
  return {
    async deployTo(platform) {
      if (!platform.control || !platform.http)
        throw new Error('--example needs the roles edge and control on this machine');
      const { known, now } = await preparing;
      if (!isSame(known, now)) await deployExample(known, now, platform.control, io);
      if (!isSame(known, now)) await replaceFile(kept, JSON.stringify(now));
      const url = `http://storefront-default.${config.domain}:${new URL(platform.http).port || 80}`;
      return { url, curl: `curl -si ${url}/api/products | head -40` };
    },
    async stop() {
      const prepared = await preparing.catch(() => null);
      if (prepared) await stopOrigin(prepared.origin);
    },
  };
}

interface Prepared {
  readonly origin: ChildProcess;
  readonly known: Partial<Deployed>;
  readonly now: Deployed;
}

async function prepare(kept: string, io: CliIo): Promise<Prepared> {
  const known = (await readFile(kept, 'utf8').then(JSON.parse, () => ({}))) as Partial<Deployed>;
  const [origin, sources] = await Promise.all([startOrigin(known.originPort ?? ORIGIN_PORT), fingerprint()]);
  const now: Deployed = { originPort: origin.port, sources };
  try {
    process.env.STOREFRONT_ORIGIN_PORT = String(origin.port);
    if (!isSame(known, now)) await cli(['build', FOLDER, '--json'], io);
    return { origin: origin.process, known, now };
  } catch (error) {
    await stopOrigin(origin.process);
    throw error;
  }
}

/** What the example was last deployed from. */
interface Deployed {
  readonly originPort: number;
  readonly sources: string;
}

const isSame = (known: Partial<Deployed>, now: Deployed): boolean =>
  known.originPort === now.originPort && known.sources === now.sources;

/** Changes with the version of the platform and with every file of the example. */
async function fingerprint(): Promise<string> {
  const hash = createHash('sha256').update(version());
  const names = await readdir(FOLDER, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const file of files.filter((name) => !name.includes(BUILT)).sort())
    hash.update(file).update(await readFile(file));
  return hash.digest('hex');
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

async function deployExample(
  known: Partial<Deployed>,
  { originPort }: Deployed,
  { url, token }: ControlAddress,
  io: CliIo,
): Promise<void> {
  const to = [...ENVIRONMENT, '--to', url, '--token', token, '--json'];
  if (known.originPort !== originPort) await cli(['env', 'set', `API_URL=http://127.0.0.1:${originPort}`, ...to], io);
  await cli(['deploy', FOLDER, '--skip-build', ...to], io);
}

/** One command of the ordinary command line. Its progress goes where ours goes. */
async function cli(argv: string[], io: CliIo): Promise<void> {
  const code = await runCli(argv, { commands: COMMANDS, version: version() }, { ...io, out: () => {} });
  if (code !== 0) throw new Error(`the example could not be deployed (selvedge ${argv[0]} ended with ${code})`);
}
