/**
 * Large bodies as plain files, `<folder>/bodies/ab/<name>`. A file is written before anything names it, and each
 * block is held against its checksum before a byte of it is sent, so that a torn file is a miss and never an answer.
 */
import { randomBytes } from 'node:crypto';
import { close, fstat, open as openFile, read } from 'node:fs';
import { mkdir, open, readdir, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import type { RangedBody } from '../../http/message.ts';

export interface BodyFile {
  /** Begins with the hash of the key, of which the first two characters name the folder; unique. */
  readonly name: string;
  readonly bytes: number;
  /** Of each block. */
  readonly checksums: readonly number[];
}

export const BLOCK_BYTES = 262_144;
/** A file that nothing names is left alone for so long: it may just have been written. */
const ORPHAN_AFTER_MS = 600_000;

export class BodyFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = join(folder, 'bodies');
  }

  pathOf(name: string): string {
    return join(this.#folder, name.slice(0, 2), name);
  }

  /** Rejects as the file system does; then nothing is left. */
  async write(hash: Buffer, body: Buffer): Promise<BodyFile> {
    const name = `${hash.toString('hex')}-${randomBytes(4).toString('hex')}`;
    const path = this.pathOf(name);
    const checksums: number[] = [];
    for (let at = 0; at < body.length; at += BLOCK_BYTES) checksums.push(crc32(body.subarray(at, at + BLOCK_BYTES)));
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(body);
      await file.close();
    } catch (error) {
      await file.close().catch(() => {});
      await this.remove(name);
      throw error;
    }
    return { name, bytes: body.length, checksums };
  }

  async remove(name: string): Promise<void> {
    await unlink(this.pathOf(name)).catch(() => {});
  }

  /** Of one of the 256 folders: the files that have been there for a while although `isNamed` denies them. */
  async orphans(folder: number, nowMs: number, isNamed: (name: string) => boolean): Promise<string[]> {
    const path = join(this.#folder, folder.toString(16).padStart(2, '0'));
    const names = await readdir(path).catch(() => []);
    const unnamed = names.filter((name) => !isNamed(name));
    const old = await Promise.all(
      unnamed.map((name) =>
        stat(join(path, name)).then(
          ({ mtimeMs }) => mtimeMs + ORPHAN_AFTER_MS < nowMs,
          () => false,
        ),
      ),
    );
    return unnamed.filter((_, at) => old[at]);
  }
}

/** A body that lies in a file. */
export class FileBody {
  readonly file: BodyFile;
  readonly #path: string;
  readonly #onDamage: () => void;

  constructor(file: BodyFile, path: string, onDamage: () => void) {
    this.file = file;
    this.#path = path;
    this.#onDamage = onDamage;
  }

  get length(): number {
    return this.file.bytes;
  }

  /** Undefined when the file is gone, has another length or a wrong first block. Destroy what is not read. */
  async open(): Promise<RangedBody | undefined> {
    let source: OpenFile | undefined;
    try {
      source = new OpenFile(await promisify(openFile)(this.#path, 'r'));
      if ((await promisify(fstat)(source.descriptor)).size !== this.length) throw new Error('another length');
      const first = await readBlock(source, this.file, 0);
      return new FileReader(source, this, this.#onDamage, { first: 0, last: this.length - 1 }, first);
    } catch {
      source?.close();
      this.#onDamage();
      return undefined;
    }
  }

  /** Undefined as with `open`. */
  async load(): Promise<Buffer | undefined> {
    const reader = await this.open();
    if (!reader) return undefined;
    const body = Buffer.allocUnsafeSlow(this.length);
    let at = 0;
    try {
      for await (const piece of reader) at += (piece as Buffer).copy(body, at);
    } catch {
      return undefined;
    }
    return body;
  }
}

/** Somebody who forgets a reader loses a descriptor until the next garbage collection, not more. */
class OpenFile {
  static readonly #forgotten = new FinalizationRegistry<number>((descriptor) => close(descriptor, () => {}));
  readonly descriptor: number;
  #isOpen = true;

  constructor(descriptor: number) {
    this.descriptor = descriptor;
    OpenFile.#forgotten.register(this, descriptor, this);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    OpenFile.#forgotten.unregister(this);
    close(this.descriptor, () => {});
  }
}

const readAt = promisify(read);

async function readBlock(source: OpenFile, { bytes, checksums }: BodyFile, index: number): Promise<Buffer> {
  const start = index * BLOCK_BYTES;
  const block = Buffer.allocUnsafeSlow(Math.min(BLOCK_BYTES, bytes - start));
  let at = 0;
  while (at < block.length) {
    const { bytesRead } = await readAt(source.descriptor, block, at, block.length - at, start + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  if (at < block.length || crc32(block) !== checksums[index]) throw new Error('a block of a stored body is damaged');
  return block;
}

interface Span {
  readonly first: number;
  readonly last: number;
}

class FileReader extends Readable implements RangedBody {
  #source: OpenFile | undefined;
  #isReading = false;
  #at: number;
  readonly #body: FileBody;
  readonly #onDamage: () => void;
  readonly #span: Span;
  readonly #firstBlock: Buffer | undefined;

  constructor(source: OpenFile, body: FileBody, onDamage: () => void, span: Span, firstBlock?: Buffer) {
    super({ highWaterMark: BLOCK_BYTES });
    this.#source = source;
    this.#body = body;
    this.#onDamage = onDamage;
    this.#span = span;
    this.#at = span.first;
    this.#firstBlock = firstBlock;
  }

  /** Instead of this reader, which then gives nothing any more. */
  range(first: number, last: number): Readable {
    const part = new FileReader(this.#source!, this.#body, this.#onDamage, { first, last });
    this.#source = undefined;
    this.destroy();
    return part;
  }

  override _read(): void {
    const { last } = this.#span;
    if (this.#at > last) return void this.push(null);
    const index = Math.floor(this.#at / BLOCK_BYTES);
    const start = index * BLOCK_BYTES;
    const known = index === 0 ? this.#firstBlock : undefined;
    const block = known ? Promise.resolve(known) : readBlock(this.#source!, this.#body.file, index);
    this.#isReading = true;
    block
      .finally(() => {
        this.#isReading = false;
        if (this.destroyed) this.#source?.close();
      })
      .then(
        (bytes) => {
          const piece = bytes.subarray(this.#at - start, last + 1 - start);
          this.#at += piece.length;
          this.push(piece);
        },
        (error: Error) => {
          this.#onDamage();
          this.destroy(error);
        },
      );
  }

  /** Not under a read: its number could be another file's by then. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    if (!this.#isReading) this.#source?.close();
    callback(error);
  }
}
