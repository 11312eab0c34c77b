/**
 * The trace that a request belongs to (W3C Trace Context, section 3.2). A valid `traceparent` keeps its trace and its
 * flags and gets this hop as new parent; anything else, several lines included, starts a trace of its own, and then
 * what vendors said about the other one (`tracestate`) is gone too.
 */
import { randomBytes } from 'node:crypto';
import type { Fields } from './fields.ts';

const VALID = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(?:-.*)?$/;
/** Later versions may say more behind the flags; of version 00 nothing follows. */
const VERSION_00_BYTES = 55;
const MOST_BYTES = 512;

const randomHex = (bytes: number): string => randomBytes(bytes).toString('hex');

/** In place. */
export function continueTrace(fields: Fields, hex = randomHex): Fields {
  const given = fields.all('traceparent');
  const value = given.length === 1 && given[0]!.length <= MOST_BYTES ? given[0]! : '';
  const [, trace, flags] =
    value.startsWith('00-') && value.length !== VERSION_00_BYTES ? [] : (VALID.exec(value) ?? []);
  if (trace === undefined) fields.delete('tracestate');
  return fields.set('traceparent', `00-${trace ?? hex(16)}-${hex(8)}-${flags ?? '00'}`);
}
