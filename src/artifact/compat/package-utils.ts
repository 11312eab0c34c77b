/** `core/utils/packageUtils`: package.json of the project. */
import { readFileSync, writeFileSync } from 'node:fs';

export const read = (path = 'package.json'): Record<string, unknown> => JSON.parse(readFileSync(path, 'utf8')) as never;

export function write(contents: string | object, path = 'package.json'): void {
  writeFileSync(path, typeof contents === 'string' ? contents : `${JSON.stringify(contents, null, 2)}\n`);
}
