/**
 * A telling as bars on one axis of time: data that the command line and the console draw. An inner hop's clock is not
 * asked: its time begins when the outer hop's connection was ready to take the request.
 */
import { ATTEMPT_PHASES, type Story, type StoryAttempt, type StoryCall } from './story.ts';
import type { Telling } from './telling.ts';

export type SegmentKind = 'dns' | 'tcp' | 'tls' | 'send' | 'head' | 'body' | 'queue' | 'start' | 'run' | 'wait' | 'hop';

export interface Segment {
  readonly kind: SegmentKind;
  readonly startMs: number;
  readonly endMs: number;
}

export interface Bar {
  /** `edge edge-local`, `upstream api`, `worker`. */
  readonly label: string;
  readonly depth: number;
  readonly startMs: number;
  readonly endMs: number;
  /** In order of time; what is between them was waited. */
  readonly segments: readonly Segment[];
  /** What became of it, e.g. `200`, `head.timeout`. */
  readonly outcome: string;
  readonly failed: boolean;
}

export interface Waterfall {
  readonly totalMs: number;
  readonly bars: readonly Bar[];
}

export function waterfall({ story, inner, afterwards }: Telling): Waterfall {
  const innerOf = new Map(inner.map((part) => [part.span, part]));
  const bars = [story, ...afterwards].flatMap((part) => hopBars(part, 0, 0, innerOf));
  return { totalMs: Math.max(0, ...bars.map(({ endMs }) => endMs)), bars };
}

type Inner = ReadonlyMap<string, Story>;

function hopBars(story: Story, depth: number, offsetMs: number, innerOf: Inner): Bar[] {
  const endMs = offsetMs + story.durationMs;
  const after = story.end === 'afterwards';
  const hop: Bar = {
    label: after ? 'afterwards' : `${story.hop} ${story.pop}`.trimEnd(),
    depth,
    startMs: offsetMs,
    endMs,
    segments: [{ kind: 'hop', startMs: offsetMs, endMs }],
    outcome: outcomeOfHop(story),
    failed: story.fault !== undefined || story.end === 'cut',
  };
  const calls = (story.calls ?? []).flatMap((call) => {
    const within = story.run && call.by === 'compute' ? depth + 2 : depth + 1;
    return callBars(call, within, offsetMs, innerOf);
  });
  const parts = [...waitBars(story, depth + 1, offsetMs), ...runBars(story, depth + 1, offsetMs), ...calls];
  return [...(after ? [] : [hop]), ...parts];
}

const END_WORDS: Readonly<Partial<Record<Story['end'], string>>> = {
  cut: 'cut',
  'client-left': 'client left',
  tunnel: 'tunnel',
  'tunnel-closed': 'tunnel',
};

function outcomeOfHop({ status, end, cache }: Story): string {
  const word = cache?.metric === 'hit' ? `hit L${cache.level}` : undefined;
  return [status, word, END_WORDS[end]].filter((part) => part !== undefined).join(' ');
}

/** Waiting for the fetch of somebody else. */
function waitBars({ cache }: Story, depth: number, offsetMs: number): Bar[] {
  if (cache?.coalescedMs === undefined) return [];
  const span = { startMs: offsetMs, endMs: offsetMs + cache.coalescedMs };
  return [
    { label: 'shared fetch', depth, ...span, segments: [{ kind: 'wait', ...span }], outcome: 'waited', failed: false },
  ];
}

// ── project code ──

function runBars({ run, fault }: Story, depth: number, offsetMs: number): Bar[] {
  if (run === undefined) return [];
  const { pq = 0, pf, wt } = run.metrics;
  const startMs = offsetMs + run.atMs;
  const endMs = startMs + run.durationMs;
  const handedMs = Math.min(endMs, startMs + pq);
  const coldMs = pf !== undefined && wt !== undefined ? Math.max(0, pf - wt) : 0;
  const begunMs = Math.min(endMs, handedMs + coldMs);
  const segments: Segment[] = [
    { kind: 'queue', startMs, endMs: handedMs },
    { kind: 'start', startMs: handedMs, endMs: begunMs },
    { kind: 'run', startMs: begunMs, endMs },
  ];
  return [
    {
      label: `worker ${run.target}`,
      depth,
      startMs,
      endMs,
      segments: segments.filter((it) => it.endMs > it.startMs),
      outcome: run.status === undefined ? (fault?.details ?? 'no answer') : String(run.status),
      failed: run.status === undefined,
    },
  ];
}

// ── calls ──

function callBars(call: StoryCall, depth: number, offsetMs: number, innerOf: Inner): Bar[] {
  const attempts = call.attempts.map((attempt) => attemptBar(call, attempt, depth, offsetMs));
  const inner = call.span === undefined ? undefined : innerOf.get(call.span);
  if (inner === undefined) return attempts;
  const last = call.attempts.at(-1);
  const ready =
    last === undefined ? call.atMs : last.atMs + (last.dnsMs ?? 0) + (last.connectMs ?? 0) + (last.tlsMs ?? 0);
  const link = attempts.filter(({ failed }) => failed);
  return [...link, ...hopBars(inner, depth, offsetMs + ready, innerOf)];
}

function attemptBar(call: StoryCall, attempt: StoryAttempt, depth: number, offsetMs: number): Bar {
  const startMs = offsetMs + attempt.atMs;
  let at = startMs;
  const segments: Segment[] = [];
  for (const [member, kind] of ATTEMPT_PHASES) {
    const ms = attempt[member];
    if (ms === undefined) continue;
    segments.push({ kind, startMs: at, endMs: at + ms });
    at += ms;
  }
  const where = call.leg === 'link' ? 'link' : `upstream ${call.backend ?? call.host}`;
  const { fault } = attempt;
  return {
    label: where,
    depth,
    startMs,
    endMs: at,
    segments,
    outcome: fault ? fault.cause.replace(/^(?:upstream|link)\./, '') : String(call.status ?? 'no answer'),
    failed: fault !== undefined,
  };
}
