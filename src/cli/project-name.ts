/** The name under which a project is deployed when nobody says one. */
import { readFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

const LONGEST = 40;

/** Name in package.json, else of the folder; see `nameFrom`. */
export async function projectName(dir: string): Promise<string> {
  try {
    const { name } = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')) as { name?: unknown };
    if (typeof name === 'string' && name !== '') return nameFrom(name);
  } catch {
    // No package.json, or none that can be read: whoever builds the project will say so.
  }
  return nameFrom(basename(resolve(dir)));
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
