/**
 * `npm test`: every test of the four shelves (beside the code, scenarios, golden, conformance) with Node's own
 * runner. Arguments narrow it down: `npm test -- src/router`. Temporary files of a run lie in a folder of its own;
 * what is left there, and every process that is left, is told and removed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cleanUp } from './left-behind.ts';

const wanted = process.argv.slice(2);
const files = [...globSync('src/**/*.test.ts'), ...globSync('test/**/*.test.ts')]
  .filter((file) => !file.includes('/fixtures/'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(' ')}`);
  process.exit(2);
}

const FLAGS = ['--test', '--test-timeout=600000', '--test-force-exit', '--test-concurrency=2'];
const REPORTERS = [
  ['spec', 'stdout'],
  ['./tools/slowest.ts', 'stderr'],
].flatMap(([name, destination]) => [`--test-reporter=${name}`, `--test-reporter-destination=${destination}`]);

// Short: addresses of Unix sockets below it have at most 107 characters.
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'sv-')));
// Some hundred processes load the same sources; those that are loaded first compile them for the others.
const compiled = join(folder, 'compiled');
// Ctrl-C reaches the runner as well; what it leaves is cleaned up here.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => runner.kill(signal));
const runner = spawn(process.execPath, [...FLAGS, ...REPORTERS, ...files], {
  env: { ...process.env, TMPDIR: folder, NODE_COMPILE_CACHE: compiled },
  stdio: 'inherit',
});
const [code] = (await once(runner, 'exit')) as [number | null];
rmSync(compiled, { recursive: true, force: true });
const left = cleanUp(folder);
for (const line of left) console.error(`left behind by a test: ${line}`);
process.exitCode = code ?? 1;
