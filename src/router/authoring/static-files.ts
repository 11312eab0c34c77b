/** The files that a `static` or `dir` declaration covers, found when the routes are recorded. */
import { readdirSync, realpathSync, type Stats, statSync } from 'node:fs';
import { join, matchesGlob, relative } from 'node:path';
import { escapePattern } from '../path.ts';
import type { StaticOptions } from './types.ts';

/** Never published from a directory: they hold secrets or are no content. Dot files such as `.well-known` are. */
const NEVER = [
  '**/.git/**',
  '**/node_modules/**',
  '**/.env',
  '**/.env.*',
  '**/.DS_Store',
  '**/.selvedge/**',
  '.selvedge/**',
  '.git/**',
  'node_modules/**',
  '.env',
  '.env.*',
  '.DS_Store',
];

export interface ListedFiles {
  /** Relative to the directory, with forward slashes, in their final order. */
  readonly files: readonly string[];
  /** Links that lead out of the project, as far as they were not to be ignored. */
  readonly outside: readonly string[];
  /** Links to nowhere, and names that are not UTF-8: there is no file under the name that Node reads. */
  readonly nowhere: readonly string[];
}

/** Null when there is no such directory. Links are followed, but neither in a circle nor out of the project. */
export function listFiles(projectDir: string, directory: string, options: StaticOptions): ListedFiles | null {
  const top = join(projectDir, directory);
  if (!statOf(top)?.isDirectory()) return null;
  const tree: Tree = { root: realpathSync(projectDir), files: [], outside: [], nowhere: [] };
  visit(top, '', new Set(), tree);
  const ignored = [...NEVER, ...[options.ignore ?? []].flat()];
  const wanted = (names: readonly string[]): string[] =>
    names
      .filter((name) => options.glob === undefined || matchesGlob(name, options.glob))
      .filter((name) => !ignored.some((pattern) => matchesGlob(name, pattern)))
      .sort();
  const files = wanted(tree.files);
  return { files: options.sort?.(files) ?? files, outside: tree.outside.sort(), nowhere: wanted(tree.nowhere) };
}

interface Tree {
  readonly root: string;
  readonly files: string[];
  readonly outside: string[];
  readonly nowhere: string[];
}

/** Large, and nothing in them is published. */
const UNVISITED = new Set(['.git', 'node_modules', '.selvedge']);

function visit(folder: string, path: string, parents: ReadonlySet<string>, tree: Tree): void {
  const real = realpathSync(folder);
  if (parents.has(real)) return;
  if (relative(tree.root, real).startsWith('..')) return void tree.outside.push(path);
  const inside = new Set(parents).add(real);
  for (const { name } of readdirSync(real, { withFileTypes: true })) {
    const at = path === '' ? name : `${path}/${name}`;
    const kind = statOf(join(real, name));
    if (kind === undefined) tree.nowhere.push(at);
    else if (kind.isFile()) tree.files.push(at);
    else if (kind.isDirectory() && !UNVISITED.has(name)) visit(join(folder, name), at, inside, tree);
  }
}

/** Undefined for a link to nowhere, or to itself. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

/** Patterns that a file answers: its own name, and for an `index.html` its directory. */
export function pathsOf(file: string, options: StaticOptions): string[] {
  if (options.paths) return [options.paths(file)].flat().map((path) => (path.startsWith('/') ? path : `/${path}`));
  const own = `/${escapePattern(spelledInPath(file))}`;
  return /(^|\/)index\.html?$/.test(file) ? [own, own.replace(/\/?index\.html?$/, '') || '/'] : [own];
}

/** These mean something else in a path, so that a name that has them is asked for with them escaped. */
const spelledInPath = (file: string): string => file.replace(/[%?#\\]/g, encodeURIComponent);

/** Project-relative spelling of a path that a project wrote: no `./`, no leading or trailing slash. */
export const projectPath = (path: string): string =>
  path
    .replaceAll('\\', '/')
    .replace(/^(?:\.?\/)+/, '')
    .replace(/\/+$/, '')
    .replace(/^\.$/, '');

/** The part of an asset template that is a fixed directory or file: what the build has to stage. */
export function stagedPath(template: string): string {
  const variable = template.search(/[:({*]/);
  if (variable < 0) return template;
  const slash = template.lastIndexOf('/', variable);
  return slash < 0 ? '' : template.slice(0, slash);
}
