/** Sends blobs that the control plane does not have: a bounded number at a time, again when a connection breaks. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { BlobAnswer } from '../control/contract.ts';
import { type ControlClient, Unreachable } from './client.ts';

const AT_ONCE = 8;
const ASKED_AT_ONCE = 5_000;
const ATTEMPTS = 4;
const FIRST_PAUSE_MS = 200;

/** Name (hex SHA-256) → file that holds the content. */
export type BlobFiles = ReadonlyMap<string, string>;

export interface UploadResult {
  readonly sent: number;
  readonly sentBytes: number;
  /** Were there already. */
  readonly known: number;
}

/** `onProgress` is called with how many of the missing ones have arrived. */
export async function uploadMissing(
  control: ControlClient,
  files: BlobFiles,
  onProgress: (sent: number, of: number) => void,
): Promise<UploadResult> {
  const missing = await missingOf(control, [...files.keys()]);
  const queue = missing.values();
  let sent = 0;
  let sentBytes = 0;
  onProgress(0, missing.length);
  // All workers take from one iterator, so each blob is sent once.
  const worker = async () => {
    for (const sha256 of queue) {
      sentBytes += await again(() => sendFile(control, sha256, files.get(sha256)!));
      onProgress(++sent, missing.length);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return { sent, sentBytes, known: files.size - missing.length };
}

async function missingOf(control: ControlClient, names: readonly string[]): Promise<string[]> {
  const missing: string[] = [];
  for (let at = 0; at < names.length; at += ASKED_AT_ONCE) {
    const blobs = names.slice(at, at + ASKED_AT_ONCE);
    missing.push(...(await again(() => control.call<BlobAnswer>('POST', '/v1/blobs/missing', { blobs }))).missing);
  }
  return missing;
}

async function sendFile(control: ControlClient, sha256: string, file: string): Promise<number> {
  const { size } = await stat(file);
  await control.upload(`/v1/blobs/${sha256}`, createReadStream(file), size);
  return size;
}

/** Asking and sending blobs change nothing when done twice, so both may be repeated. */
async function again<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Unreachable) || attempt === ATTEMPTS) throw error;
      await pause(FIRST_PAUSE_MS * 2 ** (attempt - 1));
    }
  }
}
