/** The name under which a project is deployed when nobody says one. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

const CONFIG_FILE = /^(selvedge|layer0|edgio)\.config\.[cm]?[jt]s$/;
const LONGEST = 40;

/** Name in the project config, else in package.json, else of the folder; see `nameFrom`. */
export async function projectName(dir: string): Promise<string> {
  return nameFrom((await configuredName(dir)) || (await packageName(dir)) || basename(resolve(dir)));
}

/** A config is code and has to be run; without one that is not needed. */
async function configuredName(dir: string): Promise<string> {
  const files = await readdir(dir).catch(() => []);
  if (!files.some((name) => CONFIG_FILE.test(name))) return '';
  const [{ loadProject }, { Problems }] = await Promise.all([
    import('../artifact/project.ts'),
    import('../artifact/problems.ts'),
  ]);
  return (await loadProject(dir, new Problems()))?.name ?? '';
}

async function packageName(dir: string): Promise<string> {
  try {
    const { name } = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')) as { name?: unknown };
    return typeof name === 'string' ? name : '';
  } catch {
    // No package.json, or none that can be read: whoever builds the project will say so.
    return '';
  }
}

/** As a part of a host name: `@acme/My_Shop` becomes `my-shop`. */
export function nameFrom(text: string): string {
  const label = text
    .replace(/^@[^/]*\//, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+/, '')
    .slice(0, LONGEST)
    .replace(/-+$/, '');
  return label === '' ? 'site' : label;
}
