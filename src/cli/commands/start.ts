/** `selvedge start`: runs the platform on this machine until it is told to stop. */
import { resolve } from 'node:path';
import { type ConfigOverride, loadConfig, parseOverride } from '../../config/load.ts';
import { optionsHelp } from '../../config/options.ts';
import type { PlatformConfig } from '../../config/platform.ts';
import { type CommandContext, CommandFailed, type CommandSpec, UsageError } from '../command.ts';
import type { Example, StartingExample } from '../platform/example.ts';
import { type RunningPlatform, startPlatform } from '../platform/platform.ts';
import { stopRequested } from '../platform/stop.ts';

/** Command-line options that stand for a member of the configuration. */
const OVERRIDES: Readonly<Record<string, string>> = {
  httpPort: 'listen.port',
  controlPort: 'control.port',
  role: 'pop.role',
  workers: 'pop.processes',
};

async function start(context: CommandContext): Promise<number> {
  const { io, flag } = context;
  const stop = stopRequested();
  const config = configOf(context);
  const report = (message: string): void => io.err(`${message}\n`);
  const giveUp = new AbortController();
  void stop.then(() => giveUp.abort());
  const starting = startPlatform(config, { report, signal: giveUp.signal });
  // The builder comes along with it, which a platform does not need.
  const example = flag('example') ? (await import('../platform/example.ts')).startExample(config, io) : null;
  try {
    const platform = await starting.catch((error: Error) => {
      if (giveUp.signal.aborted) return null;
      throw new CommandFailed(error.message, [], error);
    });
    if (platform !== null) await serve(context, config, { platform, example, stop });
  } finally {
    await example?.stop();
  }
  return 0;
}

interface Started {
  readonly platform: RunningPlatform;
  readonly example: StartingExample | null;
  readonly stop: Promise<unknown>;
}

async function serve(context: CommandContext, config: PlatformConfig, { platform, example, stop }: Started) {
  try {
    announce(context, config, platform, (await example?.deployTo(platform)) ?? null);
    await stop;
    context.io.err('draining\n');
  } finally {
    await platform.stop();
  }
}

function configOf({ io, text, options }: CommandContext): PlatformConfig {
  const overrides: ConfigOverride[] = Object.entries(OVERRIDES).flatMap(([option, path]) => {
    const value = text(option);
    return value === undefined ? [] : [{ path, value, from: `--${dashed(option)}` }];
  });
  const data = text('data') ?? io.env.SELVEDGE_DATA;
  if (data)
    overrides.push({ path: 'data', value: resolve(io.cwd, data), from: text('data') ? '--data' : 'SELVEDGE_DATA' });
  for (const assignment of [options.set ?? []].flat()) overrides.push(parseOverride(String(assignment)));
  const file = text('config');
  const config = loadConfig({ ...(file === undefined ? {} : { file: resolve(io.cwd, file) }), overrides });
  if (config.pop.role === 'compute') {
    throw new UsageError(
      '--role compute: project code runs with the global POP; start that machine with --role global',
    );
  }
  return config;
}

const dashed = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function announce(
  context: CommandContext,
  config: PlatformConfig,
  platform: RunningPlatform,
  example: Example | null,
): void {
  const { http, https, control, link } = platform;
  const ready = {
    ready: true,
    http,
    ...(https === null ? {} : { https }),
    control: control?.url ?? null,
    token: control?.token ?? null,
    ...(link === null ? {} : { link }),
    ...(example ? { example: example.url } : {}),
  };
  const lines = [
    ...(http ? [`http     ${http}`] : []),
    ...(https ? [`https    ${https}`] : []),
    ...(control
      ? [`control  ${control.url}   (token in ${config.data}/token)`, `console  ${control.url}/#token=${control.token}`]
      : []),
    ...(link ? [`link     ${link}`] : []),
    ...(example ? ['', `storefront   ${example.url}`, '', 'try:', `  ${example.curl}`] : []),
    '',
    'Ctrl-C drains and stops.',
  ];
  context.print(ready, lines);
}

export const START: CommandSpec = {
  name: 'start',
  summary: 'run the platform on this machine',
  options: [
    { flags: '--config <file>', description: 'platform configuration, YAML or JSON' },
    { flags: '--data <dir>', description: 'data directory (SELVEDGE_DATA; default .selvedge/data)' },
    { flags: '--http-port <port>', description: 'port for clients, 0 picks a free one (default 8080)' },
    { flags: '--control-port <port>', description: 'port of the Control API, 0 picks a free one (default 8079)' },
    { flags: '--role <role>', description: 'all, edge, global or control (default all)' },
    { flags: '--workers <n>', description: 'edge processes that share the client port (default: one per core)' },
    { flags: '--set <path=value...>', description: 'one member of the configuration, wins over the file' },
    { flags: '--example', description: 'also deploy the example project and run its origin' },
  ],
  takes: ['json'],
  help: optionsHelp,
  run: start,
};
