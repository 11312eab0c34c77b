/** For connectors that look at the project's routes while they build. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { bundle } from '../bundle.ts';
import { describeProblem } from '../problems.ts';

/** The default export of the routes file. Throws with all problems of the bundle in its message. */
export async function loadRouter(projectDir: string, routesFile: string): Promise<unknown> {
  const bundled = await bundle({
    projectDir,
    entry: routesFile,
    out: 'routes.mjs',
    includeNodeModules: false,
    config: {},
    production: true,
  });
  if (bundled.errors.length > 0) throw new Error(bundled.errors.map(describeProblem).join('\n'));
  const folder = await mkdtemp(join(tmpdir(), 'selvedge-router-'));
  try {
    const file = join(folder, 'routes.mjs');
    await writeFile(file, bundled.code);
    const module = (await import(pathToFileURL(file).href)) as { default?: { default?: unknown } };
    return module.default?.default ?? module.default;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
