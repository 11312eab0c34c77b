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
    /** Ids (`<project>-<environment>`) of which one must fit. */
    readonly environments?: readonly string[];
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

/** `environmentsOf` knows the ids of a project: names may contain hyphens, so an id does not tell its project. */
export async function logReply(
  logs: LogSource | undefined,
  parameters: URLSearchParams,
  signal: AbortSignal,
  environmentsOf: (project: string) => Promise<readonly string[]>,
): Promise<Reply> {
  if (logs === undefined) throw notFound('this control plane keeps no logs');
  const query = await readLogQuery(parameters, environmentsOf);
  try {
    return { lines: logs(query, signal) };
  } catch (error) {
    throw invalidField('filter', error instanceof Error ? error.message : String(error));
  }
}

/** Throws a 422 `Problem` for a value that cannot be used. */
export async function readLogQuery(
  parameters: URLSearchParams,
  environmentsOf: (project: string) => Promise<readonly string[]>,
): Promise<LogQuery> {
  const text = (name: string) => parameters.get(name) || undefined;
  const follow = text('follow');
  const project = text('project');
  const environment = text('environment');
  const ofProject = project === undefined ? undefined : await environmentsOf(project);
  return {
    follow: follow !== undefined && follow !== '0' && follow !== 'false',
    kinds: kindsOf(text('kind')),
    last: wholeNumber('lines', text('lines')),
    filter: {
      requestId: text('requestId'),
      ...(environment === undefined && ofProject === undefined
        ? {}
        : { environments: [environment ?? ofProject!].flat().filter((id) => ofProject?.includes(id) ?? true) }),
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
