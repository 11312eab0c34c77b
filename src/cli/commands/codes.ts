/** `selvedge codes`: the status catalogue at hand. */
import { type Branding, brandingOf, PRESET_NAMES } from '../../status/branding.ts';
import { ACTORS, type CodeDescription, describeCode, describeCodes, fillNames } from '../../status/catalogue.ts';
import { type CommandContext, CommandFailed, type CommandSpec, UsageError } from '../command.ts';
import { columns } from '../table.ts';

async function codes(context: CommandContext): Promise<undefined> {
  const [wanted] = context.args;
  const branding = brandingFrom(context.text('preset'));
  if (wanted === undefined) {
    const all = describeCodes(branding);
    context.print({ codes: all }, columns(all.map((it) => [String(it.code), it.name, it.raisedBy])));
    return;
  }
  if (!/^[1-5][0-9]{2}$/.test(wanted)) throw new UsageError(`'${wanted}' is no status code`);
  const entry = describeCode(Number(wanted), branding);
  if (!entry) throw new CommandFailed(`${wanted} is never sent by the platform itself: it comes from the project`);
  context.print(entry, page(entry, branding));
}

function brandingFrom(preset: string | undefined): Branding {
  const known = PRESET_NAMES.find((name) => name === (preset ?? PRESET_NAMES[0]));
  if (known === undefined) throw new UsageError(`--preset must be one of ${PRESET_NAMES.join(', ')}, not '${preset}'`);
  return brandingOf(known);
}

function page(entry: CodeDescription, branding: Branding): string[] {
  return [
    `${entry.code} ${entry.name}`,
    '',
    entry.description,
    '',
    `Raised by:  ${entry.raisedBy}`,
    ...entry.acts.map((actor, at) => `${at === 0 ? 'Who acts:' : '         '}   ${fillNames(ACTORS[actor], branding)}`),
    `What to do: ${entry.remedy}`,
    `It is not:  ${entry.not}`,
    '',
    ...entry.examples.map((example) => `  - ${example}`),
  ];
}

export const CODES_COMMAND: CommandSpec = {
  name: 'codes',
  args: ['[code]'],
  summary: 'explain the status codes that the platform sends',
  options: [{ flags: '--preset <name>', description: 'with the header and cookie names of a branding preset' }],
  takes: ['json'],
  run: codes,
};
