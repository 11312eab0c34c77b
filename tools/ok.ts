/** `npm run ok`: one command says yes or no. Format and lint, types, layers, generated files; `--tests` adds the tests. */
import { spawnSync } from 'node:child_process';

const GATES: readonly (readonly [name: string, command: readonly string[]])[] = [
  ['format and lint', ['node_modules/.bin/biome', 'check', '--error-on-warnings', '.']],
  ['types', ['node_modules/.bin/tsc', '-p', 'tsconfig.json']],
  ['types of browser code', ['node_modules/.bin/tsc', '-p', 'src/prefetch/tsconfig.json']],
  ['types of the console', ['node_modules/.bin/tsc', '-p', 'console/tsconfig.json']],
  ['types of the example', ['node_modules/.bin/tsc', '-p', 'examples/storefront/tsconfig.json']],
  ['layers', [process.execPath, 'tools/layers.ts']],
  ['generated files', [process.execPath, 'tools/generate.ts', '--check']],
  ...(process.argv.includes('--tests') ? [['tests', [process.execPath, 'tools/test.ts']] as [string, string[]]] : []),
];

let failed = 0;
for (const [name, [command, ...args]] of GATES) {
  const { status } = spawnSync(command!, args, { stdio: 'inherit' });
  if (status !== 0) failed++;
  console.log(`${status === 0 ? 'ok    ' : 'not ok'} ${name}`);
}
process.exitCode = failed === 0 ? 0 : 1;
