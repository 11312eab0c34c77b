/** Which log lines somebody wants to see. Expressions of users run in linear time: they must not stall a follower. */
import { RE2JS } from 're2js';
import type { LoggedAccess } from '../observe/log-fields.ts';
import type { LoggedServerLine } from './server-log.ts';

export type LogEntry =
  | { readonly kind: 'access'; readonly timeMs: number; readonly record: LoggedAccess }
  | { readonly kind: 'server'; readonly timeMs: number; readonly record: LoggedServerLine };

export type LogKind = LogEntry['kind'];

/** All that are given must hold. */
export interface LogFilter {
  readonly requestId?: string;
  /** Ids (`<project>-<environment>`) of which one must fit. */
  readonly environments?: readonly string[];
  /** Status as sent or code of the platform: `404`, or a class such as `5xx`. Access lines only. */
  readonly status?: string;
  /** Expression (RE2 syntax) that matches somewhere in the line as it is stored. */
  readonly match?: string;
  /** Not older, milliseconds since the epoch. */
  readonly sinceMs?: number;
}

/** A filter that cannot be used; `message` says what is allowed. */
export class LogFilterError extends Error {
  override readonly name = 'LogFilterError';
}

export type EntryTest = (entry: LogEntry, line: string) => boolean;

/** Throws `LogFilterError`. */
export function compileFilter(filter: LogFilter): EntryTest {
  const { requestId, environments, status, match, sinceMs } = filter;
  const tests: EntryTest[] = [];
  if (sinceMs !== undefined) tests.push((entry) => entry.timeMs >= sinceMs);
  if (requestId !== undefined) tests.push((entry) => requestIdOf(entry) === requestId);
  if (environments !== undefined) tests.push((entry) => environments.includes(environmentOf(entry) ?? ''));
  if (status !== undefined) tests.push(statusTest(status));
  if (match !== undefined) {
    const expression = compileExpression(match);
    tests.push((_, line) => expression.test(line));
  }
  return (entry, line) => tests.every((passes) => passes(entry, line));
}

const requestIdOf = ({ kind, record }: LogEntry): unknown => (kind === 'access' ? record.rid : record.requestId);

/** Functions of the server log are called `<environment>-<deployment>.v<environment version>`. */
function environmentOf({ kind, record }: LogEntry): string | undefined {
  if (kind === 'access') return record.eid === undefined ? undefined : String(record.eid);
  return /^(.*)-\d+(?:\.v\d+)?$/.exec(record.fn)?.[1];
}

function statusTest(status: string): EntryTest {
  if (!/^[1-9](?:\d\d|xx)$/i.test(status)) {
    throw new LogFilterError(`status must be three digits or a class such as 5xx, not '${status}'`);
  }
  const wanted = status.toLowerCase().replace('xx', '');
  const fits = (code: unknown): boolean => code !== undefined && String(code).startsWith(wanted);
  return ({ kind, record }) => kind === 'access' && (fits(record.code) || fits(record.xcode));
}

function compileExpression(text: string): RE2JS {
  if (text.length > 1_000) throw new LogFilterError('the expression is longer than 1,000 characters');
  try {
    return RE2JS.compile(text);
  } catch (error) {
    throw new LogFilterError(`the expression cannot be used: ${(error as Error).message}`);
  }
}
