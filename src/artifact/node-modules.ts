/**
 * `includeNodeModules`: the production dependencies of a project, with everything that they need, laid out flat
 * for the server bundle. Works on trees of any package manager, because it follows Node's own resolution; links
 * of a store become plain folders.
 */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Problems } from './problems.ts';

/** One package: where it is, and where it goes below the bundle. */
export interface PlacedPackage {
  readonly directory: string;
  /** `node_modules/a` or `node_modules/b/node_modules/a`. */
  readonly target: string;
}

interface PackageManifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly peerDependencies?: Readonly<Record<string, string>>;
}

/** Served by the platform itself, or tools of a developer's machine. */
const OWN = /^(?:selvedge|@(?:layer0|edgio)\/(?:core|cli|devtools))$/;

/**
 * Breadth first, so that what the project itself depends on gets the top places. `names`: what to start from, by
 * default the project's dependencies.
 */
export function placePackages(
  projectDir: string,
  problems: Problems,
  names: readonly string[] = requiredBy(projectDir, problems),
): PlacedPackage[] {
  const taken = new Map<string, string>();
  const waiting: { from: string; target: string; names: readonly string[] }[] = [
    { from: projectDir, target: '', names },
  ];
  for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
    for (const name of next.names) {
      const directory = find(name, next.from);
      if (directory === null) continue;
      if (visibleFrom(next.target, name, taken) === directory) continue;
      const top = `node_modules/${name}`;
      const target = taken.has(top) ? `${next.target === '' ? '' : `${next.target}/`}node_modules/${name}` : top;
      taken.set(target, directory);
      waiting.push({ from: directory, target, names: requiredBy(directory) });
    }
  }
  return [...taken]
    .map(([target, directory]) => ({ directory, target }))
    .sort((a, b) => (a.target < b.target ? -1 : 1));
}

/** Names to look for. Of the project itself all must be installed; deeper down, optional and peer ones may be missing. */
function requiredBy(directory: string, problems?: Problems): string[] {
  const file = join(directory, 'package.json');
  if (!existsSync(file)) return [];
  const {
    dependencies = {},
    optionalDependencies = {},
    peerDependencies = {},
  } = JSON.parse(readFileSync(file, 'utf8')) as PackageManifest;
  if (problems) refuseMissing(Object.keys(dependencies), directory, problems);
  const names = new Set([
    ...Object.keys(dependencies),
    ...Object.keys(optionalDependencies),
    ...Object.keys(peerDependencies),
  ]);
  return [...names].filter((name) => !OWN.test(name)).sort();
}

function refuseMissing(names: readonly string[], directory: string, problems: Problems): void {
  const missing = names.filter((name) => !OWN.test(name) && find(name, directory) === null);
  if (missing.length === 0) return;
  const some = missing.slice(0, 5).join(', ') + (missing.length > 5 ? ` and ${missing.length - 5} more` : '');
  problems.error(`\`includeNodeModules\` wants the dependencies in the bundle, but they are not installed: ${some}.`, {
    file: 'package.json',
    remedy: 'run `npm install` in the project.',
  });
}

/** As Node looks: in `node_modules` of every folder upwards. Real path, or null. */
function find(name: string, from: string): string | null {
  for (let directory = from; ; directory = dirname(directory)) {
    const candidate = join(directory, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return realpathSync(candidate);
    if (directory === dirname(directory)) return null;
  }
}

/** What `name` would mean to a package at `target` in the bundle, as placed so far. */
function visibleFrom(target: string, name: string, taken: ReadonlyMap<string, string>): string | undefined {
  const parts = target === '' ? [] : target.split(/\/(?=node_modules\/)/);
  for (let depth = parts.length; depth >= 0; depth--) {
    const place = [...parts.slice(0, depth), `node_modules/${name}`].join('/');
    if (taken.has(place)) return taken.get(place);
  }
  return undefined;
}
