/** `selvedge purge`: what is stored of an environment is fetched anew. */
import { isSurrogateKey, purgePattern } from '../../artifact/purge.ts';
import type { PurgeReceipt, PurgeView } from '../../control/contract.ts';
import { type CommandContext, CommandFailed, type CommandSpec, UsageError } from '../command.ts';
import { pathOf, placeOf, withControl } from '../target.ts';

async function purge(context: CommandContext): Promise<undefined> {
  const order = orderOf(context);
  const place = await placeOf(context);
  const view = await withControl(context, (control) =>
    control.call<PurgeView>('POST', `${pathOf(place)}/purges`, order),
  );
  const late = view.pops.filter(({ state }) => state !== 'done');
  if (order.wait && late.length > 0 && !context.flag('json')) throw notEverywhere(view, late);
  context.print(view, [
    `purge ${view.id} of ${place.project}, environment ${place.environment}: ${order.wait ? 'done' : 'ordered'}`,
    ...(order.wait ? view.pops.map(receiptLine) : []),
  ]);
  if (order.wait && late.length > 0) throw notEverywhere(view, late);
}

function orderOf({ options, flag }: CommandContext) {
  const list = (name: string): string[] => [options[name] ?? []].flat().map(String);
  const paths = list('path');
  const keys = [...list('key'), ...list('surrogateKey')];
  const all = flag('all');
  for (const path of paths) {
    if (purgePattern(path) === null) {
      throw new UsageError(`--path '${path}' must be a path such as '/products/*' or a URL, percent-encoded`);
    }
  }
  for (const key of keys) {
    if (!isSurrogateKey(key)) throw new UsageError(`--key '${key}' must be one surrogate key, without blanks`);
  }
  if (all && paths.length + keys.length > 0)
    throw new UsageError('--all purges everything: leave out --path and --key');
  if (!all && paths.length + keys.length === 0) throw new UsageError('say what to purge: --path, --key or --all');
  return { paths, keys, all, soft: flag('soft'), wait: flag('wait') };
}

const receiptLine = ({ pop, state, error }: PurgeReceipt): string =>
  `  ${pop}: ${state}${error === undefined ? '' : ` (${error})`}`;

const notEverywhere = ({ id }: PurgeView, late: readonly PurgeReceipt[]): CommandFailed =>
  new CommandFailed(`purge ${id} is not confirmed by every POP yet`, late.map(receiptLine));

export const PURGE: CommandSpec = {
  name: 'purge',
  summary: 'fetch anew what is stored of the environment',
  options: [
    { flags: '--path <path...>', description: "what the path or URL matches, '*' standing for anything" },
    { flags: '--key <key...>', description: 'what has the surrogate key' },
    { flags: '--surrogate-key <key...>', description: 'the same as --key', hidden: true },
    { flags: '--all', description: 'everything' },
    { flags: '--soft', description: 'mark it stale instead: it is asked for whether it has changed' },
    { flags: '--wait', description: 'return when no POP serves any of it' },
  ],
  takes: ['control', 'environment', 'json'],
  run: purge,
};
