/**
 * Request ids. Ours are UUIDs of version 7 (RFC 9562 section 5.7): they begin with the time, so that the log of a day
 * has to be searched only where the request can be. A client may bring an id of its own.
 */
import { randomUUID, randomUUIDv7 } from 'node:crypto';

/** Visible ASCII, at most 128 characters. */
export const isRequestId = (text: string): boolean => /^[\x21-\x7e]{1,128}$/.test(text);

// Older supported runtimes make version 4 only; then every log is searched.
export const newRequestId: () => string = randomUUIDv7 ?? randomUUID;

/** When an id of ours was made, ms since the epoch; undefined for any other id. A client can make such ids, too. */
export function timeOfRequestId(id: string): number | undefined {
  const [, high, low] = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.exec(id) ?? [];
  return high === undefined ? undefined : Number.parseInt(`${high}${low}`, 16);
}
