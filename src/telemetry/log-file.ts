/**
 * An append-only file of lines that several processes write at the same time. Lines are gathered in memory and
 * written as one O_APPEND write per batch, which the kernel never mixes with another process's. Whoever notices that
 * the file is too large or too old renames it; the others see that the name leads elsewhere and open it again.
 * Memory is bounded: what a slow or full disk does not take is dropped, counted and told.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Clock, systemClock, type Timer } from '../base/clock.ts';
import { isRotated, rotatedName } from './log-names.ts';

export interface LogFileOptions {
  readonly directory: string;
  /** File name without extension, `access` or `server`. */
  readonly base: string;
  /** Longest time that a line waits in memory. Default 200. */
  readonly flushMs?: number;
  /** Lines in memory, waiting or being written. Default 8 MB. */
  readonly bufferBytes?: number;
  /** Rotated when larger. Default 64 MB. */
  readonly fileBytes?: number;
  /** Rotated when older. Default 60. */
  readonly fileMinutes?: number;
  /** Rotated files are removed this long after their last line. Default 24. */
  readonly retentionHours?: number;
  /** All files together: the oldest are removed when there are more. Default: as many as retention keeps. */
  readonly totalBytes?: number;
  readonly clock?: Clock;
  /** Told once per trouble: the disk refuses lines, lines were dropped. */
  readonly report?: (message: string) => void;
}

export interface LogFileStats {
  readonly written: number;
  readonly dropped: number;
  readonly bufferedBytes: number;
}

/** One or more whole lines, with their breaks. */
interface Lines {
  readonly bytes: Buffer;
  readonly count: number;
}

const LINE_BREAK = 0x0a;
const countOf = (batch: readonly Lines[]): number => batch.reduce((sum, { count }) => sum + count, 0);

/** A batch is started early when this much is waiting. */
const BATCH_BYTES = 1024 * 1024;

export class LogFile {
  readonly path: string;
  readonly #options: Required<Omit<LogFileOptions, 'base'>>;
  readonly #base: string;
  #waiting: Lines[] = [];
  #waitingBytes = 0;
  #writingBytes = 0;
  #writing: Promise<void> | undefined;
  #timer: Timer | undefined;
  #file:
    | { readonly handle: FileHandle; readonly dev: number; readonly ino: number; readonly bornMs: number }
    | undefined;
  #written = 0;
  #dropped = 0;
  #droppedUntold = 0;
  #inTrouble = false;
  #closed = false;

  constructor({ base, ...options }: LogFileOptions) {
    this.#options = {
      flushMs: 200,
      bufferBytes: 8 * 1024 * 1024,
      fileBytes: 64 * 1024 * 1024,
      fileMinutes: 60,
      retentionHours: 24,
      totalBytes: Number.POSITIVE_INFINITY,
      clock: systemClock,
      report: () => {},
      ...options,
    };
    this.#base = base;
    this.path = join(options.directory, `${base}.ndjson`);
  }

  get stats(): LogFileStats {
    return { written: this.#written, dropped: this.#dropped, bufferedBytes: this.#waitingBytes + this.#writingBytes };
  }

  /** Takes one line without its break. Never waits and never throws. */
  write(line: string): void {
    this.append(Buffer.from(`${line}\n`), 1);
  }

  /** Takes whole lines with their breaks; the memory is this file's from then on. Never waits and never throws. */
  append(bytes: Buffer, count: number): void {
    const { bufferBytes, flushMs, clock } = this.#options;
    if (this.#closed || this.#waitingBytes + this.#writingBytes + bytes.length > bufferBytes) {
      this.#dropped += count;
      this.#droppedUntold += count;
      return;
    }
    this.#waiting.push({ bytes, count });
    this.#waitingBytes += bytes.length;
    if (this.#waitingBytes >= BATCH_BYTES && !this.#inTrouble) void this.flush();
    else this.#timer ??= clock.setTimer(flushMs, () => void this.flush());
  }

  /** Resolves when everything taken so far is in the file, or the disk has refused it. Never rejects. */
  async flush(): Promise<void> {
    // A batch may be under way that does not have the newest lines; then there is one more to wait for.
    while (this.#writing) await this.#writing;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#waiting.length === 0) return;
    this.#writing = this.#writeBatch().finally(() => {
      this.#writing = undefined;
    });
    await this.#writing;
  }

  /** Rotates and removes what is due, though nothing is written. Never rejects. */
  async tidy(): Promise<void> {
    while (this.#writing) await this.#writing;
    if (this.#closed) return;
    this.#writing = this.#prepareFile()
      .then(() => this.#removeOld())
      .catch(() => {})
      .finally(() => {
        this.#writing = undefined;
      });
    await this.#writing;
  }

  /** Writes what is waiting and closes the file. Lines that come later are dropped. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.flush();
    this.#timer?.cancel();
    await this.#closeFile();
    this.#dropped += countOf(this.#waiting);
    this.#droppedUntold += countOf(this.#waiting);
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#tellDrops();
  }

  async #writeBatch(): Promise<void> {
    const batch = this.#waiting;
    this.#waiting = [];
    this.#writingBytes = this.#waitingBytes;
    this.#waitingBytes = 0;
    let error: unknown;
    let taken = 0;
    try {
      await this.#prepareFile();
      ({ taken, error } = await writeAll(this.#file!.handle, Buffer.concat(batch.map(({ bytes }) => bytes))));
    } catch (notPrepared) {
      error = notPrepared;
    }
    this.#writingBytes = 0;
    const left = linesAfter(batch, taken);
    this.#written += countOf(batch) - countOf(left);
    if (error !== undefined) return this.#keepForLater(left, error as Error);
    this.#inTrouble = false;
    this.#tellDrops();
  }

  /** The disk said no: the lines wait for the next try, within the bound. */
  #keepForLater(left: Lines[], error: Error): void {
    if (!this.#inTrouble) this.#options.report(`${this.path} cannot be written (${error.message}); lines are kept`);
    this.#inTrouble = true;
    this.#waiting = [...left, ...this.#waiting];
    this.#waitingBytes = this.#waiting.reduce((sum, { bytes }) => sum + bytes.length, 0);
    void this.#closeFile();
    if (!this.#closed) this.#timer ??= this.#options.clock.setTimer(this.#options.flushMs, () => void this.flush());
  }

  #tellDrops(): void {
    if (this.#droppedUntold === 0) return;
    this.#options.report(
      `${this.#droppedUntold} lines of ${this.path} were dropped: the disk did not take them in time`,
    );
    this.#droppedUntold = 0;
  }

  /** Leaves `#file` as what the path leads to, neither too large nor too old. */
  async #prepareFile(): Promise<void> {
    if (this.#file && !(await this.#isStillNamed())) await this.#closeFile();
    if (!this.#file) await this.#openFile();
    const { size } = await this.#file!.handle.stat();
    const ageMs = this.#options.clock.nowMs() - this.#file!.bornMs;
    const due = size >= this.#options.fileBytes || ageMs >= this.#options.fileMinutes * 60_000;
    if (size === 0 || !due) return;
    await this.#rotate();
    await this.#openFile();
  }

  async #isStillNamed(): Promise<boolean> {
    const named = await stat(this.path).catch(() => undefined);
    return named !== undefined && named.ino === this.#file!.ino && named.dev === this.#file!.dev;
  }

  async #openFile(): Promise<void> {
    await mkdir(dirname(this.path), { recursive: true });
    // Who called, from where, with what query: for the operator's eyes.
    const handle = await open(this.path, 'a', 0o640);
    const { dev, ino, birthtimeMs, size } = await handle.stat();
    const bornMs = size === 0 || birthtimeMs <= 0 ? this.#options.clock.nowMs() : birthtimeMs;
    this.#file = { handle, dev, ino, bornMs };
    await this.#removeOld();
  }

  /** Two processes may rename at the same time: then one of the new files stays small, and no line is lost. */
  async #rotate(): Promise<void> {
    const target = rotatedName(this.#base, this.#options.clock.nowMs(), randomUUID().slice(0, 8));
    await rename(this.path, join(this.#options.directory, target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await this.#closeFile();
  }

  async #removeOld(): Promise<void> {
    const { directory, retentionHours, clock, totalBytes, fileBytes, bufferBytes } = this.#options;
    const oldestMs = clock.nowMs() - retentionHours * 3_600_000;
    // The file that is being written may become as large as this.
    let leftBytes = totalBytes - fileBytes - bufferBytes;
    const names = await readdir(directory).catch(() => []);
    for (const name of names
      .filter((it) => isRotated(this.#base, it))
      .sort()
      .reverse()) {
      const path = join(directory, name);
      const found = await stat(path).catch(() => undefined);
      leftBytes -= found?.size ?? 0;
      if (found && (found.mtimeMs < oldestMs || leftBytes < 0)) await unlink(path).catch(() => undefined);
    }
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.handle.close().catch(() => undefined);
  }
}

/** One write call in practice. A full disk may take a part before it says no. */
async function writeAll(handle: FileHandle, bytes: Buffer): Promise<{ taken: number; error?: unknown }> {
  let taken = 0;
  try {
    while (taken < bytes.length) taken += (await handle.write(bytes, taken)).bytesWritten;
    return { taken };
  } catch (error) {
    return { taken, error };
  }
}

/** What has to be written again after `taken` bytes of a batch: a torn line is ended first and then comes whole. */
function linesAfter(batch: readonly Lines[], taken: number): Lines[] {
  return taken === batch.reduce((sum, { bytes }) => sum + bytes.length, 0)
    ? []
    : untaken(batch.flatMap(singleLines), taken).map((bytes) => ({ bytes, count: 1 }));
}

function singleLines({ bytes, count }: Lines): Buffer[] {
  if (count === 1) return [bytes];
  const lines: Buffer[] = [];
  for (let at = 0, end = bytes.indexOf(LINE_BREAK); end >= 0; at = end + 1, end = bytes.indexOf(LINE_BREAK, at))
    lines.push(bytes.subarray(at, end + 1));
  return lines;
}

function untaken(batch: Buffer[], taken: number): Buffer[] {
  let at = 0;
  const first = batch.findIndex((line) => {
    at += line.length;
    return at > taken;
  });
  if (first < 0) return [];
  const left = batch.slice(first);
  const torn = taken > at - left[0]!.length;
  return torn ? [Buffer.concat([Buffer.from('\n'), left[0]!]), ...left.slice(1)] : left;
}
