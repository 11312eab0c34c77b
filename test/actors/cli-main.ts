/** Entry of a process that runs one command line, with all commands. */
import { main } from '../../src/cli/main.ts';

process.exitCode = await main(process.argv.slice(2));
