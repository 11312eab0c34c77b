import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';

/** `core/utils/esImport`: dynamic import that a bundler leaves alone. */
export default function esImport(path: string): Promise<unknown> {
  return import(isAbsolute(path) ? pathToFileURL(path).href : path);
}
