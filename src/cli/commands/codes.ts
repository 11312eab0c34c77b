/** `selvedge codes`: the status catalogue at hand. */
import { type Branding, brandingOf, PRESET_NAMES } from '../../status/branding.ts';
import { ACTORS, type CodeDescription, describeCode, describeCodes, fillNames } from '../../status/catalogue.ts';
import { type CauseRecord, describeCause } from '../../status/cause-record.ts';
import { type CommandContext, CommandFailed, type CommandSpec, UsageError } from '../command.ts';
import { columns } from '../table.ts';

async function codes(context: CommandContext): Promise<undefined> {
  const [wanted] = context.args;
  const branding = brandingFrom(context.text('preset'));
  if (wanted === undefined) {
    const all = describeCodes(branding);
    const rows = all.map((it) => [String(it.code), it.name, it.acts.join(', '), it.raisedBy]);
    context.print({ codes: all.map(withCauses) }, columns([['Code', 'Name', 'Who acts', 'Raised by'], ...rows]));
    return;
  }
  if (!/^[1-5][0-9]{2}$/.test(wanted)) throw new UsageError(`'${wanted}' is no status code`);
  const entry = describeCode(Number(wanted), branding);
  if (!entry) throw new CommandFailed(`${wanted} is never sent by the platform itself: it comes from the project`);
  context.print(withCauses(entry), page(entry, branding));
}

const withCauses = (entry: CodeDescription) => ({ ...entry, causes: entry.causes.map(describeCause) });

function brandingFrom(preset: string | undefined): Branding {
  const known = PRESET_NAMES.find((name) => name === (preset ?? PRESET_NAMES[0]));
  if (known === undefined) throw new UsageError(`--preset must be one of ${PRESET_NAMES.join(', ')}, not '${preset}'`);
  return brandingOf(known);
}

const WIDTH = 96;

function page(entry: CodeDescription, branding: Branding): string[] {
  return [
    `${entry.code} ${entry.name}`,
    '',
    ...wrapped(entry.description),
    '',
    ...entry.acts.flatMap((actor, at) => row(at === 0 ? 'Who acts' : '', fillNames(ACTORS[actor], branding))),
    ...row('What to do', entry.remedy),
    ...row('Raised by', entry.raisedBy),
    ...row('It is not', entry.not),
    ...row('Examples', entry.examples.join(' ')),
    ...row('Visitors read', `${entry.headline} ${entry.visitor}`),
    ...(entry.retryAfterSeconds === undefined ? [] : row('Retry-After', `${entry.retryAfterSeconds} seconds`)),
    '',
    entry.causes.length === 1 ? 'Its one cause:' : `Its ${entry.causes.length} causes:`,
    ...entry.causes.map(describeCause).flatMap((cause) => ['', ...causeLines(cause)]),
  ];
}

function causeLines({ cause, text, phase, acts, proxyStatus, details, limit, standardStatus }: CauseRecord): string[] {
  const facts = [
    `phase ${phase}`,
    `${acts} acts`,
    `Proxy-Status ${proxyStatus}${details === undefined ? '' : ` (${details})`}`,
    `standard status ${standardStatus}`,
    ...(limit === undefined ? [] : [`limit ${limit}`]),
  ];
  return [`  ${cause}`, ...wrapped(text, 4), ...wrapped(facts.join('; '), 4)];
}

const LABEL = 15;
const row = (label: string, text: string): string[] =>
  wrapped(text, LABEL).map((line, at) => (at === 0 ? label.padEnd(LABEL) + line.slice(LABEL) : line));

function wrapped(text: string, indent = 0): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line === '') lines[lines.length - 1] = word;
    else if (indent + line.length + 1 + word.length > WIDTH) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines.map((line) => ' '.repeat(indent) + line);
}

export const CODES_COMMAND: CommandSpec = {
  name: 'codes',
  args: ['[code]'],
  summary: 'explain the status codes that the platform sends',
  options: [{ flags: '--preset <name>', description: 'with the header and cookie names of a branding preset' }],
  takes: ['json'],
  run: codes,
};
