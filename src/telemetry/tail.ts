/** What `selvedge logs` reads: entries of both logs in order of time, and those that are to come. */
import { type Clock, systemClock } from '../base/clock.ts';
import type { LoggedAccess } from '../observe/log-fields.ts';
import { compileFilter, type EntryTest, type LogEntry, type LogFilter, type LogKind } from './filter.ts';
import { LogFollower } from './follow.ts';
import type { LoggedServerLine } from './server-log.ts';

export interface TailOptions {
  /** Where `access.ndjson` and `server.ndjson` are. */
  readonly directory: string;
  /** Default: both. */
  readonly kinds?: readonly LogKind[];
  readonly filter?: LogFilter;
  /** Go on until `signal` is aborted. Default: end with what there is. */
  readonly follow?: boolean;
  /** Of the past, the newest matching entries only; 0: none. At most 10,000; without it the past is complete. */
  readonly last?: number;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  /** How often is looked for news; default 250. */
  readonly pollMs?: number;
}

/** Bound of `last`: these are kept in memory. */
export const MOST_LAST = 10_000;

/** Throws `LogFilterError` before the first entry. Closes its files when the consumer stops or `signal` is aborted. */
export async function* tailLogs(options: TailOptions): AsyncGenerator<LogEntry, void> {
  const { directory, kinds = ['access', 'server'], follow = false, last, signal } = options;
  const { clock = systemClock, pollMs = 250, filter = {} } = options;
  const test = compileFilter(filter);
  const mark = filter.requestId === undefined ? '' : JSON.stringify(filter.requestId).slice(1, -1);
  const followers = kinds.map((kind) => ({ kind, follower: new LogFollower(directory, kind, clock) }));
  try {
    if (last === 0) await Promise.all(followers.map(({ follower }) => follower.skipHistory()));
    else {
      const sinceMs = filter.sinceMs ?? 0;
      const past = followers.map(({ kind, follower }) => entries(kind, follower.history(sinceMs), test, mark));
      const merged = mergeByTime(past);
      yield* until(signal, last === undefined ? merged : newest(merged, Math.min(last, MOST_LAST)));
    }
    while (follow && !signal?.aborted) {
      await nextPoll(clock, pollMs, signal);
      const news = followers.map(({ kind, follower }) => entries(kind, follower.news(), test, mark));
      yield* until(signal, mergeByTime(news));
    }
  } finally {
    await Promise.all(followers.map(({ follower }) => follower.close()));
  }
}

/** Only lines that contain `mark` are worth parsing: one request is searched in a day of lines. */
async function* entries(
  kind: LogKind,
  lines: AsyncIterable<string>,
  test: EntryTest,
  mark: string,
): AsyncGenerator<LogEntry> {
  for await (const line of lines) {
    if (!line.includes(mark)) continue;
    const entry = parseEntry(kind, line);
    if (entry && test(entry, line)) yield entry;
  }
}

/** Undefined for what is no line of ours. */
function parseEntry(kind: LogKind, line: string): LogEntry | undefined {
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof record !== 'object' || record === null) return undefined;
  if (kind === 'access') return { kind, timeMs: Number((record as LoggedAccess).timestamp) || 0, record };
  const server = record as LoggedServerLine;
  return typeof server.fn === 'string' ? { kind, timeMs: Number(server.time) || 0, record: server } : undefined;
}

/** Always the source whose next entry is oldest; each source is in order itself, give or take a batch. */
async function* mergeByTime(sources: readonly AsyncGenerator<LogEntry>[]): AsyncGenerator<LogEntry> {
  let heads = await Promise.all(sources.map(async (source) => ({ source, next: await source.next() })));
  for (;;) {
    heads = heads.filter(({ next }) => !next.done);
    const [first, ...others] = heads;
    if (!first) return;
    const oldest = others.reduce((a, b) => (timeOf(b.next) < timeOf(a.next) ? b : a), first);
    yield oldest.next.value as LogEntry;
    oldest.next = await oldest.source.next();
  }
}

const timeOf = (next: IteratorResult<LogEntry>): number => (next.value as LogEntry).timeMs;

async function* newest(source: AsyncIterable<LogEntry>, count: number): AsyncGenerator<LogEntry> {
  let kept: LogEntry[] = [];
  for await (const entry of source) {
    kept.push(entry);
    if (kept.length >= 2 * count) kept = kept.slice(-count);
  }
  yield* kept.slice(-count);
}

async function* until(signal: AbortSignal | undefined, source: AsyncIterable<LogEntry>): AsyncGenerator<LogEntry> {
  for await (const entry of source) {
    if (signal?.aborted) return;
    yield entry;
  }
}

function nextPoll(clock: Clock, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const finish = (): void => {
      timer.cancel();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const timer = clock.setTimer(delayMs, finish);
    signal?.addEventListener('abort', finish);
  });
}
