/** Walks folders of a project for files that join a deployment: in a fixed order, never outside of the project. */
import type { Dirent } from 'node:fs';
import { glob, readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isInside, type Problems, projectPath } from './problems.ts';

export interface FoundFile {
  /** Absolute, as named (symbolic links not resolved). */
  readonly file: string;
  /** Relative to where the walk started; empty when that was a file. */
  readonly path: string;
  readonly bytes: number;
  readonly executable: boolean;
}

export interface WalkOptions {
  /** Files may come from anywhere below; links that lead out are refused. */
  readonly root: string;
  /** Entries that are passed over, by name. The start itself is always taken: it was named. */
  readonly leaveOut: (name: string) => boolean;
  readonly problems: Problems;
}

/** Public by definition (RFC 8615), so not hidden. */
const NOT_HIDDEN = '.well-known';

/** What `leaveOut` can be: dot files and installed packages, or nothing at all. */
export const hidden = (name: string): boolean =>
  name === 'node_modules' || (name.startsWith('.') && name !== NOT_HIDDEN);
export const nothing = (): boolean => false;

/** Files at or below `start`, sorted by path. Empty when it does not exist. */
export async function walk(start: string, options: WalkOptions): Promise<FoundFile[]> {
  const found: FoundFile[] = [];
  await visit(start, '', new Set(), found, options);
  return found;
}

async function visit(
  file: string,
  path: string,
  parents: ReadonlySet<string>,
  found: FoundFile[],
  options: WalkOptions,
): Promise<void> {
  const real = await realpath(file).catch(() => null);
  if (real === null) {
    const name = projectPath(options.root, file);
    // Node reads a name that is not UTF-8 with replacement characters, under which there is no file.
    const what = path.includes('\ufffd') ? 'has a name that is not UTF-8' : 'is a link to nowhere';
    if (path !== '') options.problems.warn(`\`${name}\` ${what} and is left out.`);
    return;
  }
  if (!isInside(options.root, real)) {
    options.problems.error(`\`${projectPath(options.root, file)}\` leads out of the project.`, {
      remedy: 'copy what it points to into the project, or remove the link.',
    });
    return;
  }
  const info = await stat(real);
  if (info.isFile()) found.push({ file, path, bytes: info.size, executable: (info.mode & 0o100) !== 0 });
  if (!info.isDirectory() || parents.has(real)) return;
  const inside = new Set(parents).add(real);
  for (const entry of await entriesOf(real)) {
    if (options.leaveOut(entry.name)) continue;
    await visit(join(file, entry.name), path === '' ? entry.name : `${path}/${entry.name}`, inside, found, options);
  }
}

async function entriesOf(directory: string): Promise<Dirent[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  // By code units: the same order on every machine, whatever its locale.
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const isGlob = (pattern: string): boolean => /[*?[\]{}!]/.test(pattern);
const namesHidden = (pattern: string): boolean => /(^|\/)(node_modules|\.[^./])/.test(pattern);

/**
 * Files that a pattern of the configuration names: a file, a folder, or a glob. `path` is what follows the fixed
 * front part of the pattern. Hidden files and `node_modules` only where the pattern itself names them.
 */
export async function expand(pattern: string, options: Omit<WalkOptions, 'leaveOut'>): Promise<FoundFile[]> {
  const { root } = options;
  const leaveOut = namesHidden(pattern) ? nothing : hidden;
  if (!isGlob(pattern)) return walk(join(root, pattern), { ...options, leaveOut });
  const names: string[] = [];
  const exclude = (name: string): boolean => leaveOut(name.split('/').at(-1)!);
  for await (const name of glob(pattern.replace(/^\.\//, ''), { cwd: root, exclude })) names.push(name);
  const fixed = fixedFront(pattern);
  const found: FoundFile[] = [];
  for (const name of names.sort()) {
    const info = await stat(join(root, name)).catch(() => null);
    if (!info?.isFile()) continue;
    const [file] = await walk(join(root, name), { ...options, leaveOut });
    if (file) found.push({ ...file, path: fixed === '' ? name : name.slice(fixed.length + 1) });
  }
  return found;
}

/** `content/pages/**` → `content/pages`. */
function fixedFront(pattern: string): string {
  const parts = pattern.replace(/^\.\//, '').split('/');
  return parts.slice(0, parts.findIndex(isGlob)).join('/');
}
