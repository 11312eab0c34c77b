/**
 * `selvedge dev`: the project on a platform of its own on this machine, built and deployed again whenever one of its
 * files changes. It is the real thing throughout (edge, link, global POP, workers); only storing is off, so that a
 * change at an upstream is seen at once. What cannot be built is told, and the deployment before goes on serving.
 */
import { basename, join, resolve } from 'node:path';
import { type ConfigOverride, loadConfig, parseOverride } from '../../config/load.ts';
import type { PlatformConfig } from '../../config/platform.ts';
import { type CliIo, type CommandContext, CommandFailed, type CommandSpec } from '../command.ts';
import { Serial } from '../dev/serial.ts';
import { type Watching, watchProject } from '../dev/watch.ts';
import { type RunningPlatform, startPlatform } from '../platform/platform.ts';
import { stopRequested } from '../platform/stop.ts';
import { OUTPUT_FOLDER } from '../project-lock.ts';
import { projectName } from '../project-name.ts';
import { runCli } from '../run.ts';
import { DEFAULT_ENVIRONMENT } from '../target.ts';
import { version } from '../version.ts';

const DEFAULT_PORT = '3000';

async function dev(context: CommandContext): Promise<number> {
  const { io } = context;
  const dir = resolve(io.cwd, context.args[0] ?? '.');
  const config = configOf(context, dir);
  const stop = stopRequested();
  const giveUp = new AbortController();
  void stop.then(() => giveUp.abort());
  const report = (message: string): void => io.err(`${message}\n`);
  const platform = await startPlatform(config, { report, signal: giveUp.signal }).catch((error: Error) => {
    if (giveUp.signal.aborted) return null;
    throw new CommandFailed(error.message, [], error);
  });
  if (platform === null) return 0;
  let watching: Watching | null = null;
  try {
    const project = await projectName(dir);
    const run = cliOf(platform, project, io);
    const deploying = new Serial(async () => void (await run(['deploy', dir, ...skipped(context)])));
    watching = watchProject(dir, (files) => {
      io.err(`\nchanged: ${files.slice(0, 3).join(', ')}${files.length > 3 ? ` and ${files.length - 3} more` : ''}\n`);
      void deploying.run();
    });
    await deploying.run();
    for (const host of ['localhost', '127.0.0.1']) await run(['domains', 'add', host]);
    announce(context, platform, dir);
    void run(['logs', '--kind', 'server', '--follow', '--lines', '0'], io.err);
    await stop;
    // What is being deployed would only meet a platform that goes away.
    io.err('draining\n');
  } finally {
    watching?.close();
    await platform.stop();
  }
  // A log that is being followed ends with its platform; nothing else is left.
  return 0;
}

const skipped = (context: CommandContext): string[] => (context.flag('skipFramework') ? ['--skip-framework'] : []);

function configOf({ io, text, flag, options }: CommandContext, dir: string): PlatformConfig {
  const port = text('httpPort') ?? io.env.PORT ?? DEFAULT_PORT;
  const overrides: ConfigOverride[] = [
    { path: 'data', value: join(dir, OUTPUT_FOLDER, 'dev'), from: 'selvedge dev' },
    { path: 'listen.host', value: '127.0.0.1', from: 'selvedge dev' },
    { path: 'listen.port', value: port, from: text('httpPort') === undefined ? 'PORT' : '--http-port' },
    { path: 'control.port', value: text('controlPort') ?? '0', from: '--control-port' },
    { path: 'pop.processes', value: '1', from: 'selvedge dev' },
    { path: 'cache.enabled', value: String(flag('cache')), from: '--cache' },
    ...[options.set ?? []].flat().map((assignment) => parseOverride(String(assignment))),
  ];
  return loadConfig({ overrides });
}

/** A command about this project on this platform; what it fails with it has told already. */
function cliOf(platform: RunningPlatform, project: string, io: CliIo) {
  const place = ['--project', project, '--environment', DEFAULT_ENVIRONMENT];
  const control = ['--to', platform.control!.url, '--token', platform.control!.token];
  return async (argv: readonly string[], out: (text: string) => void = () => {}): Promise<boolean> => {
    const { COMMANDS } = await import('./index.ts');
    const code = await runCli(
      [...argv, ...place, ...control],
      { commands: COMMANDS, version: version() },
      { ...io, out },
    );
    if (code === 0 && argv[0] === 'deploy') io.err('ready\n');
    return code === 0;
  };
}

function announce({ print }: CommandContext, { http, control }: RunningPlatform, dir: string): void {
  const url = `http://localhost:${new URL(http!).port}`;
  const ready = { ready: true, url, http, control: control!.url, token: control!.token };
  print(ready, ['', `${basename(dir)}   ${url}/`, '', 'Files are watched; Ctrl-C stops.']);
}

export const DEV: CommandSpec = {
  name: 'dev',
  args: ['[dir]'],
  summary: 'run a project on this machine and deploy it again when a file changes',
  options: [
    {
      flags: '--http-port <port>',
      description: `port for the browser, 0 picks a free one (PORT; default ${DEFAULT_PORT})`,
    },
    { flags: '--control-port <port>', description: 'port of the Control API (default: a free one)' },
    { flags: '--cache', description: 'store responses as a started platform does' },
    { flags: '-s, --skip-framework', description: "do not run the framework's own build first" },
    { flags: '--set <path=value...>', description: 'one member of the platform configuration' },
  ],
  takes: ['json'],
  run: dev,
};
