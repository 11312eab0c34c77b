/**
 * The composition root: a command line, or a POP process that a supervisor forked. Everything else is imported after
 * the compile cache is on, which halves the time that a process takes to boot.
 */
import { enableCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';

// Where the folder cannot be written there is no cache, and nothing else changes.
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/selvedge', import.meta.url)));

const argv = process.argv.slice(2);
const { POP_PROCESS } = await import('./cli/platform/spec.ts');
if (argv[0] === POP_PROCESS) {
  const { runPopProcess } = await import('./cli/platform/pop-process.ts');
  runPopProcess();
} else {
  const { main } = await import('./cli/main.ts');
  process.exitCode = await main(argv);
}
