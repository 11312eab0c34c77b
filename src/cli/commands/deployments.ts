/** `selvedge deployments`, `promote`, `rollback`: what was deployed and what is active. */
import type { Activated, DeploymentList } from '../../control/contract.ts';
import { type CommandContext, type CommandSpec, UsageError } from '../command.ts';
import { columnsOr, shortTime } from '../table.ts';
import { pathOf, placeOf, withControl } from '../target.ts';
import { warn } from '../warn.ts';

async function list(context: CommandContext): Promise<undefined> {
  const path = `${pathOf(await placeOf(context))}/deployments`;
  const answer = await withControl(context, (control) => control.call<DeploymentList>('GET', path));
  const rows = answer.deployments.map((it) => [
    String(it.number),
    it.active ? 'active' : '',
    shortTime(it.createdAt),
    it.url,
  ]);
  context.print(answer, columnsOr('no deployments', ['NUMBER', 'STATE', 'DEPLOYED', 'PERMALINK'], rows));
}

async function promote(context: CommandContext): Promise<undefined> {
  const number = Number(context.args[0]);
  if (!Number.isSafeInteger(number) || number < 1) {
    throw new UsageError(`'${context.args[0]}' is no deployment number; 'selvedge deployments' lists them`);
  }
  const from = context.text('from');
  await activate(context, 'promote', { deployment: number, ...(from === undefined ? {} : { from }) });
}

const rollback = (context: CommandContext): Promise<undefined> => activate(context, 'rollback', {});

async function activate(context: CommandContext, what: 'promote' | 'rollback', body: unknown): Promise<undefined> {
  const path = `${pathOf(await placeOf(context))}/${what}`;
  const { warnings, ...active } = await withControl(context, (it) => it.call<Activated>('POST', path, body));
  warn(context, warnings);
  context.print(active, `deployment ${active.deployment} is active: ${active.url}`);
}

const takes = ['control', 'environment', 'json'] as const;
const FROM = {
  flags: '--from <environment>',
  description: 'take the deployment of another environment of the project',
};

export const DEPLOYMENTS: readonly CommandSpec[] = [
  { name: 'deployments', summary: 'list the deployments of an environment', takes, run: list },
  { name: 'promote', args: ['<number>'], summary: 'make a deployment active', options: [FROM], takes, run: promote },
  { name: 'rollback', summary: 'go back to the deployment that was active before', takes, run: rollback },
];
