/** `/v1/lab`: failures on demand. Who provokes them is injected; where nobody does, there is no lab. */
import type { LabCaseView, LabRunLine } from './contract.ts';
import type { Reply } from './listener.ts';
import { invalidField, notFound } from './problem.ts';

export interface LabSource {
  cases(): Promise<readonly LabCaseView[]>;
  /** Plays cases one after the other on a platform of their own; ends when `signal` fires. */
  run(wanted: LabOrder, signal: AbortSignal): AsyncIterable<LabRunLine>;
}

export interface LabOrder {
  readonly code: number;
  /** Undefined: all of the code. */
  readonly variant?: string;
}

export async function labCases(lab: LabSource | undefined): Promise<Reply> {
  return { json: { cases: await present(lab).cases() } };
}

/** Throws a 422 `Problem` for what is no case. */
export async function labRun(
  lab: LabSource | undefined,
  body: Readonly<Record<string, unknown>>,
  signal: AbortSignal,
): Promise<Reply> {
  const source = present(lab);
  const { code, variant } = body;
  const ofCode = (await source.cases()).filter((it) => it.code === code);
  if (typeof code !== 'number' || ofCode.length === 0)
    throw invalidField('code', 'must be a code that GET /v1/lab lists');
  if (variant === undefined) return { lines: source.run({ code }, signal) };
  if (typeof variant !== 'string' || !ofCode.some((it) => it.variant === variant)) {
    throw invalidField('variant', `must be one of ${ofCode.map((it) => it.variant).join(', ')}`);
  }
  return { lines: source.run({ code, variant }, signal) };
}

function present(lab: LabSource | undefined): LabSource {
  if (lab === undefined) throw notFound('this control plane has no lab');
  return lab;
}
