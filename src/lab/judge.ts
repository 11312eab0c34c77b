/** What was seen against what the cause table says: at the client, in the standard fields, and in the access log. */
import { parseProxyStatus } from '../status/proxy-status.ts';
import { type Expected, expectedOf, type LabCase } from './case.ts';
import type { LogLine } from './log-book.ts';
import { fieldOf, type Seen } from './seen.ts';

export interface Verdict {
  readonly expected: Expected;
  readonly requestId: string;
  /** Code that was got, from the status line or, after the head, from the log; null: none. */
  readonly got: number | null;
  /** Hop and cause that the log names. */
  readonly hop: string | null;
  readonly cause: string | null;
  /** One line for each difference; none: as expected. */
  readonly differences: readonly string[];
}

export function judge(it: LabCase, seen: Seen, lines: readonly LogLine[], requestId: string): Verdict {
  const expected = expectedOf(it);
  const differences: string[] = [];
  const same = (what: string, got: unknown, wanted: unknown): void => {
    if (got !== wanted) differences.push(`${what} is ${show(got)}, not ${show(wanted)}`);
  };
  if (it.afterHead) judgeCut(seen, same);
  else if (it.passedOn) same('the status', seen.status, expected.code);
  else judgeAnswer(seen, expected, same);
  const line = lines.find((one) => one.xcode !== undefined) ?? lines[0];
  if (line === undefined) differences.push('the access log has no line of the request');
  else judgeLine(line, it, expected, same);
  const told = line?.xcode === undefined ? null : Number(line.xcode);
  return {
    expected,
    requestId,
    got: it.afterHead ? told : seen.status,
    hop: text(line?.hop),
    cause: text(line?.fault),
    differences,
  };
}

type Same = (what: string, got: unknown, wanted: unknown) => void;

function judgeAnswer(seen: Seen, expected: Expected, same: Same): void {
  same('the status', seen.status, expected.code);
  if (seen.status === null) return;
  same('the answer was complete, which', seen.complete, true);
  same('x-sv-error', fieldOf(seen, 'x-sv-error'), String(expected.code));
  same('cache-control', fieldOf(seen, 'cache-control'), 'no-store');
  same('cache-status', fieldOf(seen, 'cache-status'), undefined);
  const [raised] = parseProxyStatus(fieldOf(seen, 'proxy-status') ?? '');
  same('error of Proxy-Status', raised?.error, expected.error);
  const atEdge = expected.hop === 'client' || expected.hop === 'edge';
  same('POP of Proxy-Status', raised?.identity, atEdge ? 'edge-lab' : 'global-lab');
  same('code in the details', raised?.details?.startsWith(String(expected.code)), true);
  const details = raised?.details ?? '';
  if (!details.includes(expected.details)) same('details', details, expected.details);
  if (fieldOf(seen, 'content-type') === 'application/problem+json') judgeProblem(seen, expected, same);
}

function judgeProblem(seen: Seen, expected: Expected, same: Same): void {
  const problem = JSON.parse(seen.body.toString() || '{}') as Record<string, unknown>;
  same('code of the page', problem.code, expected.code);
  same('phase of the page', problem.phase, expected.phase);
  same('hop of the page', problem.hop, expected.hop);
}

/** The head was good or was lost with the connection; what follows it must not look complete. */
function judgeCut(seen: Seen, same: Same): void {
  if (seen.status !== null) same('the status', seen.status, 200);
  same('x-sv-error', fieldOf(seen, 'x-sv-error'), undefined);
  same('the body was complete, which', seen.complete, false);
}

function judgeLine(line: LogLine, it: LabCase, expected: Expected, same: Same): void {
  same('xcode in the log', line.xcode, String(expected.code));
  same('fault in the log', line.fault, expected.cause);
  same('hop in the log', line.hop, expected.hop);
  same('act in the log', line.act, expected.acts);
  if (it.afterHead) same('done in the log', line.done, '0');
}

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null);
const show = (value: unknown): string => (value === undefined ? 'absent' : JSON.stringify(value));
