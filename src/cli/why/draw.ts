/** The waterfall in a terminal: one row for each hop and attempt, its phases told apart by their strokes. */
import type { Bar, SegmentKind, Waterfall } from '../../observe/waterfall.ts';
import { duration, type Page, shown } from './paint.ts';

const STROKES: Readonly<Record<SegmentKind, string>> = {
  hop: '─',
  wait: '┄',
  dns: '░',
  tcp: '▒',
  tls: '▓',
  send: '╸',
  head: '━',
  body: '═',
  queue: '┈',
  start: '▒',
  run: '━',
};

const LEGEND: Readonly<Record<SegmentKind, string>> = {
  hop: '',
  wait: 'waiting for a shared fetch',
  dns: 'dns',
  tcp: 'tcp',
  tls: 'tls',
  send: 'send',
  head: 'waiting for the head',
  body: 'body',
  queue: 'queue',
  start: 'cold start',
  run: 'running',
};

const MARGIN = 2;
const MOST_LABEL = 30;
const TIME_COLUMNS = 9;
const LEAST_AXIS = 16;

export function drawWaterfall({ totalMs, bars }: Waterfall, page: Page): string[] {
  if (bars.length === 0) return [];
  const labels = bars.map(({ label, depth }) => `${'  '.repeat(depth)}${shown(label)}`);
  const labelColumns = Math.min(MOST_LABEL, Math.max(...labels.map(({ length }) => length)));
  const outcomes = Math.min(24, Math.max(...bars.map(({ outcome }) => outcome.length)));
  const axis = Math.max(LEAST_AXIS, page.width - MARGIN - labelColumns - TIME_COLUMNS - outcomes - 5);
  const left = ' '.repeat(MARGIN + labelColumns + 1);
  const rows = bars.map((bar, at) => {
    const label = cut(labels[at]!, labelColumns).padEnd(labelColumns);
    const time = duration(bar.endMs - bar.startMs).padStart(TIME_COLUMNS);
    const stroke = strokes(bar, totalMs, axis);
    const outcome = bar.failed ? page.red(`✗ ${bar.outcome}`) : `  ${bar.outcome}`;
    return `${' '.repeat(MARGIN)}${label} ${bar.failed ? page.red(stroke) : stroke} ${page.dim(time)} ${outcome}`.trimEnd();
  });
  return [`${left}${page.dim(scale(totalMs, axis))}`, ...rows, ...legend(bars, left, page)];
}

const cut = (text: string, columns: number): string =>
  text.length > columns ? `${text.slice(0, columns - 1)}…` : text;

function strokes({ segments, startMs, endMs }: Bar, totalMs: number, axis: number): string {
  const cell = (ms: number): number => (totalMs === 0 ? 0 : Math.round((ms / totalMs) * axis));
  const cells = new Array<string>(axis).fill(' ');
  const first = Math.min(axis - 1, cell(startMs));
  let at = first;
  for (const segment of segments) {
    if (segment.endMs - segment.startMs < 0.05 && segments.length > 1) continue;
    at = Math.max(at, Math.min(axis - 1, cell(segment.startMs)));
    // Short phases are seen, too.
    const end = Math.min(axis, Math.max(at + 1, cell(segment.endMs)));
    for (; at < end; at++) cells[at] = STROKES[segment.kind];
  }
  if (at === first) cells[first] = '╵';
  if (segments[0]?.kind === 'hop') {
    const last = Math.min(axis, Math.max(first + 1, cell(endMs))) - 1;
    cells[first] = last === first ? '│' : '├';
    if (last > first) cells[last] = '┤';
  }
  return cells.join('');
}

/** Zero, the end, and where there is room the middle. */
function scale(totalMs: number, axis: number): string {
  const end = duration(totalMs);
  const middle = duration(totalMs / 2);
  const room = axis - end.length - 1;
  if (room < middle.length + 12) return `0${end.padStart(axis - 1)}`;
  const half = Math.floor(axis / 2);
  return `0${middle.padStart(half - 1 + Math.floor(middle.length / 2))}`.padEnd(axis - end.length) + end;
}

function legend(bars: readonly Bar[], left: string, page: Page): string[] {
  const kinds = new Set(
    bars
      .flatMap(({ segments }) => segments)
      .filter((it) => it.endMs - it.startMs >= 0.05)
      .map(({ kind }) => kind),
  );
  kinds.delete('hop');
  const words = [...kinds].map((kind) => `${STROKES[kind]} ${LEGEND[kind]}`);
  return words.length === 0 ? [] : [page.dim(`${left}${words.join('  ')}`)];
}
