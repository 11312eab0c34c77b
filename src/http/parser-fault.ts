/**
 * What Node's parser refuses, as a cause of our own (spec "Status codes", 400). The complication: an overflow of its
 * buffer does not tell what overflowed, so the last bytes are looked at.
 */
import type { Cause } from '../status/causes.ts';
import { Fault, type Hop } from '../status/fault.ts';

/** What Node hands to `clientError`. */
export interface ParserError extends Error {
  readonly code?: string;
  readonly reason?: string;
  readonly rawPacket?: Buffer;
  /** How far into the packet the parser came. */
  readonly bytesParsed?: number;
}

/** The input ended inside a message: the client left, nothing was malformed. */
const UNEXPECTED_END = 'HPE_INVALID_EOF_STATE';

/** Null: the connection is gone or broken, there is nobody to answer. */
export function parserFault(error: ParserError, hop: Hop, pathQueryBytes: number): Fault | null {
  const { code } = error;
  if (code === undefined || !code.startsWith('HPE_') || code === UNEXPECTED_END) return null;
  const evidence = { parser: code, reason: error.reason ?? '' };
  return new Fault({ cause: causeOf(error, pathQueryBytes), hop, evidence });
}

function causeOf({ code, rawPacket, bytesParsed = 0 }: ParserError, pathQueryBytes: number): Cause {
  const packet = rawPacket?.toString('latin1') ?? '';
  if (code === 'HPE_HEADER_OVERFLOW') return overflowCause(lineAt(packet, bytesParsed));
  if (code === 'HPE_INVALID_URL' && targetBytes(packet) > pathQueryBytes) return 'request.url-bytes';
  return 'request.framing';
}

/** The line around a position, as far as the packet has it. */
function lineAt(packet: string, position: number): string {
  const start = packet.lastIndexOf('\n', Math.max(0, position - 1)) + 1;
  const end = packet.indexOf('\r', start);
  return packet.slice(start, end < 0 ? undefined : end);
}

function overflowCause(line: string): Cause {
  if (/^cookie:/i.test(line)) return 'request.cookie-bytes';
  return /^[A-Z-]+ \S*$/.test(line) ? 'request.url-bytes' : 'request.header-bytes';
}

const targetBytes = (packet: string): number => /^[A-Z-]+ (\S+)/.exec(packet)?.[1]?.length ?? 0;
