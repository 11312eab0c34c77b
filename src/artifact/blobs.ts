/** The files of a deployment under the hash of their content. Copied, so that later changes of the project change nothing. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { BlobRef } from './manifest.ts';

const PARALLEL = 16;

export class BlobFolder {
  readonly #directory: string;
  readonly #used = new Set<string>();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  static async open(directory: string): Promise<BlobFolder> {
    await mkdir(directory, { recursive: true });
    return new BlobFolder(directory);
  }

  pathOf(sha256: string): string {
    return join(this.#directory, sha256);
  }

  async addText(text: string): Promise<BlobRef> {
    const content = Buffer.from(text);
    const sha256 = createHash('sha256').update(content).digest('hex');
    this.#used.add(sha256);
    if (!(await this.#has(sha256, content.length))) {
      const temporary = this.#temporary();
      await writeFile(temporary, content);
      await rename(temporary, this.pathOf(sha256));
    }
    return { sha256, bytes: content.length };
  }

  /** Reads the file once, in pieces: hash and copy are of the same bytes even while somebody writes to it. */
  async addFile(file: string): Promise<BlobRef> {
    const hash = createHash('sha256');
    let bytes = 0;
    const temporary = this.#temporary();
    const count = new Transform({
      transform(chunk: Buffer, _encoding, done) {
        hash.update(chunk);
        bytes += chunk.length;
        done(null, chunk);
      },
    });
    await pipeline(createReadStream(file), count, createWriteStream(temporary));
    const sha256 = hash.digest('hex');
    this.#used.add(sha256);
    await rename(temporary, this.pathOf(sha256));
    return { sha256, bytes };
  }

  /** In the order of the list, several at a time. */
  async addFiles(files: readonly string[], onEach: () => void = () => {}): Promise<BlobRef[]> {
    const refs: BlobRef[] = new Array(files.length);
    let next = 0;
    const work = async (): Promise<void> => {
      while (next < files.length) {
        const at = next++;
        refs[at] = await this.addFile(files[at]!);
        onEach();
      }
    };
    await Promise.all(Array.from({ length: PARALLEL }, work));
    return refs;
  }

  /** Removes what builds of before left behind. */
  async prune(): Promise<void> {
    for (const name of await readdir(this.#directory))
      if (!this.#used.has(name)) await rm(join(this.#directory, name), { force: true });
  }

  /** Bytes when each blob is sent compressed. */
  async packedBytes(refs: readonly BlobRef[]): Promise<number> {
    let total = 0;
    for (const sha256 of new Set(refs.map((ref) => ref.sha256))) {
      const packed = createReadStream(this.pathOf(sha256)).pipe(createGzip({ level: 6 }));
      for await (const chunk of packed) total += (chunk as Buffer).length;
    }
    return total;
  }

  async #has(sha256: string, bytes: number): Promise<boolean> {
    const info = await stat(this.pathOf(sha256)).catch(() => null);
    return info?.size === bytes;
  }

  #temporary(): string {
    return join(this.#directory, `.${randomUUID()}`);
  }
}
