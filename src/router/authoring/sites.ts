/**
 * Where in the project something was declared. Reads the call stack through source maps (run Node with
 * `--enable-source-maps`) and skips the frames of this API, so that a message names a line that its reader wrote.
 */
import { dirname, isAbsolute, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { getCallSites } from 'node:util';
import type { Source } from '../table.ts';

/** Absolute. */
export interface Site {
  readonly file: string;
  readonly line: number;
}

const FRAMES = 16;
const own = ownDirectories();

/** The innermost frame of project code; undefined without source maps, after an await, and in workers. */
export function callSite(): Site | undefined {
  if (process.env.SELVEDGE_RUNTIME === 'cloud') return undefined;
  for (const { scriptName, lineNumber } of getCallSites(FRAMES, { sourceMap: true })) {
    if (scriptName === '' || scriptName.startsWith('node:')) continue;
    const file = pathOf(scriptName);
    if (!isOwn(file)) return { file, line: lineNumber };
  }
  return undefined;
}

/** The innermost frame of project code in the stack of something that was thrown. */
export function siteOfError(error: unknown): Site | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  for (const [, file, line] of stack.matchAll(/(?:\(|at |async )(?:file:\/\/)?(\/[^()\n]+?):(\d+):\d+\)?$/gm))
    if (!isOwn(file!) && !file!.includes('/node_modules/')) return { file: file!, line: Number(line) };
  return undefined;
}

const isOwn = (file: string): boolean => own.some((directory) => file.startsWith(directory));

/** Relative to the project; for code of packages the path from `node_modules` on. Never a path of this machine. */
export function sourceOf(site: Site | undefined, projectDir: string): Source {
  if (!site) return { file: '', line: 0 };
  const path = relative(projectDir, site.file).split(sep).join('/');
  const installed = path.lastIndexOf('node_modules/');
  return { file: installed > 0 && path.startsWith('..') ? path.slice(installed) : path, line: site.line };
}

/** This directory and the one of the compatibility modules, as stack frames spell them, bundled or not. */
function ownDirectories(): string[] {
  const here = getCallSites(1, { sourceMap: true })[0]?.scriptName ?? '';
  const directory = dirname(pathOf(here));
  return isAbsolute(directory) ? [`${directory}${sep}`, `${join(dirname(directory), 'compat')}${sep}`] : [];
}

function pathOf(scriptName: string): string {
  return scriptName.startsWith('file:') ? fileURLToPath(scriptName) : scriptName;
}
