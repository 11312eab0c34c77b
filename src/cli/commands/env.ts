/** `selvedge env`: the variables that project code sees. */
import { readFileSync } from 'node:fs';
import type { VariableList, VariableView } from '../../control/contract.ts';
import { type CommandContext, type CommandSpec, UsageError } from '../command.ts';
import { columnsOr, shortTime } from '../table.ts';
import { pathOf, placeOf, withControl } from '../target.ts';
import { warn } from '../warn.ts';

type Changed<Body> = Body & { readonly warnings: readonly string[] };

async function set(context: CommandContext): Promise<undefined> {
  const { name, value } = assignment(context.args[0]!);
  const path = `${pathOf(await placeOf(context))}/variables/${encodeURIComponent(name)}`;
  const body = { value, secret: context.flag('secret') };
  const answer = await withControl(context, (control) => control.call<Changed<VariableView>>('PUT', path, body));
  warn(context, answer.warnings);
  context.print(answer, `${name} is set${answer.secret ? ' and will not be shown again' : ''}`);
}

/** `NAME=VALUE`; `NAME=-` reads the value from standard input, so that a secret need not be in a shell's history. */
function assignment(text: string): { readonly name: string; readonly value: string } {
  const at = text.indexOf('=');
  if (at <= 0) throw new UsageError(`'${text}' must be written NAME=VALUE`);
  const value = text.slice(at + 1);
  return { name: text.slice(0, at), value: value === '-' ? readFileSync(0, 'utf8').replace(/\r?\n$/, '') : value };
}

async function unset(context: CommandContext): Promise<undefined> {
  const name = context.args[0]!;
  const path = `${pathOf(await placeOf(context))}/variables/${encodeURIComponent(name)}`;
  const answer = await withControl(context, (control) => control.call<Changed<{ name: string }>>('DELETE', path));
  warn(context, answer.warnings);
  context.print(answer, `${name} is not set any more`);
}

async function list(context: CommandContext): Promise<undefined> {
  const path = `${pathOf(await placeOf(context))}/variables`;
  const answer = await withControl(context, (control) => control.call<VariableList>('GET', path));
  const rows = answer.variables.map((it) => [it.name, it.value ?? '(secret)', shortTime(it.updatedAt)]);
  context.print(answer, columnsOr('no variables', ['NAME', 'VALUE', 'CHANGED'], rows));
}

const takes = ['control', 'environment', 'json'] as const;
const SECRET = { flags: '--secret', description: 'never show the value again' };

export const ENV: readonly CommandSpec[] = [
  {
    name: 'env set',
    args: ['<NAME=VALUE>'],
    summary: 'set a variable (NAME=- reads the value from standard input)',
    options: [SECRET],
    takes,
    run: set,
  },
  { name: 'env unset', args: ['<NAME>'], summary: 'remove a variable', takes, run: unset },
  { name: 'env list', summary: 'list the variables of the environment', takes, isDefault: true, run: list },
];
