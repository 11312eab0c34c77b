/**
 * `npm test`: every test of the four shelves (beside the code, scenarios, golden, conformance) with Node's own
 * runner. Arguments narrow it down: `npm test -- src/router`.
 */
import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';

const wanted = process.argv.slice(2);
const files = [...globSync('src/**/*.test.ts'), ...globSync('test/**/*.test.ts')]
  .filter((file) => !file.includes('/fixtures/'))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();
if (files.length === 0) {
  console.error(`no test file matches ${wanted.join(' ')}`);
  process.exit(2);
}
const run = spawnSync(
  process.execPath,
  ['--test', '--test-timeout=180000', '--test-force-exit', '--test-concurrency=2', ...files],
  {
    stdio: 'inherit',
  },
);
process.exitCode = run.status ?? 1;
