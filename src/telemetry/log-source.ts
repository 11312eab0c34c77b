/** What stands behind `GET /v1/logs` and so behind `selvedge logs` and `selvedge why`: query parameters to lines. */
import type { Clock } from '../base/clock.ts';
import { compileFilter, type LogFilter, LogFilterError, type LogKind } from './filter.ts';
import { MOST_LAST, tailLogs } from './tail.ts';

export interface LogSourceOptions {
  readonly directory: string;
  readonly clock?: Clock;
}

export interface LogSourceQuery {
  readonly follow: boolean;
  /** `kind` (access, server, all), `lines`, `environment`, `project`, `request`, `status`, `match`, `since`. */
  readonly parameters: URLSearchParams;
}

const KINDS: Readonly<Record<string, readonly LogKind[]>> = {
  access: ['access'],
  server: ['server'],
  all: ['access', 'server'],
};

/** Newest lines shown where nobody says how many; a single request is always shown whole. */
const DEFAULT_LINES = 100;

/**
 * Yields the records as they are stored. A query that cannot be used throws `LogFilterError` at once, before there
 * is anything to iterate, so that it can still be answered with an error.
 */
export function logSource({ directory, clock }: LogSourceOptions) {
  return (query: LogSourceQuery, signal: AbortSignal): AsyncIterable<unknown> => {
    const { kinds, last, filter } = readQuery(query.parameters);
    compileFilter(filter);
    const options = { directory, kinds, filter, follow: query.follow, signal, ...(clock ? { clock } : {}) };
    return records(tailLogs(last === undefined ? options : { ...options, last }));
  };
}

async function* records(entries: ReturnType<typeof tailLogs>): AsyncGenerator<unknown> {
  for await (const { record } of entries) yield record;
}

function readQuery(parameters: URLSearchParams) {
  const text = (name: string): string | undefined => parameters.get(name) || undefined;
  const kind = text('kind') ?? 'all';
  const kinds = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  if (!kinds) throw new LogFilterError(`kind must be access, server or all, not '${kind}'`);
  const requestId = text('request');
  const filter: LogFilter = {
    ...given('requestId', requestId),
    ...given('environment', text('environment')),
    ...given('project', text('project')),
    ...given('status', text('status')),
    ...given('match', text('match')),
    ...given('sinceMs', sinceMs(text('since'))),
  };
  return { kinds, filter, last: lines(text('lines')) ?? (requestId === undefined ? DEFAULT_LINES : undefined) };
}

const given = <K extends keyof LogFilter>(name: K, value: LogFilter[K] | undefined): Pick<LogFilter, K> | object =>
  value === undefined ? {} : { [name]: value };

function lines(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^\d{1,5}$/.test(text) || Number(text) > MOST_LAST) {
    throw new LogFilterError(`lines must be a number up to ${MOST_LAST}, not '${text}'`);
  }
  return Number(text);
}

/** Milliseconds since the epoch, or a date that JavaScript reads. */
function sinceMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (!Number.isFinite(ms)) throw new LogFilterError(`since must be a date or milliseconds since 1970, not '${text}'`);
  return ms;
}
