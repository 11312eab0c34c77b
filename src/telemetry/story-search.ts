/**
 * What is asked of stories and logs about one request: its stories, its access line, what its project code logged.
 * Ids of ours begin with their time, so the file of that time is searched first; for an id that a client made up,
 * everything is searched, newest first, until the time for it is over.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { timeOfRequestId } from '../base/request-id.ts';
import type { LoggedAccess } from '../observe/log-fields.ts';
import { isFailure, STORY_FORMAT, type Story } from '../observe/story.ts';
import { type LogPart, linesBackward, linesWith, logParts, nearestFirst } from './search.ts';
import type { LoggedServerLine } from './server-log.ts';
import { STORY_BASES } from './story-ring.ts';

export interface StorySearchOptions {
  /** Folder of the rings. */
  readonly stories: string;
  /** Folder of the access and server logs. */
  readonly logs: string;
  /** `limits.why.retentionHours`: older stories are not told, even while their file is still there. */
  readonly retentionHours: number;
  readonly clock?: Clock;
  /** Longest search in the access log. Default 10,000. */
  readonly accessMs?: number;
}

export interface LastQuery {
  /** `536` or `5xx`: status as sent, or code of the platform. Undefined: every failure. */
  readonly code?: string;
  /** `<project>-<environment>`. */
  readonly environment?: string;
  readonly limit: number;
}

const MOST_SERVER_LINES = 200;
/** Clocks of processes and batches that were under way. */
const SLACK_MS = 5_000;

export class StorySearch {
  readonly #options: StorySearchOptions;
  readonly #clock: Clock;

  constructor(options: StorySearchOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Every part that is there, in no particular order. */
  async stories(requestId: string, signal: AbortSignal): Promise<Story[]> {
    const fromMs = timeOfRequestId(requestId) ?? Number.NEGATIVE_INFINITY;
    const bases = await Promise.all(STORY_BASES.map((base) => logParts(this.#options.stories, base)));
    const isLater = ({ untilMs }: LogPart): boolean => untilMs >= fromMs - SLACK_MS;
    const found = await this.#storiesIn(bases.flat().filter(isLater), requestId, signal);
    // Nothing is written before the request was made, unless a client made up the id.
    if (found.length > 0) return found;
    return this.#storiesIn(
      bases.flat().filter((part) => !isLater(part)),
      requestId,
      signal,
    );
  }

  async #storiesIn(parts: readonly LogPart[], requestId: string, signal: AbortSignal): Promise<Story[]> {
    const mark = `"requestId":${JSON.stringify(requestId)}`;
    const found: Story[] = [];
    for (const { path } of parts) {
      for await (const line of linesWith(path, mark, signal)) {
        const story = this.#parse(line);
        if (story?.requestId === requestId) found.push(story);
      }
    }
    return found;
  }

  /** When the oldest story that is left began; null without any. */
  async oldestMs(signal: AbortSignal): Promise<number | null> {
    const times = await Promise.all(
      STORY_BASES.map(async (base) => {
        for (const { path } of (await logParts(this.#options.stories, base)).reverse()) {
          for await (const line of linesWith(path, '{"format"', signal)) {
            const story = this.#parse(line);
            if (story) return story.atMs;
          }
        }
        return null;
      }),
    );
    return times.reduce((oldest, time) => (oldest === null || (time !== null && time < oldest) ? time : oldest), null);
  }

  /** Newest first, stories of outermost hops only. */
  async last({ code, environment, limit }: LastQuery, signal: AbortSignal): Promise<Story[]> {
    const wanted = codeTest(code);
    const test = (story: Story): boolean =>
      story.hop === 'edge' &&
      story.end !== 'afterwards' &&
      (environment === undefined || story.deployment?.environment === environment) &&
      wanted(story);
    const bases = code === undefined ? (['failed'] as const) : STORY_BASES;
    const found = await Promise.all(bases.map((base) => this.#newest(base, test, limit, signal)));
    // Of a tunnel that has been closed there are two stories; the later one is met first.
    const seen = new Map<string, Story>();
    for (const story of found.flat()) if (!seen.has(story.span)) seen.set(story.span, story);
    return [...seen.values()].sort((a, b) => b.atMs - a.atMs).slice(0, limit);
  }

  async #newest(base: string, test: (story: Story) => boolean, limit: number, signal: AbortSignal): Promise<Story[]> {
    const found: Story[] = [];
    for (const { path } of await logParts(this.#options.stories, base)) {
      for await (const line of linesBackward(path, signal)) {
        const story = this.#parse(line);
        if (story && test(story)) found.push(story);
        if (found.length >= limit) return found;
      }
    }
    return found;
  }

  /** Lines of the access log; `gaveUp` when the time for searching was over before everything was searched. */
  async access(requestId: string, signal: AbortSignal): Promise<{ lines: LoggedAccess[]; gaveUp: boolean }> {
    const timeMs = timeOfRequestId(requestId);
    const mark = `"rid":${JSON.stringify(requestId)}`;
    const untilMs = this.#clock.monotonicMs() + (this.#options.accessMs ?? 10_000);
    const parts = nearestFirst(await logParts(this.#options.logs, 'access'), timeMs);
    for (const { path } of parts) {
      const lines = await collect<LoggedAccess>(linesWith(path, mark, signal), ({ rid }) => rid === requestId);
      if (lines.length > 0) return { lines, gaveUp: false };
      if (this.#clock.monotonicMs() > untilMs) return { lines, gaveUp: true };
    }
    return { lines: [], gaveUp: false };
  }

  /** What project code logged while it had the request, the first lines of it. */
  async serverLines(requestId: string, fromMs: number, toMs: number, signal: AbortSignal): Promise<LoggedServerLine[]> {
    const mark = `"requestId":${JSON.stringify(requestId)}`;
    const parts = (await logParts(this.#options.logs, 'server')).filter(({ untilMs }) => untilMs >= fromMs).reverse();
    const found: LoggedServerLine[] = [];
    for (const [at, { path }] of parts.entries()) {
      if (at > 0 && parts[at - 1]!.untilMs > toMs + SLACK_MS) break;
      const belongs = (line: LoggedServerLine): boolean =>
        line.requestId === requestId && line.time >= fromMs - SLACK_MS && line.time <= toMs + SLACK_MS;
      found.push(...(await collect(linesWith(path, mark, signal), belongs)));
      if (found.length >= MOST_SERVER_LINES) break;
    }
    return found.slice(0, MOST_SERVER_LINES);
  }

  /** Undefined for what is no story, of another version, or too old. */
  #parse(line: string): Story | undefined {
    const story = parsed<Story>(line);
    if (story === undefined || story.format !== STORY_FORMAT) return undefined;
    const oldestMs = this.#clock.nowMs() - this.#options.retentionHours * 3_600_000;
    return story.atMs + story.durationMs < oldestMs ? undefined : story;
  }
}

function codeTest(code: string | undefined): (story: Story) => boolean {
  if (code === undefined) return isFailure;
  const start = code.toLowerCase().replace('xx', '');
  const fits = (value: number | undefined): boolean => value !== undefined && String(value).startsWith(start);
  return ({ status, fault }) => fits(status) || fits(fault?.code);
}

async function collect<Line>(lines: AsyncIterable<string>, test: (line: Line) => boolean): Promise<Line[]> {
  const found: Line[] = [];
  for await (const line of lines) {
    const read = parsed<Line>(line);
    if (read !== undefined && test(read)) found.push(read);
    if (found.length >= MOST_SERVER_LINES) break;
  }
  return found;
}

function parsed<Value>(line: string): Value | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as Value) : undefined;
  } catch {
    return undefined;
  }
}
