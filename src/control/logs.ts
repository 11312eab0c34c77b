/** `GET /v1/logs`: what may be asked of the logs, read and checked; where the lines come from is injected. */
import type { Reply } from './listener.ts';
import { invalidField, notFound } from './problem.ts';

export interface LogQuery {
  /** Wait for further lines instead of ending with the newest. */
  readonly follow: boolean;
  /** Undefined: both. */
  readonly kinds?: readonly LogKind[];
  /** Of the past, only the newest lines; undefined: all. */
  readonly last?: number;
  /** All that are given must hold. */
  readonly filter: {
    readonly requestId?: string;
    /** `<project>-<environment>`. */
    readonly environment?: string;
    readonly project?: string;
    /** `404` or `5xx`. */
    readonly status?: string;
    /** Expression that matches somewhere in the line. */
    readonly match?: string;
    /** Milliseconds since the epoch. */
    readonly sinceMs?: number;
  };
}

export type LogKind = 'access' | 'server';

/**
 * The lines that answer a query; ends when `signal` fires. May throw at once when the filter cannot be used: the
 * message is told to whoever asked.
 */
export type LogSource = (query: LogQuery, signal: AbortSignal) => AsyncIterable<unknown>;

export function logReply(logs: LogSource | undefined, parameters: URLSearchParams, signal: AbortSignal): Reply {
  if (logs === undefined) throw notFound('this control plane keeps no logs');
  const query = readLogQuery(parameters);
  try {
    return { lines: logs(query, signal) };
  } catch (error) {
    throw invalidField('filter', error instanceof Error ? error.message : String(error));
  }
}

/** Throws a 422 `Problem` for a value that cannot be used. */
export function readLogQuery(parameters: URLSearchParams): LogQuery {
  const text = (name: string) => parameters.get(name) || undefined;
  const follow = text('follow');
  return {
    follow: follow !== undefined && follow !== '0' && follow !== 'false',
    kinds: kindsOf(text('kind')),
    last: wholeNumber('lines', text('lines')),
    filter: {
      requestId: text('requestId'),
      environment: text('environment'),
      project: text('project'),
      status: text('status'),
      match: text('match'),
      sinceMs: wholeNumber('sinceMs', text('sinceMs')),
    },
  };
}

function kindsOf(kind: string | undefined): readonly LogKind[] | undefined {
  if (kind === undefined || kind === 'all') return undefined;
  if (kind === 'access' || kind === 'server') return [kind];
  throw invalidField('kind', `must be access, server or all, not '${kind}'`);
}

function wholeNumber(field: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[0-9]{1,15}$/.test(text)) return Number(text);
  throw invalidField(field, `must be a whole number, not '${text}'`);
}
