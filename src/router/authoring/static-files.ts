/** The files that a `static` or `dir` declaration covers, found when the routes are recorded. */
import { readdirSync } from 'node:fs';
import { join, matchesGlob, sep } from 'node:path';
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

/** Names relative to the directory with forward slashes, sorted; null when there is no such directory. */
export function listFiles(projectDir: string, directory: string, options: StaticOptions): string[] | null {
  const found = readTree(join(projectDir, directory));
  if (!found) return null;
  const ignored = [...NEVER, ...[options.ignore ?? []].flat()];
  const files = found
    .filter((file) => options.glob === undefined || matchesGlob(file, options.glob))
    .filter((file) => !ignored.some((pattern) => matchesGlob(file, pattern)))
    .sort();
  return options.sort?.(files) ?? files;
}

function readTree(root: string): string[] | null {
  try {
    return readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() || entry.isSymbolicLink())
      .map((entry) =>
        join(entry.parentPath, entry.name)
          .slice(root.length + 1)
          .split(sep)
          .join('/'),
      );
  } catch {
    return null;
  }
}

/** Patterns that a file answers: its own name, and for an `index.html` its directory. */
export function pathsOf(file: string, options: StaticOptions): string[] {
  if (options.paths) return [options.paths(file)].flat().map((path) => (path.startsWith('/') ? path : `/${path}`));
  const own = `/${escapePattern(file)}`;
  return /(^|\/)index\.html?$/.test(file) ? [own, own.replace(/\/?index\.html?$/, '') || '/'] : [own];
}

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
