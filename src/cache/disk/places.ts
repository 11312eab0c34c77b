/**
 * Where the record of a key lies: its stamp (milliseconds, a counter and the writing process, so that records lie in
 * order of arrival without anybody asking for a number), whether it was used since, and the file of a large body.
 */
import { randomBytes } from 'node:crypto';

export interface Place {
  /** Key of the record. */
  readonly stamp: Buffer;
  readonly isTouched: boolean;
  readonly file: string | undefined;
  readonly fileBytes: number;
}

const STAMP_BYTES = 12;
const writer = randomBytes(4);
let lastMs = 0;
let count = 0;

export function nextStamp(nowMs: number): Buffer {
  if (nowMs > lastMs) {
    lastMs = nowMs;
    count = 0;
  } else if (++count > 65_535) {
    lastMs++;
    count = 0;
  }
  const stamp = Buffer.alloc(STAMP_BYTES);
  stamp.writeUIntBE(lastMs, 0, 6);
  stamp.writeUInt16BE(count, 6);
  writer.copy(stamp, 8);
  return stamp;
}

export function encodePlace({ stamp, isTouched, file, fileBytes }: Place): Buffer {
  if (file === undefined) return Buffer.concat([stamp, Buffer.from([Number(isTouched)])]);
  const size = Buffer.alloc(8);
  size.writeDoubleLE(fileBytes);
  return Buffer.concat([stamp, Buffer.from([Number(isTouched)]), size, Buffer.from(file, 'latin1')]);
}

export function decodePlace(bytes: Buffer): Place {
  const stamp = Buffer.from(bytes.subarray(0, STAMP_BYTES));
  const isTouched = bytes[STAMP_BYTES] === 1;
  if (bytes.length <= STAMP_BYTES + 1) return { stamp, isTouched, file: undefined, fileBytes: 0 };
  const file = bytes.toString('latin1', STAMP_BYTES + 9);
  return { stamp, isTouched, file, fileBytes: bytes.readDoubleLE(STAMP_BYTES + 1) };
}
