/**
 * Finding lines in log files that other processes write: whole files are searched as bytes, a piece at a time, so
 * that a day of lines costs no parsing and nothing else in this process waits. Files are told by their names: a
 * rotated one ends at the time in it, the one without is still written.
 */
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isRotated, timeOfRotation } from './log-names.ts';

const PIECE_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;

export interface LogPart {
  readonly path: string;
  /** No line in it was written later; infinite for the file that is being written. */
  readonly untilMs: number;
}

/** The files of a log, newest first. */
export async function logParts(directory: string, base: string): Promise<LogPart[]> {
  const names = await readdir(directory).catch(() => [] as string[]);
  const rotated = names.filter((name) => isRotated(base, name)).sort();
  const parts = rotated.map((name) => ({ path: join(directory, name), untilMs: timeOfRotation(base, name) }));
  return [...parts, { path: join(directory, `${base}.ndjson`), untilMs: Number.POSITIVE_INFINITY }].reverse();
}

/** Files that may have lines written from `fromMs` on, the one of that time first; then all the others. */
export function nearestFirst(parts: readonly LogPart[], fromMs: number | undefined): LogPart[] {
  if (fromMs === undefined) return [...parts];
  const later = parts.filter(({ untilMs }) => untilMs >= fromMs).reverse();
  return [...later, ...parts.filter(({ untilMs }) => untilMs < fromMs)];
}

/** Lines of a file that contain the mark, in order. A file that is gone has none. */
export async function* linesWith(path: string, mark: string, signal: AbortSignal): AsyncGenerator<string> {
  const wanted = Buffer.from(mark);
  const file = await open(path).catch(() => null);
  if (file === null) return;
  try {
    // What a piece ends with is kept in front of the next one.
    const bytes = Buffer.allocUnsafe(2 * PIECE_BYTES);
    let kept = 0;
    for (let at = 0; !signal.aborted; ) {
      const { bytesRead } = await file.read(bytes, kept, PIECE_BYTES, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      const filled = kept + bytesRead;
      const end = bytes.subarray(0, filled).lastIndexOf(NEWLINE) + 1;
      yield* linesIn(bytes.subarray(0, end), wanted);
      // A line without an end in so many bytes is none of ours.
      kept = filled - end > PIECE_BYTES ? 0 : filled - end;
      bytes.copyWithin(0, end, end + kept);
    }
  } finally {
    await file.close();
  }
}

function* linesIn(bytes: Buffer, wanted: Buffer): Generator<string> {
  for (let at = bytes.indexOf(wanted); at >= 0; ) {
    const start = bytes.lastIndexOf(NEWLINE, at) + 1;
    const end = bytes.indexOf(NEWLINE, at);
    yield bytes.toString('utf8', start, end);
    at = bytes.indexOf(wanted, end);
  }
}

/** Whole lines of a file, last one first. */
export async function* linesBackward(path: string, signal: AbortSignal): AsyncGenerator<string> {
  const file = await open(path).catch(() => null);
  if (file === null) return;
  try {
    let { size: at } = await file.stat();
    let rest = Buffer.alloc(0);
    while (at > 0 && !signal.aborted) {
      const length = Math.min(PIECE_BYTES / 4, at);
      at -= length;
      const piece = Buffer.allocUnsafe(length);
      const { bytesRead } = await file.read(piece, 0, length, at);
      const bytes = Buffer.concat([piece.subarray(0, bytesRead), rest]);
      const start = at === 0 ? 0 : bytes.indexOf(NEWLINE) + 1;
      rest = Buffer.from(bytes.subarray(0, start));
      const lines = bytes.toString('utf8', start).split('\n').reverse();
      for (const line of lines) if (line !== '') yield line;
    }
  } finally {
    await file.close();
  }
}
