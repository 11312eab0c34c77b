/**
 * From what the HTTP client and the socket report to the stage that failed. The phase is known already; what remains
 * is to tell a close from bytes that are not HTTP. Source: status-code page, 536 and traps T3 to T6.
 */
import { type Connection, ConnectionGone } from './connection.ts';
import { codeOf, StageFailure } from './failure.ts';
import { tlsAlert } from './tls.ts';

export interface Progress {
  readonly bytesReceived: number;
  readonly requestSent: boolean;
  readonly bodyBytes: number;
}

/** A failure before the response head was complete. What is not the peer's doing comes back as it is. */
export function headFailure(error: Error, connection: Connection, progress: Progress): unknown {
  const evidence = evidenceOf(error, connection, progress);
  const code = codeOf(error) ?? '';
  const alert = progress.bytesReceived === 0 ? tlsAlert(connection.wire.failure) : null;
  if (alert !== null) return alert;
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return new StageFailure('head.bytes', { error, evidence });
  if (isMalformed(error, code))
    return new StageFailure('head.malformed', { error, details: reasonOf(error), evidence });
  if (!isClosed(error, code)) return error;
  const details = progress.bytesReceived > 0 ? 'partial head' : undefined;
  return new StageFailure('head.closed', { error, details, evidence });
}

/** A failure after the head: the body is cut short or not what its framing says. */
export function bodyFailure(error: Error, connection: Connection, progress: Progress): StageFailure {
  const evidence = evidenceOf(error, connection, progress);
  if (codeOf(error) === 'UND_ERR_HEADERS_OVERFLOW') return new StageFailure('trailer.bytes', { error, evidence });
  const malformed = isParserError(error) && !ENDED.test(error.message);
  if (malformed) return new StageFailure('body.malformed', { error, details: reasonOf(error), evidence });
  return new StageFailure('body.incomplete', { error, evidence });
}

/** The HTTP client has a class of its own for what its parser refuses, whose reason stands only in the message. */
const isParserError = (error: Error): boolean => error.name === 'HTTPParserError';
/** The end came where the framing did not allow it: cut short, not malformed. */
const ENDED = /Invalid EOF state/;
/** "bad response" and "bad upgrade": a message that is well-formed but has no place here. */
const MISPLACED = /^bad (response|upgrade)$/;
const LENGTHS = 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH';

function isMalformed(error: Error, code: string): boolean {
  return isParserError(error) || code === LENGTHS || (code === 'UND_ERR_SOCKET' && MISPLACED.test(error.message));
}

function isClosed(error: Error, code: string): boolean {
  return error instanceof ConnectionGone || code === 'UND_ERR_SOCKET' || code === 'ERR_STREAM_PREMATURE_CLOSE';
}

/** The parser's own reason; two lengths, or a length and chunks, are a matter of framing. */
function reasonOf(error: Error): string | undefined {
  if (codeOf(error) === LENGTHS) return 'framing';
  return /\((.*)\)$/.exec(error.message)?.[1] ?? (MISPLACED.test(error.message) ? error.message : undefined);
}

function evidenceOf(error: Error, connection: Connection, progress: Progress): Readonly<Record<string, unknown>> {
  const failure = connection.wire.failure;
  const socket = failure === null ? 'closed' : (codeOf(failure) ?? failure.message);
  return {
    address: connection.address,
    error: codeOf(error) ?? error.message,
    socket,
    uses: connection.uses,
    ...progress,
  };
}
