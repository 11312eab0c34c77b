/** `selvedge limits`: what an environment has of its own over the limits of the installation. */
import { limitRow } from '../../config/limits.ts';
import type { LimitOverrides } from '../../config/overrides.ts';
import { OVERRIDABLE } from '../../config/overrides.ts';
import { type CommandContext, type CommandSpec, UsageError } from '../command.ts';
import { columnsOr } from '../table.ts';
import { pathOf, placeOf, withControl } from '../target.ts';
import { warn } from '../warn.ts';

interface Changed {
  readonly limits: LimitOverrides;
  readonly warnings: readonly string[];
}

async function change(context: CommandContext, key: string, value: number | string | null): Promise<Changed> {
  const path = pathOf(await placeOf(context));
  const body = { limits: { [key]: value } };
  const answer = await withControl(context, (control) => control.call<Changed>('PATCH', path, body));
  warn(context, answer.warnings);
  return answer;
}

async function set(context: CommandContext): Promise<undefined> {
  const [key = '', value = ''] = context.args[0]!.split('=', 2);
  if (value === '') throw new UsageError(`'${context.args[0]}' must be written LIMIT=VALUE`);
  const { limits } = await change(context, key, /^[0-9.]+$/.test(value) ? Number(value) : value);
  context.print({ limits }, `${key} is ${limits[key]} ${limitRow(key as never).unit} in this environment`);
}

async function unset(context: CommandContext): Promise<undefined> {
  const key = context.args[0]!;
  const { limits } = await change(context, key, null);
  context.print({ limits }, `${key} is that of the installation again`);
}

async function list(context: CommandContext): Promise<undefined> {
  const path = pathOf(await placeOf(context));
  const { limits } = await withControl(context, (control) => control.call<Changed>('GET', path));
  const rows = Object.entries(limits).map(([key, value]) => [key, String(value)]);
  const nothing = `no limits of its own; it may have ${OVERRIDABLE.join(', ')}`;
  context.print({ limits }, columnsOr(nothing, ['LIMIT', 'VALUE'], rows));
}

const takes = ['control', 'environment', 'json'] as const;

export const LIMITS_COMMANDS: readonly CommandSpec[] = [
  { name: 'limits set', args: ['<LIMIT=VALUE>'], summary: 'give the environment a limit of its own', takes, run: set },
  { name: 'limits unset', args: ['<LIMIT>'], summary: 'go back to the limit of the installation', takes, run: unset },
  { name: 'limits list', summary: "list the environment's own limits", takes, isDefault: true, run: list },
];
