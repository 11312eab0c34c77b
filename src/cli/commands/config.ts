/** `selvedge config`: the configuration of the platform, checked and complete, and what can stand in it. */
import { loadConfig } from '../../config/load.ts';
import { OPTIONS, optionsHelp } from '../../config/options.ts';
import type { CommandContext, CommandSpec } from '../command.ts';

async function config(context: CommandContext): Promise<undefined> {
  const file = context.args[0] ?? context.text('config');
  const shown = presentable(loadConfig(file === undefined ? {} : { file }), '');
  context.print(shown, JSON.stringify(shown, null, 2));
}

/** Secrets masked, and "no limit" in the word that a file would use. */
function presentable(value: unknown, path: string): unknown {
  if (value !== undefined && OPTIONS.get(path)?.secret === true) return '********';
  if (value === Number.POSITIVE_INFINITY) return 'off';
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, presentable(member, path === '' ? key : `${path}.${key}`)]),
  );
}

export const CONFIG: CommandSpec = {
  name: 'config',
  args: ['[file]'],
  summary: 'check a configuration of the platform and print it complete',
  options: [{ flags: '--config <file>', description: 'the file to check (default: none, prints the defaults)' }],
  takes: ['json'],
  help: optionsHelp,
  run: config,
};
