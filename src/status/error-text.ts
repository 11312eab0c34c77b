/** The plain-text form of the error page, for whoever asks with curl in the middle of the night. */
import type { Branding } from './branding.ts';
import { moveSentence, type Problem, whyCommand } from './problem.ts';
import type { Stop, StopState } from './way.ts';

const WIDTH = 76;

export function errorText(problem: Problem, way: readonly Stop[], branding: Branding): string {
  const { code, title, detail, details, hop, phase, fault, help, type, requestId } = problem;
  const command = whyCommand(requestId, branding);
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['What', details === undefined ? detail : `${detail} (${details})`],
    ['Limit', limitText(problem)],
    ['Who', moveSentence(fault, branding)],
    ['Do', help],
    ['Where', `${hop}, ${phase}`],
    ['Request', requestId],
    ['Ask', command],
    ['More', type],
  ];
  const lines = rows.flatMap(([name, text]) => (text === undefined ? [] : hanging(`${name.padEnd(9)}`, text)));
  return [`${code} ${title}`, '', ...drawn(way), '', ...lines, ''].join('\n');
}

function limitText({ limit, limitValue, seen }: Problem): string | undefined {
  if (limit === undefined) return undefined;
  const parts = [limit, limitValue !== undefined && `at most ${limitValue}`, seen !== undefined && `seen ${seen}`];
  return parts.filter(Boolean).join(', ');
}

const FIRST: Readonly<Record<StopState, string>> = { passed: '', failed: 'x ', ahead: '' };
const BEFORE: Readonly<Record<StopState, string>> = { passed: ' ---- ', failed: ' -- x ', ahead: ' .... ' };

/** `You ---- Edge -- x Upstream` with what failed below the failed station. */
function drawn(way: readonly Stop[]): string[] {
  let line = '';
  let place = 0;
  let told = '';
  for (const [at, { name, state, words }] of way.entries()) {
    line += at === 0 ? FIRST[state] : BEFORE[state];
    if (state === 'failed') {
      place = line.length;
      told = words;
    }
    line += name;
  }
  return [`  ${line}`, `  ${' '.repeat(place)}^ ${told}`];
}

/** Wrapped at word ends, the first line behind a name, the others under its text. */
function hanging(name: string, text: string): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && name.length + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line].map((one, at) => (at === 0 ? name : ' '.repeat(name.length)) + one);
}
