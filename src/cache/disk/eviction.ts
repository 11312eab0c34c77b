/**
 * Which records leave the disk: those that came first, but for what was used since, which goes to the end of the
 * queue once more (a clock that moves instead of a hand). Inside a transaction, so one process at a time.
 */
import { isIntact, keyOf } from '../codec.ts';
import type { StoreFile } from './database.ts';
import { hashOf } from './disk-tier.ts';
import { decodePlace, encodePlace, nextStamp } from './places.ts';

const LOOKED_AT = 64;
/** Of those that one call looks at; the others go whether they were used or not, so that there is an end. */
const MOST_SPARED = 48;

export interface EvictionOptions {
  readonly isUsed: (key: string) => boolean;
  readonly nowMs: number;
  /** No more leave than make so much room. */
  readonly bytes: number;
}

export interface Evicted {
  /** Files that nothing names any more. */
  readonly files: readonly string[];
  readonly fileBytes: number;
}

export function evict(store: StoreFile, { isUsed, nowMs, bytes: wanted }: EvictionOptions): Evicted {
  const { records, places } = store;
  const files: string[] = [];
  let fileBytes = 0;
  let freedBytes = 0;
  let spared = 0;
  for (const stamp of [...records.getKeys({ limit: LOOKED_AT })].map((key) => Buffer.from(key))) {
    if (freedBytes >= wanted) break;
    const record = records.getBinary(stamp)!;
    void records.remove(stamp);
    freedBytes += record.length;
    if (!isIntact(record)) continue;
    const key = keyOf(record);
    const at = hashOf(key);
    const bytes = places.getBinary(at);
    const place = bytes && decodePlace(bytes);
    // a record that was replaced by two processes at once, and lost
    if (!place?.stamp.equals(stamp)) continue;
    if (spared < MOST_SPARED && (place.isTouched || isUsed(key))) {
      spared++;
      const later = nextStamp(nowMs);
      void records.put(later, record);
      void places.put(at, encodePlace({ ...place, stamp: later, isTouched: false }));
      freedBytes -= record.length;
      continue;
    }
    void places.remove(at);
    fileBytes += place.fileBytes;
    freedBytes += place.fileBytes;
    if (place.file !== undefined) files.push(place.file);
  }
  return { files, fileBytes };
}
