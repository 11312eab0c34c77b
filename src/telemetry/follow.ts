/**
 * Reads the lines of one log in order, over all of its rotated files, and goes on with what is appended. A file that
 * was rotated away is read to its end: another process may still write a last batch to it under its old name.
 */
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { isRotated } from './log-names.ts';

/** A line beyond this is no line of ours and is passed over. */
const LONGEST_LINE_BYTES = 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** How long a rotated file is still looked at. */
const GRACE_MS = 5_000;

interface Followed {
  readonly path: string;
  readonly key: string;
  /** Absent until it is this file's turn, and after it was read to the end for good. */
  handle: FileHandle | undefined;
  position: number;
  carry: Buffer;
  /** The rest of an endless line is being passed over. */
  skipping: boolean;
}

export class LogFollower {
  readonly #directory: string;
  readonly #base: string;
  readonly #clock: Clock;
  readonly #seen = new Set<string>();
  #current: Followed | undefined;
  /** Rotated while they were followed. */
  #leaving: { readonly file: Followed; readonly untilMs: number }[] = [];

  constructor(directory: string, base: string, clock: Clock) {
    this.#directory = directory;
    this.#base = base;
    this.#clock = clock;
  }

  /** Everything there is: rotated files whose last line is not older than `sinceMs`, then the current one. */
  async *history(sinceMs: number): AsyncGenerator<string> {
    for (const file of await this.#discover(sinceMs)) {
      yield* this.#read(file);
      if (file !== this.#current) await close(file);
    }
  }

  /** Starts at the end of what there is. */
  async skipHistory(): Promise<void> {
    for (const file of await this.#discover(Number.POSITIVE_INFINITY)) {
      if (file === this.#current) file.position = (await file.handle!.stat()).size;
      else await close(file);
    }
  }

  /** What was appended since the last time. */
  async *news(): AsyncGenerator<string> {
    for (const { file } of this.#leaving) yield* this.#read(file);
    await this.#letGo();
    if (this.#current) yield* this.#read(this.#current);
    if ((await keyOf(join(this.#directory, `${this.#base}.ndjson`))) === this.#current?.key) return;
    const before = this.#current;
    const found = await this.#discover(Number.NEGATIVE_INFINITY);
    if (before && before !== this.#current) {
      this.#leaving.push({ file: before, untilMs: this.#clock.monotonicMs() + GRACE_MS });
    }
    for (const file of found) {
      yield* this.#read(file);
      if (file !== this.#current) await close(file);
    }
  }

  async close(): Promise<void> {
    const files = [...this.#leaving.map(({ file }) => file), ...(this.#current ? [this.#current] : [])];
    this.#leaving = [];
    this.#current = undefined;
    await Promise.all(files.map(close));
  }

  /**
   * Files not seen before, oldest first, the current one last. Looks again after it has found some, because a file
   * that is renamed while the directory is read may appear under neither name.
   */
  async #discover(sinceMs: number): Promise<Followed[]> {
    const found: Followed[] = [];
    for (let more = true; more; ) {
      const current = await this.#openCurrent();
      const rotated = await this.#newRotated(sinceMs);
      found.push(...rotated, ...(current ? [current] : []));
      more = current !== undefined || rotated.length > 0;
    }
    const order = (file: Followed): string => (file === this.#current ? '~' : file.path);
    return found.sort((a, b) => (order(a) < order(b) ? -1 : 1));
  }

  /** Opened at once: its name may soon lead elsewhere. */
  async #openCurrent(): Promise<Followed | undefined> {
    const path = join(this.#directory, `${this.#base}.ndjson`);
    const handle = await open(path, 'r').catch(() => undefined);
    if (!handle) return undefined;
    const key = keyFrom(await handle.stat({ bigint: true }));
    if (this.#seen.has(key)) {
      await handle.close();
      return undefined;
    }
    this.#seen.add(key);
    this.#current = followed(path, key, handle);
    return this.#current;
  }

  async #newRotated(sinceMs: number): Promise<Followed[]> {
    const files: Followed[] = [];
    const present = new Set<string>(this.#current ? [this.#current.key] : []);
    for (const name of await readdir(this.#directory).catch(() => [])) {
      if (!isRotated(this.#base, name)) continue;
      const path = join(this.#directory, name);
      const found = await stat(path, { bigint: true }).catch(() => undefined);
      if (!found) continue;
      const key = keyFrom(found);
      present.add(key);
      if (this.#seen.has(key)) continue;
      this.#seen.add(key);
      if (Number(found.mtimeMs) >= sinceMs) files.push(followed(path, key, undefined));
    }
    for (const key of this.#seen) if (!present.has(key)) this.#seen.delete(key);
    return files;
  }

  async #letGo(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const done = this.#leaving.filter(({ untilMs }) => untilMs <= nowMs);
    this.#leaving = this.#leaving.filter(({ untilMs }) => untilMs > nowMs);
    await Promise.all(done.map(({ file }) => close(file)));
  }

  /** Complete lines from the file's position to its present end. */
  async *#read(file: Followed): AsyncGenerator<string> {
    file.handle ??= await open(file.path, 'r').catch(() => undefined);
    const { handle } = file;
    if (!handle) return;
    // Somebody else's rotation may have emptied the file in place.
    if ((await handle.stat()).size < file.position) Object.assign(file, { position: 0, carry: Buffer.alloc(0) });
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (;;) {
      const { bytesRead } = await handle.read(chunk, 0, CHUNK_BYTES, file.position);
      if (bytesRead === 0) return;
      file.position += bytesRead;
      yield* takeLines(file, chunk.subarray(0, bytesRead));
    }
  }
}

function* takeLines(file: Followed, bytes: Buffer): Generator<string> {
  let start = 0;
  for (let end = bytes.indexOf(10); end >= 0; end = bytes.indexOf(10, start)) {
    const line = Buffer.concat([file.carry, bytes.subarray(start, end)]);
    if (!file.skipping && line.length > 0) yield line.toString();
    file.carry = Buffer.alloc(0);
    file.skipping = false;
    start = end + 1;
  }
  const rest = bytes.subarray(start);
  if (file.skipping || file.carry.length + rest.length > LONGEST_LINE_BYTES) {
    file.skipping = true;
    file.carry = Buffer.alloc(0);
  } else file.carry = Buffer.concat([file.carry, rest]);
}

const followed = (path: string, key: string, handle: FileHandle | undefined): Followed => ({
  path,
  key,
  handle,
  position: 0,
  carry: Buffer.alloc(0),
  skipping: false,
});

async function close(file: Followed): Promise<void> {
  const { handle } = file;
  file.handle = undefined;
  await handle?.close().catch(() => undefined);
}

/** The same file under whatever name; a number that is used again has another time of birth. */
const keyFrom = ({ dev, ino, birthtimeNs }: { dev: bigint; ino: bigint; birthtimeNs: bigint }): string =>
  `${dev}:${ino}:${birthtimeNs}`;

async function keyOf(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  return found && keyFrom(found);
}
