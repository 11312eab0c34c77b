/** The command line with all its commands, loaded when they are asked for. */
import { runCli } from './run.ts';
import { version } from './version.ts';

/** Resolves with the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const commands = argv[0] === 'start' ? await platformCommands() : await allCommands();
  return runCli(argv, { commands, version: version() });
}

/** A platform is up a third sooner without the builder and the other commands. */
const platformCommands = async () => [(await import('./commands/start.ts')).START];

const allCommands = async () => [
  ...(await platformCommands()),
  (await import('./commands/dev.ts')).DEV,
  ...(await import('./commands/index.ts')).COMMANDS,
];
