/** `selvedge lab`: every failure of the platform, provoked for real on this machine, beside what the table says of it. */
import { nearest } from '../../config/near.ts';
import type { RequestView } from '../../control/contract.ts';
import type { LabCase } from '../../lab/case.ts';
import type { Lab, Played } from '../../lab/lab.ts';
import { type CommandContext, CommandFailed, type CommandSpec, UsageError } from '../command.ts';
import { createProgress, type Progress } from '../progress.ts';
import { columns } from '../table.ts';

/** Brings along a certificate authority and a name server, which no other command needs. */
const theLab = async () => ({
  ...(await import('../../lab/lab.ts')),
  ...(await import('../../lab/cases/index.ts')),
  ...(await import('../../lab/case.ts')),
  ...(await import('../../lab/report.ts')),
});
type LabModule = Awaited<ReturnType<typeof theLab>>;

async function lab(context: CommandContext): Promise<number> {
  const room = await theLab();
  const cases = wanted(context, room);
  if (context.flag('list')) {
    const described = cases.map(room.describeCase);
    const rows = described.map(({ code, variant, cause, hop, how }) => [String(code), variant, cause, hop, how]);
    context.print({ cases: described }, columns([['code', 'variant', 'cause', 'hop', 'what is done'], ...rows]));
    return 0;
  }
  const progress = createProgress(context.io);
  const played = await untilInterrupted((interrupted) => playAll(cases, room, progress, interrupted));
  progress.done();
  const failed = played.filter(({ verdict }) => verdict.differences.length > 0).length;
  const [only] = played;
  const human = played.length === 1 && only ? only.explained : table(played, room, failed);
  context.print(
    {
      cases: played.map((one) => ({ ...room.playedAsJson(one), ...(one.view ? { story: one.view } : {}) })),
      total: played.length,
      failed,
    },
    human,
  );
  return failed === 0 ? 0 : 1;
}

function wanted({ args, text }: CommandContext, { CASES, findCases, codeOf }: LabModule): readonly LabCase[] {
  const codes = [...new Set(CASES.map(codeOf))].sort((a, b) => a - b);
  const [code] = args;
  const variant = text('variant');
  if (code === undefined) {
    if (variant !== undefined) throw new UsageError('--variant needs a code: selvedge lab 533 --variant expired');
    return CASES;
  }
  const ofCode = findCases(Number(code));
  if (ofCode.length === 0) {
    throw new CommandFailed(`the lab has no code '${code}'${meant(code, codes.map(String))}`, [
      `codes: ${codes.join(', ')}`,
    ]);
  }
  const found = variant === undefined ? ofCode : findCases(Number(code), variant);
  if (found.length > 0) return found;
  const variants = ofCode.map((it) => it.variant);
  throw new CommandFailed(`${code} has no variant '${variant}'${meant(variant!, variants)}`, [
    `variants: ${variants.join(', ')}`,
  ]);
}

function meant(wrong: string, known: readonly string[]): string {
  const near = nearest(wrong, known);
  return near === undefined ? '' : `; did you mean '${near}'?`;
}

type Told = Played & { readonly explained: readonly string[]; readonly view: RequestView | null };

async function playAll(
  cases: readonly LabCase[],
  { openLab, explain }: LabModule,
  progress: Progress,
  interrupted: (close: () => Promise<void>) => void,
): Promise<readonly Told[]> {
  progress.show('start', `the platforms and peers of ${cases.length} cases`);
  await using open: Lab = await openLab({ cases, onOpening: (opening) => interrupted(() => opening.close()) });
  let done = 0;
  const all = await open.playAll(() => progress.show('play', `${++done} of ${cases.length}`));
  const order = new Map(cases.map((it, at) => [it, at]));
  const sorted = [...all].sort((a, b) => order.get(a.case)! - order.get(b.case)!);
  const [only] = sorted;
  const [story, view] = sorted.length === 1 && only ? await Promise.all([open.why(only), open.view(only)]) : ['', null];
  const told = story.trimEnd().split('\n');
  return sorted.map((played) => ({ ...played, view, explained: [...explain(played), '', ...told] }));
}

function table(played: readonly Told[], { TABLE_HEAD, tableRow }: LabModule, failed: number): string[] {
  const differences = played.flatMap(({ case: it, verdict }) =>
    verdict.differences.map((difference) => `  ${verdict.expected.code} ${it.variant}: ${difference}`),
  );
  const sum = failed === 0 ? `all ${played.length} as expected` : `${failed} of ${played.length} differ:`;
  return [...columns([[...TABLE_HEAD], ...played.map(tableRow)]), '', sum, ...differences];
}

/** Ctrl-C ends every process of the lab first. What was being played then waits for what is gone, so nobody waits for it. */
async function untilInterrupted<Result>(
  work: (onClose: (close: () => Promise<void>) => void) => Promise<Result>,
): Promise<Result> {
  let close: () => Promise<void> = async () => {};
  const interrupt = (): void => void close().finally(() => process.exit(INTERRUPTED));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    return await work((how) => {
      close = how;
    });
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

/** As a shell tells it of a program that Ctrl-C ended. */
const INTERRUPTED = 130;

export const LAB: CommandSpec = {
  name: 'lab',
  args: ['[code]'],
  summary: 'provoke every failure of the platform, for real, and compare it with what the table says',
  options: [
    { flags: '--variant <name>', description: 'one way to provoke the code; it is explained in words' },
    { flags: '--list', description: 'what can be provoked' },
  ],
  takes: ['json'],
  run: lab,
};
