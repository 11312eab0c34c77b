/**
 * What lies under a key as bytes, and back: one record with a checksum over all of it, so that what was torn or
 * flipped on the disk is found before it is used. Records of another version are as good as none. The one
 * complication: a large body lies in a file of its own, and the record has a checksum of each block of it.
 *
 *     version 1 · flags 1 · checksum 4 · key bytes 4 · head bytes 4 · key · head · body, or file name and checksums
 */
import { deserialize, serialize } from 'node:v8';
import { crc32 } from 'node:zlib';
import { Fields } from '../http/fields.ts';
import type { BodyFile, FileBody } from './disk/body-files.ts';
import type { StoredResponse } from './slots.ts';
import type { VaryList } from './variants.ts';

/** What is kept on the disk; memories of what could not be stored are not. */
export type Kept = StoredResponse | VaryList;

const VERSION = 2;
const IN_FILE = 1;
const HEADER_BYTES = 14;
const CHECKED_FROM = 6;

/** `file` says where the body of a response lies that is not in the record. */
export function encodeKept(key: string, kept: Kept, file?: BodyFile): Buffer {
  const keyBytes = Buffer.from(key);
  const head = serialize(headOf(kept));
  const tail = file ? encodeFile(file) : kept.kind === 'response' && Buffer.isBuffer(kept.body) ? kept.body : EMPTY;
  const record = Buffer.allocUnsafe(HEADER_BYTES + keyBytes.length + head.length + tail.length);
  record[0] = VERSION;
  record[1] = file ? IN_FILE : 0;
  record.writeUInt32LE(keyBytes.length, 6);
  record.writeUInt32LE(head.length, 10);
  let at = HEADER_BYTES;
  for (const part of [keyBytes, head, tail]) at += part.copy(record, at);
  record.writeUInt32LE(crc32(record.subarray(CHECKED_FROM)), 2);
  return record;
}

/** Undefined when it is damaged, of another version or about another key. */
export function decodeKept(key: string, record: Buffer, fileOf: (file: BodyFile) => FileBody): Kept | undefined {
  if (!isIntact(record) || keyOf(record) !== key) return undefined;
  const headAt = HEADER_BYTES + record.readUInt32LE(6);
  const tailAt = headAt + record.readUInt32LE(10);
  const head = deserialize(record.subarray(headAt, tailAt)) as Head;
  if (head.kind === 'vary') return head;
  const { raw, ...rest } = head;
  const tail = record.subarray(tailAt);
  const body = record[1] === IN_FILE ? fileOf(decodeFile(tail)) : ownCopy(tail);
  return { ...rest, fields: new Fields(raw), body };
}

export function isIntact(record: Buffer): boolean {
  if (record.length < HEADER_BYTES || record[0] !== VERSION) return false;
  return crc32(record.subarray(CHECKED_FROM)) === record.readUInt32LE(2);
}

/** Of an intact record. */
export const keyOf = (record: Buffer): string =>
  record.toString('utf8', HEADER_BYTES, HEADER_BYTES + record.readUInt32LE(6));

type Head = VaryList | (Omit<StoredResponse, 'fields' | 'body'> & { readonly raw: readonly string[] });

function headOf(kept: Kept): Head {
  if (kept.kind === 'vary') return kept;
  const { fields, body: _, ...rest } = kept;
  return { ...rest, checkedUpTo: rest.sequence, refreshNotBeforeMs: 0, raw: fields.raw };
}

const EMPTY = Buffer.alloc(0);
const NAME_BYTES = 48;

function encodeFile({ name, bytes, checksums }: BodyFile): Buffer {
  const tail = Buffer.alloc(NAME_BYTES + 8 + checksums.length * 4);
  tail.write(name, 'latin1');
  tail.writeDoubleLE(bytes, NAME_BYTES);
  for (const [at, checksum] of checksums.entries()) tail.writeUInt32LE(checksum, NAME_BYTES + 8 + at * 4);
  return tail;
}

function decodeFile(tail: Buffer): BodyFile {
  const checksums: number[] = [];
  for (let at = NAME_BYTES + 8; at < tail.length; at += 4) checksums.push(tail.readUInt32LE(at));
  const name = tail.toString('latin1', 0, NAME_BYTES).replace(/\0+$/, '');
  return { name, bytes: tail.readDoubleLE(NAME_BYTES), checksums };
}

/** A view would keep the whole record alive. */
function ownCopy(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
