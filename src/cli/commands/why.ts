/** `selvedge why`: the story of one request, or with `--last` the newest failures. */
import type { RequestSummary, RequestView } from '../../control/contract.ts';
import { type CommandContext, CommandFailed, type CommandSpec, UsageError } from '../command.ts';
import { columns } from '../table.ts';
import { placeOf, withControl } from '../target.ts';
import { duration, pageFor, shown } from '../why/paint.ts';
import { tell } from '../why/tell.ts';

async function why(context: CommandContext): Promise<undefined> {
  const [id] = context.args;
  if (id === undefined && !context.flag('last') && context.text('code') === undefined) {
    throw new UsageError(
      'name a request id (every answer has it in x-sv-request-id), or use --last for the newest failures',
    );
  }
  if (id !== undefined && context.flag('last')) throw new UsageError('--last lists requests; it takes no request id');
  await (id === undefined ? list(context) : one(context, id));
}

async function one(context: CommandContext, id: string): Promise<void> {
  const view = await withControl(context, (control) =>
    control.call<RequestView>('GET', `/v1/requests/${encodeURIComponent(id)}`),
  );
  const page = pageFor(context.io.columns, context.io.env);
  const [newest, ...others] = view.tellings;
  if (!newest) throw new CommandFailed(`nothing is known of ${id}`);
  const told = context.flag('all') ? view.tellings : [newest];
  const hint = others.length > 0 && !context.flag('all') ? ['', page.dim(moreUses(view))] : [];
  context.print(view, [
    ...told.flatMap((telling, at) => [...(at > 0 ? ['', ''] : []), ...tell(telling, page)]),
    ...hint,
  ]);
}

const moreUses = ({ tellings }: RequestView): string =>
  `The newest of ${tellings.length} requests with this id, which a client chose; --all tells every one.`;

async function list(context: CommandContext): Promise<void> {
  const query = new URLSearchParams();
  for (const [option, parameter] of [
    ['code', 'code'],
    ['limit', 'limit'],
  ] as const) {
    const value = context.text(option);
    if (value !== undefined) query.set(parameter, value);
  }
  if (['project', 'environment', 'site', 'branch'].some((option) => context.text(option) !== undefined)) {
    const { project, environment } = await placeOf(context);
    query.set('environment', `${project}-${environment}`);
  }
  const answer = await withControl(context, (control) =>
    control.call<{ requests: RequestSummary[] }>('GET', `/v1/requests?${query}`),
  );
  const { requests } = answer;
  const rows = requests.map((it) => [
    new Date(it.atMs).toISOString().slice(0, 19).replace('T', ' '),
    String(it.code ?? it.status ?? '---'),
    it.cause ?? it.end,
    it.acts ?? '',
    duration(it.durationMs),
    it.requestId,
    shown(`${it.method} ${it.host}${it.url}`).slice(0, 100),
  ]);
  context.print(answer, rows.length === 0 ? ['no such request is known'] : columns(rows));
}

export const WHY: CommandSpec = {
  name: 'why',
  args: ['[request-id]'],
  summary: 'tell what happened to a request, and whose move it is',
  options: [
    { flags: '--last', description: 'the newest failures instead of one request' },
    { flags: '--code <code>', description: 'with --last: only this status or code, such as 536 or 5xx' },
    { flags: '-n, --limit <number>', description: 'with --last: how many; default 20' },
    { flags: '--all', description: 'every request that used the id, not only the newest' },
  ],
  takes: ['control', 'environment', 'json'],
  run: why,
};
