/** `core/utils/nonWebpackRequire`: loads a file at run time, past any bundler. */
import { createRequire } from 'node:module';
import { isAbsolute, join } from 'node:path';

/** Undefined when the module cannot be loaded and `ignoreErrors` is set; otherwise throws what loading throws. */
export default function nonWebpackRequire(path: string, { ignoreErrors = false } = {}): unknown {
  const load = createRequire(join(process.cwd(), '_.js'));
  try {
    return load(isAbsolute(path) || path.startsWith('.') ? path : load.resolve(path));
  } catch (error) {
    if (ignoreErrors) return undefined;
    throw error;
  }
}
