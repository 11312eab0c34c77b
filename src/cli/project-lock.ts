/**
 * One build or deploy of a project at a time, because its output folder is shared. The lock is SQLite's on an empty
 * file: however its holder ends, the kernel lets go of it.
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as pause } from 'node:timers/promises';

/** Where builds of a project go, inside of it. */
export const OUTPUT_FOLDER = '.selvedge';
const LOOK_AGAIN_MS = 100;

/** `onWait` is called once when somebody else is at work. A folder that is no project is not locked. */
export async function withProjectLock<Result>(
  dir: string,
  onWait: () => void,
  work: () => Promise<Result>,
): Promise<Result> {
  if (!existsSync(dir)) return work();
  await mkdir(join(dir, OUTPUT_FOLDER), { recursive: true });
  const lock = new DatabaseSync(join(dir, OUTPUT_FOLDER, 'build.lock'), { timeout: 0 });
  try {
    if (!tryLock(lock)) {
      onWait();
      while (!tryLock(lock)) await pause(LOOK_AGAIN_MS);
    }
    return await work();
  } finally {
    lock.close();
  }
}

function tryLock(lock: DatabaseSync): boolean {
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return true;
  } catch (error) {
    if (/locked|busy/.test(String(error))) return false;
    throw error;
  }
}
