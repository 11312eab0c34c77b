/**
 * Content-addressed files in `<data>/blobs/ab/cdef…`, named by the SHA-256 of their content. A blob appears whole
 * or not at all: it is written to a temporary file, checked, synced and renamed, so a kill at any moment leaves
 * nothing half, and concurrent writers of the same blob simply agree.
 */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { type Clock, systemClock } from '../base/clock.ts';
import { invalidField, notFound, Problem } from './problem.ts';

const SHA256_HEX = /^[0-9a-f]{64}$/;
const ABANDONED_AFTER_MS = 24 * 60 * 60 * 1000;

export const isBlobName = (value: unknown): value is string => typeof value === 'string' && SHA256_HEX.test(value);

export interface BlobStore {
  /** Where the blob is, or would be. Throws a `Problem` when the name is no lower-case hex SHA-256. */
  path(sha256: string): string;
  has(sha256: string): Promise<boolean>;
  /** Bytes of the blob, or undefined when it is not here. */
  size(sha256: string): Promise<number | undefined>;
  /** Those of the list that are not here, each once, in order. */
  missing(names: Iterable<string>): Promise<string[]>;
  /**
   * Stores the content if it hashes to its name. `maxBytes` refuses longer content (413), another hash is a 422;
   * then nothing is kept. Resolves when the blob is on the disk.
   */
  put(sha256: string, content: AsyncIterable<Uint8Array>, options?: PutOptions): Promise<StoredBlob>;
  /** Throws a 404 `Problem` when it is not here. */
  open(sha256: string): Promise<{ readonly stream: Readable; readonly bytes: number }>;
}

export interface PutOptions {
  readonly maxBytes?: number;
}

export interface StoredBlob {
  readonly bytes: number;
  /** False when it was here already. */
  readonly created: boolean;
}

/** Opens (and makes) the store; leftovers of killed writers older than a day are removed. */
export async function openBlobStore(directory: string, clock: Clock = systemClock): Promise<BlobStore> {
  const uploads = join(directory, 'uploads');
  await makeFolders(directory, uploads);
  await removeAbandoned(uploads, clock.nowMs());

  const path = (sha256: string): string => {
    if (!isBlobName(sha256)) throw invalidField('sha256', `'${sha256}' is not 64 lower-case hexadecimal digits`);
    return join(directory, sha256.slice(0, 2), sha256.slice(2));
  };
  const size = (sha256: string) => sizeOf(path(sha256));
  const has = async (sha256: string) => (await size(sha256)) !== undefined;

  return {
    path,
    size,
    has,
    async missing(names) {
      const absent: string[] = [];
      for (const name of new Set(names)) if (!(await has(name))) absent.push(name);
      return absent;
    },
    async put(sha256, content, options = {}) {
      const target = path(sha256);
      if (await has(sha256)) {
        return { bytes: await consume(sha256, content, options), created: false };
      }
      const temporary = join(uploads, `${sha256}.${randomUUID()}`);
      try {
        const bytes = await writeSynced(temporary, (file) => consume(sha256, content, options, file));
        await moveSynced(temporary, target);
        return { bytes, created: true };
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
    },
    async open(sha256) {
      const bytes = await size(sha256);
      if (bytes === undefined) throw notFound(`no blob ${sha256}`);
      return { stream: createReadStream(path(sha256)), bytes };
    },
  };
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Reads to the end, into `file` if there is one; throws when the content is too long or is not what its name says. */
async function consume(
  sha256: string,
  content: AsyncIterable<Uint8Array>,
  { maxBytes = Number.POSITIVE_INFINITY }: PutOptions,
  file?: FileHandle,
): Promise<number> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of content) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLong(sha256, maxBytes);
    hash.update(chunk);
    await file?.writeFile(chunk);
  }
  const actual = hash.digest('hex');
  if (actual !== sha256) throw invalidField('sha256', `the content of ${bytes} bytes has the SHA-256 ${actual}`);
  return bytes;
}

function tooLong(sha256: string, maxBytes: number): Problem {
  const detail = `blob ${sha256} is longer than the ${maxBytes} bytes of static.bodyBytes`;
  return new Problem({ status: 413, reason: 'static.bodyBytes', detail });
}

async function writeSynced(path: string, write: (file: FileHandle) => Promise<number>): Promise<number> {
  const file = await open(path, 'wx');
  try {
    const bytes = await write(file);
    await file.sync();
    return bytes;
  } finally {
    await file.close();
  }
}

/** Renames and makes the new name itself durable. */
async function moveSynced(from: string, to: string): Promise<void> {
  await rename(from, to);
  await syncFolder(dirname(to));
}

/** All 256 folders ahead of time, so that a write never has to make a folder durable. */
async function makeFolders(directory: string, uploads: string): Promise<void> {
  await mkdir(uploads, { recursive: true });
  const there = new Set(await readdir(directory));
  const absent = Array.from({ length: 256 }, (_, at) => at.toString(16).padStart(2, '0')).filter(
    (it) => !there.has(it),
  );
  if (absent.length === 0) return;
  await Promise.all(absent.map((name) => mkdir(join(directory, name), { recursive: true })));
  await syncFolder(directory);
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function removeAbandoned(uploads: string, nowMs: number): Promise<void> {
  for (const name of await readdir(uploads)) {
    const path = join(uploads, name);
    const age = nowMs - (await stat(path).catch(() => ({ mtimeMs: nowMs }))).mtimeMs;
    if (age > ABANDONED_AFTER_MS) await rm(path, { force: true });
  }
}
