/** Colour for terminals, width, wrapping, figures: what every part of a told story needs. */

export interface Page {
  /** Columns that may be used. */
  readonly width: number;
  readonly bold: (text: string) => string;
  readonly dim: (text: string) => string;
  readonly red: (text: string) => string;
  readonly green: (text: string) => string;
  /** Harmless for a terminal, whatever came from outside; what was painted stays painted. */
  readonly clean: (text: string) => string;
}

const NOT_A_TERMINAL = 100;
const MOST_WIDTH = 140;
const LEAST_WIDTH = 60;

/** `columns` undefined: not a terminal, so no colour. */
export function pageFor(columns: number | undefined, env: NodeJS.ProcessEnv): Page {
  const colour = columns !== undefined && !env.NO_COLOR && env.TERM !== 'dumb';
  const sgr = (code: number) => (text: string) => (colour && text !== '' ? `\x1b[${code}m${text}\x1b[0m` : text);
  const width = Math.max(LEAST_WIDTH, Math.min(MOST_WIDTH, columns ?? NOT_A_TERMINAL));
  return { width, bold: sgr(1), dim: sgr(2), red: sgr(31), green: sgr(32), clean: colour ? keepPaint : shown };
}

const PAINT = new RegExp(`(${String.fromCharCode(27)}\\[(?:0|1|2|31|32)m)`);

/** Every second part is a stroke of paint. */
const keepPaint = (text: string): string =>
  text
    .split(PAINT)
    .map((part, at) => (at % 2 === 1 ? part : shown(part)))
    .join('');

/** `0.4 ms`, `12 ms`, `1.25 s`, `3 min 5 s`. */
export function duration(ms: number): string {
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 99_950) return `${(ms / 1000).toFixed(ms < 9_995 ? 2 : 1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** What came from outside, made harmless for a terminal. */
export const shown = (text: string): string => text.replace(/[^\P{Cc}\n\t]/gu, '\ufffd');

const NAME_COLUMNS = 11;
const MARGIN = 2;

/** A name in the left column and text beside it, wrapped; `unbroken` lines are left as they are. */
export function entry(page: Page, name: string, text: string | readonly string[], { unbroken = false } = {}): string[] {
  const room = page.width - MARGIN - NAME_COLUMNS;
  const lines = [text]
    .flat()
    .flatMap((line) => (unbroken ? page.clean(line).split('\n') : wrap(page.clean(line), room)));
  return lines.map((line, at) => {
    const left = at === 0 ? page.dim(name.padEnd(NAME_COLUMNS)) : ' '.repeat(NAME_COLUMNS);
    return `${' '.repeat(MARGIN)}${left}${line}`.trimEnd();
  });
}

export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const paragraph of text.split('\n')) {
    let line = '';
    for (const word of paragraph.split(' ')) {
      if (line !== '' && line.length + 1 + word.length > width) {
        lines.push(line);
        line = word;
      } else line = line === '' ? word : `${line} ${word}`;
    }
    lines.push(line);
  }
  return lines;
}
