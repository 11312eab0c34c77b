/**
 * What is wrong with a project, collected: a build tells everything that it can find at once, never only the
 * first thing. Errors stop the build, warnings travel in the manifest.
 */
import { isAbsolute, relative, sep } from 'node:path';
import type { BuildProblem } from '../router/protocol.ts';

export type { BuildProblem };

export interface ProblemList {
  readonly errors: readonly BuildProblem[];
  readonly warnings: readonly BuildProblem[];
}

export class Problems implements ProblemList {
  readonly errors: BuildProblem[] = [];
  readonly warnings: BuildProblem[] = [];

  error(message: string, more: Omit<BuildProblem, 'message'> = {}): void {
    this.errors.push({ message, ...more });
  }

  warn(message: string, more: Omit<BuildProblem, 'message'> = {}): void {
    this.warnings.push({ message, ...more });
  }

  add(other: ProblemList): void {
    this.errors.push(...other.errors);
    this.warnings.push(...other.warnings);
  }

  get failed(): boolean {
    return this.errors.length > 0;
  }
}

/** One line for people: `routes.ts:12: what is wrong. What to do.` */
export function describeProblem({ file, line, message, remedy }: BuildProblem): string {
  const place = file === undefined ? '' : `${file}${line === undefined ? '' : `:${line}`}: `;
  return `${place}${remedy === undefined ? message : `${message.replace(/[^.!?]$/, '$&.')} ${sentence(remedy)}`}`;
}

/** Code keeps its letters: a remedy that is code is introduced by words. */
function sentence(remedy: string): string {
  const [first = ''] = remedy.split(' ', 1);
  if (/[^\p{L}\p{N}:,-]/u.test(first) && !first.startsWith('`')) return `Write instead: ${remedy}`;
  return `${first[0]?.toUpperCase() ?? ''}${remedy.slice(1)}`;
}

/** With `/` on every system, and never starting with `./`. */
export const projectPath = (dir: string, file: string): string =>
  (isAbsolute(file) ? relative(dir, file) : file).split(sep).join('/').replace(/^\.\//, '');

/** True for paths at or below the directory; both absolute. */
export function isInside(dir: string, file: string): boolean {
  const way = relative(dir, file);
  return way === '' || (way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}
