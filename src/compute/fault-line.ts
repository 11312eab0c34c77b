/** Failures of project code as lines of the server log, so that its developer sees the same evidence as an operator. */
import type { Fault } from '../status/fault.ts';

const ERROR = 50;
const WARN = 40;

export interface LogLine {
  readonly level: number;
  readonly message: string;
}

/** `539 compute.timeout (upstream-slow): waiting for GET api.example/v1 …`, with the stack where there is one. */
export function faultLine(fault: Fault, repeated: boolean): LogLine {
  const { evidence } = fault;
  const blocked = evidence.blocked as { readonly stack?: string } | undefined;
  const told = [evidence.summary, evidence.stack ?? evidence.message].find((text) => typeof text === 'string');
  const limit = evidence.limit === undefined ? '' : ` [limit ${String(evidence.limit)} = ${String(evidence.value)}]`;
  const end = repeated ? '; repeated on another worker' : '';
  const parts = [`${fault.message}${told === undefined ? '' : `: ${told}`}${limit}${end}`, blocked?.stack];
  return { level: repeated ? WARN : ERROR, message: parts.filter((part) => part !== undefined).join('\n') };
}
