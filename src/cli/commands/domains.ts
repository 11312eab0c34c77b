/** `selvedge domains`: host names that lead to an environment. */
import type { DomainList } from '../../control/contract.ts';
import type { DomainRecord } from '../../control/store.ts';
import type { CommandContext, CommandSpec } from '../command.ts';
import { columnsOr, shortTime } from '../table.ts';
import { pathOf, placeOf, withControl } from '../target.ts';
import { warn } from '../warn.ts';

type Added = DomainRecord & { readonly url: string; readonly warnings: readonly string[] };

async function add(context: CommandContext): Promise<undefined> {
  const place = await placeOf(context);
  const host = encodeURIComponent(context.args[0]!);
  const added = await withControl(context, (control) => control.call<Added>('PUT', `${pathOf(place)}/domains/${host}`));
  warn(context, added.warnings);
  context.print(added, `${added.host} leads to ${place.project}, environment ${place.environment}: ${added.url}`);
}

async function remove(context: CommandContext): Promise<undefined> {
  const place = await placeOf(context);
  const host = encodeURIComponent(context.args[0]!);
  const removed = await withControl(context, (control) =>
    control.call<Pick<Added, 'host' | 'warnings'>>('DELETE', `${pathOf(place)}/domains/${host}`),
  );
  warn(context, removed.warnings);
  context.print(removed, `${removed.host} leads nowhere any more`);
}

async function list(context: CommandContext): Promise<undefined> {
  const path = `${pathOf(await placeOf(context))}/domains`;
  const answer = await withControl(context, (control) => control.call<DomainList>('GET', path));
  const rows = answer.domains.map(({ host, createdAt, url }) => [host, shortTime(createdAt), url]);
  context.print(answer, columnsOr('no custom domains', ['DOMAIN', 'SINCE', 'ADDRESS'], rows));
}

const takes = ['control', 'environment', 'json'] as const;

export const DOMAINS: readonly CommandSpec[] = [
  { name: 'domains add', args: ['<name>'], summary: 'let a host name lead to the environment', takes, run: add },
  { name: 'domains remove', args: ['<name>'], summary: 'take a host name away', takes, run: remove },
  { name: 'domains list', summary: 'list the custom domains of the environment', takes, isDefault: true, run: list },
];
