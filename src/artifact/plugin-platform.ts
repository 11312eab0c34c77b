/**
 * Makes `selvedge…`, `@layer0/core…` and `@edgio/core…` imports of a project our own modules. They live in a
 * namespace of their own, named by their place inside our package, so that the machine's paths stay out of the
 * bundle and its source map.
 */
import { readFile } from 'node:fs/promises';
import { isBuiltin } from 'node:module';
import { dirname, extname, join, sep } from 'node:path';
import type { Loader, OnLoadResult, OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from 'esbuild';
import { PLATFORM_SPECIFIER, resolveModule } from './modules.ts';

const NAMESPACE = 'selvedge';
const RECURSIVE = 'selvedge-recursive';
/** `src/` in a checkout, `dist/` in a package. */
export const OWN_SOURCES = dirname(import.meta.dirname);

export function platformPlugin(): Plugin {
  /** Name in the namespace → file. */
  const files = new Map<string, string>();
  const own = (file: string): OnResolveResult => {
    const path = nameOf(file);
    files.set(path, file);
    return { path, namespace: NAMESPACE };
  };
  return {
    name: 'selvedge-platform',
    setup(build) {
      build.onResolve({ filter: PLATFORM_SPECIFIER }, ({ path }) => {
        const file = resolveModule(path);
        return file === undefined ? undefined : own(file);
      });
      build.onResolve({ filter: /.*/, namespace: NAMESPACE }, async (args) => {
        if (args.pluginData === RECURSIVE || isBuiltin(args.path)) return undefined;
        const file = await resolveOwn(build, args, files);
        return typeof file === 'string' ? own(file) : file;
      });
      build.onLoad({ filter: /.*/, namespace: NAMESPACE }, ({ path }) => load(files.get(path)!));
    },
  };
}

/** Our relative imports, and our dependencies: from our own place, never from the project's. */
async function resolveOwn(
  build: PluginBuild,
  { path, importer, kind }: OnResolveArgs,
  files: ReadonlyMap<string, string>,
): Promise<string | OnResolveResult> {
  const resolveDir = dirname(files.get(importer)!);
  if (path.startsWith('.') && extname(path) !== '') return join(resolveDir, path);
  const { errors, path: file, external } = await build.resolve(path, { kind, resolveDir, pluginData: RECURSIVE });
  return errors.length > 0 || external ? { errors, path: file, external } : file;
}

function nameOf(file: string): string {
  const path = file.split(sep).join('/');
  const inPackage = path.lastIndexOf('/node_modules/');
  const sources = `${OWN_SOURCES.split(sep).join('/')}/`;
  if (path.startsWith(sources)) return path.slice(sources.length);
  return inPackage < 0 ? path.split('/').at(-1)! : path.slice(inPackage + '/node_modules/'.length);
}

async function load(file: string): Promise<OnLoadResult> {
  return { contents: await readFile(file, 'utf8'), loader: extname(file).slice(1).replace(/^[cm]/, '') as Loader };
}
