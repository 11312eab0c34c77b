/** The command line with all its commands. */
import { COMMANDS } from './commands/index.ts';
import { START } from './commands/start.ts';
import { runCli } from './run.ts';
import { version } from './version.ts';

/** Resolves with the exit code. */
export const main = (argv: readonly string[]): Promise<number> =>
  runCli(argv, { commands: [START, ...COMMANDS], version: version() });
