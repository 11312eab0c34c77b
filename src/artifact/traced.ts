/**
 * What a server needs at run time although nothing imports it: folders named through `__dirname` or the working
 * directory (views, public files), and packages named in a string (a view engine). Found by static analysis of the
 * project's own modules; what is in the bundle already is left out.
 */
import { isBuiltin } from 'node:module';
import { join, sep } from 'node:path';
import type { FoundFile } from './files.ts';
import { nothing, walk } from './files.ts';
import { PLATFORM_SPECIFIER } from './modules.ts';
import { placePackages } from './node-modules.ts';
import { isInside, Problems, projectPath } from './problems.ts';

export interface TraceRequest {
  /** Real path of the project. */
  readonly projectDir: string;
  /** Absolute path of the server's entry. */
  readonly entry: string;
  /** What the bundle was made of, as `Bundle.inputs` tells. */
  readonly inputs: readonly string[];
}

/** By path in the server bundle. */
export async function traceServer({ projectDir, entry, inputs }: TraceRequest): Promise<Map<string, FoundFile>> {
  const { files, packages } = await analyse(projectDir, entry);
  const bundled = new Set(inputs);
  const found = new Map<string, FoundFile>();
  const add = async (start: string, target: string, root: string): Promise<void> => {
    // What cannot be taken (a link out of the project) was not asked for by anybody: it is not a mistake.
    const leaveOut = root === start ? isPackageFolder : nothing;
    const options = { root, leaveOut, problems: new Problems() };
    for (const one of await walk(start, options)) found.set(one.path === '' ? target : `${target}/${one.path}`, one);
  };
  for (const file of files) {
    const path = projectPath(projectDir, file);
    if (!bundled.has(path) && !isPrivate(path)) await add(file, path, projectDir);
  }
  const missing = packages.filter((name) => !inputs.some((path) => path.includes(`node_modules/${name}/`)));
  for (const { directory, target } of placePackages(projectDir, new Problems(), missing))
    await add(directory, target, directory);
  return found;
}

const isPackageFolder = (name: string): boolean => name === 'node_modules';

/** Never taken unasked: secrets, history, output of builds, and packages (they have rules of their own). */
const isPrivate = (path: string): boolean =>
  path.split('/').some((part) => ['node_modules', '.git', '.selvedge'].includes(part) || part.startsWith('.env'));

interface Analysis {
  /** Absolute, inside the project. */
  readonly files: readonly string[];
  /** Packages that the project's own modules name. */
  readonly packages: readonly string[];
}

async function analyse(projectDir: string, entry: string): Promise<Analysis> {
  const { nodeFileTrace, resolve } = await import('@vercel/nft');
  const packages = new Set<string>();
  const base = sep;
  const { fileList } = await nodeFileTrace([entry], {
    base,
    processCwd: projectDir,
    ts: true,
    mixedModules: true,
    /** Packages are noted, not looked into: the bundle has their code. */
    async resolve(specifier, parent, job, commonJs) {
      if (/^[./]/.test(specifier)) return Promise.resolve(resolve(specifier, parent, job, commonJs)).catch(() => []);
      if (!isBuiltin(specifier) && !PLATFORM_SPECIFIER.test(specifier)) packages.add(packageName(specifier));
      return [];
    },
  });
  const files = [...fileList].map((path) => join(base, path)).filter((file) => isInside(projectDir, file));
  return { files: files.sort(), packages: [...packages].sort() };
}

const packageName = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
