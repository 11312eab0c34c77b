/** Folders for files of a test: gone when its process ends, however its tests went. */
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made: string[] = [];
process.once('exit', () => {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
});

/** Absolute, without links on its way. */
export function newFolder(name = 'files'): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), `sv-${name}-`)));
  made.push(folder);
  return folder;
}
