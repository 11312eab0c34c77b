/** A project directory made for one test: files from a record, gone when the test ends. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';

/** Names are relative, with folders. Returns the real path. */
export function projectDir(t: TestContext, files: Readonly<Record<string, string | Buffer>>): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'project-')));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), content);
  }
  return dir;
}
