/**
 * The LMDB file of a disk tier, shared by all POP processes of a role on this machine. Every store is a folder with a
 * number of its own and `current` names the one in use: a damaged one is set aside by naming the next, without
 * waiting for anybody who still has it open.
 *
 * LMDB trusts its file. One that is shorter than its own header says would end the process at the first read, so
 * that is looked for before it is opened.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Database, open, type RootDatabase } from 'lmdb';

export interface StoreFile {
  /** Changes when the store was set aside. */
  readonly number: number;
  readonly folder: string;
  readonly root: RootDatabase<Buffer, string>;
  /** In order of arrival: a moment and a writer → record. */
  readonly records: Database<Buffer, Buffer>;
  /** Hash of a key → place of its record. */
  readonly places: Database<Buffer, Buffer>;
  /** Batch number → writer and keys that changed. */
  readonly changes: Database<Buffer, number>;
  /** Hash of a purge's target → purge. */
  readonly purges: Database<Buffer, Buffer>;
  /** Counters. */
  readonly counters: Database<Buffer, string>;
}

/** More records of about a kilobyte fit without a gap than into pages of 4 KiB, and less is copied than with 16 KiB. */
const PAGE_BYTES = 8_192;

/** Opens the current store. One from before `brokenBeforeMs` (a process died of it) or that is damaged is set aside. */
export function openStoreFile(folder: string, brokenBeforeMs = 0): StoreFile {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const number = currentNumber(folder);
  const path = join(folder, String(number));
  if (existsSync(path) && (statSync(path).birthtimeMs < brokenBeforeMs || !isPlausible(join(path, 'data.mdb')))) {
    setAside(folder, number);
    return openNumber(folder, currentNumber(folder));
  }
  try {
    return openNumber(folder, number);
  } catch (error) {
    if (!isDamage(error)) throw error;
    setAside(folder, number);
    return openNumber(folder, currentNumber(folder));
  }
}

/** Names the next store, unless somebody has done so already. The damaged one is kept until the next is damaged. */
export function setAside(folder: string, number: number): void {
  if (currentNumber(folder) !== number) return;
  const aside = join(folder, `current.${process.pid}`);
  writeFileSync(aside, String(number + 1));
  renameSync(aside, join(folder, 'current'));
  for (const name of readdirSync(folder)) {
    if (/^[0-9]+$/.test(name) && Number(name) < number) rmSync(join(folder, name), { recursive: true, force: true });
  }
}

export function currentNumber(folder: string): number {
  try {
    return Number(readFileSync(join(folder, 'current'), 'utf8')) || 1;
  } catch {
    return 1;
  }
}

/** What LMDB says of a file that is not as it left it; everything else (a full disk, no permission) is no damage. */
export const isDamage = (error: unknown): boolean =>
  /MDB_(?:CORRUPTED|PAGE_NOTFOUND|INVALID|VERSION_MISMATCH|PANIC|INCOMPATIBLE|CURSOR_FULL|BAD_)|not an LMDB file|corrupt|Located page was wrong type|Requested page not found|unexpected/i.test(
    error instanceof Error ? error.message : String(error),
  );

function openNumber(folder: string, number: number): StoreFile {
  const path = join(folder, String(number));
  mkdirSync(path, { recursive: true, mode: 0o700 });
  // Batches are our own. LMDB's would reject a promise that nobody can have when a commit fails.
  const own = { eventTurnBatching: false };
  const root = open<Buffer, string>({ path, encoding: 'binary', maxDbs: 6, pageSize: PAGE_BYTES, ...own });
  const binaryKeys = { encoding: 'binary', keyEncoding: 'binary' } as const;
  return {
    ...{ number, folder: path, root },
    records: root.openDB<Buffer, Buffer>({ name: 'records', ...binaryKeys }),
    places: root.openDB<Buffer, Buffer>({ name: 'places', ...binaryKeys }),
    changes: root.openDB<Buffer, number>({ name: 'changes', encoding: 'binary' }),
    purges: root.openDB<Buffer, Buffer>({ name: 'purges', ...binaryKeys }),
    counters: root.openDB<Buffer, string>({ name: 'counters', encoding: 'binary' }),
  };
}

/** Where the two headers of an LMDB file, one page apart, say how many pages there are. */
const META = { magicAt: 24, magic: 0xbeefc0de, pageBytesAt: 48, lastPageAt: 144, transactionAt: 152, bytes: 160 };

function isPlausible(file: string): boolean {
  if (!existsSync(file)) return true;
  const { size } = statSync(file);
  if (size === 0) return true;
  const descriptor = openSync(file, 'r');
  try {
    const headers = [0, PAGE_BYTES].map((at) => {
      const header = Buffer.alloc(META.bytes);
      readSync(descriptor, header, 0, META.bytes, at);
      return header;
    });
    if (headers.some((header) => header.readUInt32LE(META.magicAt) !== META.magic)) return false;
    if (headers.some((header) => header.readUInt16LE(META.pageBytesAt) !== PAGE_BYTES)) return false;
    const newest = headers.toSorted((a, b) => Number(transactionOf(b) - transactionOf(a)))[0]!;
    return size >= (Number(newest.readBigUInt64LE(META.lastPageAt)) + 1) * PAGE_BYTES;
  } finally {
    closeSync(descriptor);
  }
}

const transactionOf = (header: Buffer): bigint => header.readBigUInt64LE(META.transactionAt);
