/** Run by `cli.ts`: every command but those that run the platform. */
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { runCli } from '../../src/cli/run.ts';

process.exitCode = await runCli(process.argv.slice(2), { commands: COMMANDS, version: '0.0.0-test' });
