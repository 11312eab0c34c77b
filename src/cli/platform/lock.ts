/**
 * One platform per data directory. The lock is the kernel's own on a file, taken through SQLite: whatever kills the
 * process, the kernel lets go of it, and of two that start at the same moment exactly one gets it.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const BUSY = 5;

/** Throws a sentence for people when another platform runs with the directory. Returns the function that lets go. */
export function lockDataDir(data: string): () => void {
  let file: DatabaseSync | undefined;
  try {
    file = new DatabaseSync(join(data, 'platform.lock'));
    file.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    file?.close();
    const { errcode, message } = error as Error & { errcode?: number };
    if (errcode === BUSY) throw new Error(`another platform already runs with the data directory ${data}`);
    throw new Error(`the data directory ${data} cannot be locked (${message}); choose another with --data`);
  }
  return () => file.close();
}
