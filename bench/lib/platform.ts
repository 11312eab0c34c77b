/** The platform, started and filled as its users do it: `selvedge start`, `selvedge deploy`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type Pinned, startPinned } from './machine.ts';
import type { Subject } from './question.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const PROJECT = fileURLToPath(new URL('../project', import.meta.url));

interface Ready {
  readonly http: string;
  readonly control: string;
  readonly token: string;
}

export interface Platform extends Pinned {
  readonly subject: Subject;
}

/** One edge process on one core, everything in one place. */
export async function startPlatform(core: number, folder: string, originPort: number): Promise<Platform> {
  const config = join(folder, 'selvedge.yaml');
  await writeFile(
    config,
    'listen: { fastPath: true }\npop: { processes: 1 }\ncompute: { workers: 1, prewarm: 1 }\nlog: { level: warn }\n',
  );
  const args = ['start', '--config', config, '--data', join(folder, 'data'), '--http-port', '0', '--control-port', '0'];
  const running = startPinned(core, process.execPath, [MAIN, ...args, '--json']);
  const lines = createInterface({ input: running.child.stdout! });
  const ended = once(running.child, 'exit').then(([code]) => {
    throw new Error(`the platform ended with exit code ${code}`);
  });
  const [line] = (await Promise.race([once(lines, 'line'), ended])) as [string];
  ended.catch(() => {});
  const ready = JSON.parse(line) as Ready;
  const url = new URL(await deploy(ready, originPort));
  const subject = { label: 'selvedge', port: Number(new URL(ready.http).port), host: url.host };
  return { ...running, subject };
}

async function deploy({ control, token }: Ready, originPort: number): Promise<string> {
  const place = ['--project', 'bench', '--environment', 'default', '--to', control, `--token=${token}`];
  const child = spawn(process.execPath, [MAIN, 'deploy', PROJECT, ...place, '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, BENCH_ORIGIN_PORT: String(originPort) },
  });
  const [printed, [code]] = await Promise.all([text(child.stdout!), once(child, 'exit')]);
  if (code !== 0) throw new Error(`selvedge deploy ended with exit code ${code}`);
  return (JSON.parse(printed) as { url: string }).url;
}
