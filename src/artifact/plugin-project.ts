/**
 * What real project files need beyond plain bundling: their own `__dirname`, `module.exports` in files that Node
 * takes for ES modules, and a clear answer for native add-ons.
 */
import { readFile } from 'node:fs/promises';
import { dirname, extname, isAbsolute, join, posix } from 'node:path';
import type { Loader, OnLoadResult, Plugin } from 'esbuild';
import { isInside, projectPath } from './problems.ts';

export interface PlaceNames {
  readonly dirname: string;
  readonly filename: string;
  readonly url: string;
}

export interface ProjectPluginOptions {
  readonly projectDir: string;
  readonly includeNodeModules: boolean;
  /** Collects the packages that hold native add-ons. */
  readonly natives: Set<string>;
  /** Names that the bundle's `define` gives to `__dirname` and its relatives. */
  readonly places: PlaceNames;
}

const SOURCES = /\.[cm]?[jt]sx?$/;
const OWN_PLACE = /\b(?:__dirname|__filename)\b|\bimport\.meta\.(?:url|dirname|filename)\b/;
const ASSIGNS_EXPORTS = /^\s*(?:module\.)?exports(?:\.\w+)?\s*=/m;
const IMPORTS = /^\s*import\s*(?:[\w*{'"])/m;
const EXPORTS = /^\s*export\s/m;

export function projectPlugin({ projectDir, includeNodeModules, natives, places }: ProjectPluginOptions): Plugin {
  return {
    name: 'selvedge-project',
    setup(build) {
      build.onResolve({ filter: /\.node$/ }, ({ path, resolveDir }) => {
        const name = packageOf(isAbsolute(path) ? path : join(resolveDir, path)) ?? path;
        natives.add(name);
        if (includeNodeModules && packageOf(join(resolveDir, path)) !== undefined) return { path, external: true };
        return {
          errors: [
            {
              text: `${name} is a native add-on (${path.split('/').at(-1)}), which cannot be bundled`,
              detail: 'native-addon',
            },
          ],
        };
      });
      build.onLoad({ filter: SOURCES }, async ({ path }) => {
        if (path.includes('/node_modules/') || !isInside(projectDir, path)) return undefined;
        return adapt(path, await readFile(path, 'utf8'), projectDir, places);
      });
    },
  };
}

/** Undefined leaves the file to esbuild. What is added goes onto existing lines, so that line numbers stay true. */
async function adapt(
  file: string,
  source: string,
  projectDir: string,
  places: PlaceNames,
): Promise<OnLoadResult | undefined> {
  const mixed = ASSIGNS_EXPORTS.test(source) && !EXPORTS.test(source) && IMPORTS.test(source) && (await isModule(file));
  const placed = OWN_PLACE.test(source);
  if (!mixed && !placed) return undefined;
  const before = [
    placed ? placeOf(projectPath(projectDir, file), places) : '',
    mixed ? 'var module={exports:{}},exports=module.exports;' : '',
  ];
  const after = mixed ? '\nexport default module.exports;' : '';
  const loader = extname(file).slice(1).replace(/^[cm]/, '').replace(/^js$/, 'jsx') as Loader;
  return { contents: `${before.join('')}${source.replace(/^#!.*/, '')}${after}`, loader };
}

function placeOf(path: string, { dirname, filename, url }: PlaceNames): string {
  const directory = posix.dirname(path);
  const below = directory === '.' ? '' : `/${directory}`;
  return [
    `var ${dirname}=globalThis.__selvedge_root+${JSON.stringify(below)},`,
    `${filename}=globalThis.__selvedge_root+${JSON.stringify(`/${path}`)},`,
    `${url}="file://"+encodeURI(${filename});`,
  ].join('');
}

async function isModule(file: string): Promise<boolean> {
  if (/\.m[jt]s$/.test(file)) return true;
  if (/\.c[jt]s$/.test(file)) return false;
  for (let directory = dirname(file); ; directory = dirname(directory)) {
    const manifest = await readFile(join(directory, 'package.json'), 'utf8').catch(() => null);
    if (manifest !== null) return /"type"\s*:\s*"module"/.test(manifest);
    if (directory === dirname(directory)) return false;
  }
}

/** Name of the innermost package that holds the file; undefined outside of node_modules. */
function packageOf(file: string): string | undefined {
  const inner = file.split('/node_modules/').at(-1)!;
  if (inner === file) return undefined;
  const [scope, name] = inner.split('/');
  return scope?.startsWith('@') ? `${scope}/${name}` : scope;
}
