/** `selvedge logs`: access and server log lines, as they are written. */
import { type CommandContext, type CommandSpec, UsageError } from '../command.ts';
import { placeOf, withControl } from '../target.ts';

const KINDS = ['access', 'server', 'all'];
const LEVELS: readonly (readonly [from: number, name: string])[] = [
  [60, 'fatal'],
  [50, 'error'],
  [40, 'warn'],
  [30, 'info'],
];

const DEFAULT_LINES = '100';
/** Option → parameter of the Control API. */
const FILTERS = [
  ['status', 'status'],
  ['match', 'match'],
  ['request', 'requestId'],
] as const;
/** Without any of these, the lines of all environments are shown. */
const NAMING = ['project', 'environment', 'site', 'branch'];

/** A line of the access log (`timestamp`) or of the server log (`time`), as it stands in the file. */
export type LogRecord = Readonly<Record<string, unknown>>;

async function logs(context: CommandContext): Promise<undefined> {
  const query = await queryOf(context);
  const asJson = context.flag('json');
  await withControl(context, async (control) => {
    for await (const line of control.lines(`/v1/logs?${query}`)) {
      context.io.out(`${asJson ? JSON.stringify(line) : logLine(line as LogRecord)}\n`);
    }
  });
}

async function queryOf(context: CommandContext): Promise<URLSearchParams> {
  const { text, flag } = context;
  const kind = text('kind') ?? 'all';
  if (!KINDS.includes(kind)) throw new UsageError(`--kind must be one of ${KINDS.join(', ')}, not '${kind}'`);
  const lines = text('lines') ?? DEFAULT_LINES;
  if (!/^([0-9]+|all)$/.test(lines)) throw new UsageError(`--lines must be a number or all, not '${lines}'`);
  const query = new URLSearchParams({ kind });
  if (flag('follow')) query.set('follow', '1');
  if (lines !== 'all') query.set('lines', lines);
  for (const [option, parameter] of FILTERS) if (text(option) !== undefined) query.set(parameter, text(option)!);
  if (NAMING.some((option) => text(option) !== undefined)) {
    const { project, environment } = await placeOf(context);
    query.set('environment', `${project}-${environment}`);
  }
  return query;
}

/** One line for people; the whole record is what `--json` is for. */
export function logLine(record: LogRecord): string {
  const parts = 'timestamp' in record ? accessParts(record) : serverParts(record);
  return parts.filter((part) => part !== undefined && part !== '').join(' ');
}

function accessParts(record: LogRecord): unknown[] {
  const { timestamp, code, xcode, fault, met, hh, url, cs, rid } = record;
  // What failed is worth a question; the next command stands ready.
  const id = fault === undefined ? rid : `selvedge why ${rid}`;
  return [time(timestamp), code ?? '---', xcode !== code && xcode, fault, met, `${hh ?? ''}${url ?? ''}`, cs, id].map(
    (part) => (part === false ? undefined : part),
  );
}

function serverParts(record: LogRecord): unknown[] {
  const level = LEVELS.find(([from]) => Number(record.level) >= from)?.[1] ?? 'debug';
  return [time(record.time), level, record.fn, record.requestId, record.message];
}

function time(value: unknown): string {
  const at = new Date(Number(value));
  return Number.isNaN(at.getTime()) ? '-' : at.toISOString().slice(11, 23);
}

export const LOGS: CommandSpec = {
  name: 'logs',
  summary: 'show access and server logs',
  options: [
    { flags: '-f, --follow', description: 'wait for further lines' },
    { flags: '--kind <kind>', description: 'access, server or all (default)' },
    { flags: '-n, --lines <number>', description: 'how many of the newest lines to start with, or all; default 100' },
    { flags: '--status <code>', description: 'only answers with this status, such as 534 or 5xx' },
    { flags: '--match <expression>', description: 'only lines in which the expression matches' },
    { flags: '--request <id>', description: 'only lines of one request' },
  ],
  takes: ['control', 'environment', 'json'],
  run: logs,
};
