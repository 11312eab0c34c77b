import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** Absolute path of a file inside an installed package, `exports` of the package notwithstanding. */
export function resolveInPackage(packageName: string, path = ''): string {
  const require = createRequire(join(process.cwd(), '_.js'));
  return join(dirname(require.resolve(`${packageName}/package.json`)), path);
}
