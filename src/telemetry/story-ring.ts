/**
 * Stories on disk: two rings of files in `<data>/why`, failures in one and everything else in the other, so that
 * ordinary traffic never pushes out what somebody will ask for. Several processes write them; both are bounded in
 * bytes and age, and memory is bounded by what may wait for the disk.
 */
import { type Clock, systemClock, type Timer } from '../base/clock.ts';
import { isFailure, type Story } from '../observe/story.ts';
import { LogFile, type LogFileOptions, type LogFileStats } from './log-file.ts';

export const STORY_BASES = ['failed', 'passed'] as const;
export type StoryBase = (typeof STORY_BASES)[number];

export interface StoryRingOptions
  extends Omit<LogFileOptions, 'base' | 'fileBytes' | 'totalBytes' | 'retentionHours' | 'fileMinutes'> {
  /** `limits.why.bytes`: both rings together. */
  readonly bytes: number;
  /** `limits.why.retentionHours`. */
  readonly retentionHours: number;
}

/** A ring is so many files: that is how much of it goes at once. */
const FILES = 16;
const LEAST_TIDY_MS = 60_000;
const LEAST_FILE_BYTES = 16 * 1024;
const MOST_FILE_BYTES = 16 * 1024 * 1024;
const MOST_BUFFER_BYTES = 4 * 1024 * 1024;
/** A story that is longer keeps what names the failure and loses the details. */
const MOST_STORY_BYTES = 64 * 1024;

export class StoryRing {
  readonly #files: Readonly<Record<StoryBase, LogFile>>;
  readonly #mostBytes: number;
  #timer: Timer | undefined;

  constructor({ bytes, retentionHours, bufferBytes = MOST_BUFFER_BYTES, ...options }: StoryRingOptions) {
    const ringBytes = bytes / STORY_BASES.length;
    const fileBytes = Math.min(Math.max(LEAST_FILE_BYTES, Math.floor(ringBytes / FILES)), MOST_FILE_BYTES);
    const shared = {
      ...options,
      retentionHours,
      fileBytes,
      totalBytes: ringBytes,
      bufferBytes: Math.min(bufferBytes, MOST_BUFFER_BYTES, Math.max(fileBytes, Math.floor(ringBytes / 4))),
      fileMinutes: Math.min(60, (retentionHours * 60) / FILES),
    };
    this.#files = {
      failed: new LogFile({ ...shared, base: 'failed' }),
      passed: new LogFile({ ...shared, base: 'passed' }),
    };
    this.#tidyEvery(Math.max(LEAST_TIDY_MS, shared.fileMinutes * 60_000), options.clock ?? systemClock);
    this.#mostBytes = Math.min(MOST_STORY_BYTES, shared.bufferBytes / 2);
  }

  get stats(): Readonly<Record<StoryBase, LogFileStats>> {
    return { failed: this.#files.failed.stats, passed: this.#files.passed.stats };
  }

  /** Never waits and never throws. */
  write(story: Story): void {
    const text = JSON.stringify(story);
    this.#files[isFailure(story) ? 'failed' : 'passed'].write(
      text.length > this.#mostBytes ? JSON.stringify(shortened(story)) : text,
    );
  }

  async flush(): Promise<void> {
    await Promise.all(STORY_BASES.map((base) => this.#files[base].flush()));
  }

  /** What is too old goes also where nothing new comes. */
  #tidyEvery(delayMs: number, clock: Clock): void {
    this.#timer = clock.setTimer(delayMs, () => {
      for (const base of STORY_BASES) void this.#files[base].tidy();
      this.#tidyEvery(delayMs, clock);
    });
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    await Promise.all(STORY_BASES.map((base) => this.#files[base].close()));
  }
}

function shortened({ calls, fault, request, cache, ...story }: Story): Story {
  const { evidence: _evidence, error: _error, ...named } = fault ?? ({} as NonNullable<Story['fault']>);
  const { key: _key, ...verdict } = cache ?? ({} as NonNullable<Story['cache']>);
  return {
    ...story,
    request: { ...request, url: request.url.slice(0, 1_024), fields: [] },
    shortened: true,
    ...(cache ? { cache: verdict } : {}),
    ...(calls
      ? { calls: calls.slice(0, 4).map((call) => ({ ...call, path: call.path.slice(0, 1_024), fields: [] })) }
      : {}),
    ...(fault ? { fault: named } : {}),
  };
}
