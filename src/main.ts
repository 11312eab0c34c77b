/** The composition root: a command line, or a POP process that a supervisor forked. */
import { POP_PROCESS } from './cli/platform/supervisor.ts';

const argv = process.argv.slice(2);
if (argv[0] === POP_PROCESS) {
  const { runPopProcess } = await import('./cli/platform/pop-process.ts');
  runPopProcess();
} else {
  const { main } = await import('./cli/main.ts');
  process.exitCode = await main(argv);
}
