/** All that the tables know of one cause, in one record: `selvedge codes` and docs/status-codes.md show it. */
import { CAUSE_LIMITS, causeText } from './cause-texts.ts';
import type { Actor, Cause, Phase, ProxyError } from './causes.ts';
import { Fault } from './fault.ts';
import { standardStatus } from './proxy-status.ts';

export interface CauseRecord {
  readonly cause: Cause;
  readonly code: number;
  /** What happened, in one sentence. */
  readonly text: string;
  readonly phase: Phase;
  /** Who acts, where evidence does not say better. */
  readonly acts: Actor;
  /** RFC 9209 error type. */
  readonly proxyStatus: ProxyError;
  /** Coarse token in `details`, unless the failure has a more exact one. */
  readonly details?: string;
  /** Key of the limit that is breached. */
  readonly limit?: string;
  /** What is sent with `codes.style: standard`. */
  readonly standardStatus: number;
}

export function describeCause(cause: Cause): CauseRecord {
  const fault = new Fault({ cause, hop: 'edge' });
  const { code, phase, acts, proxyError, details } = fault;
  const limit = CAUSE_LIMITS[cause];
  return {
    ...{ cause, code, text: causeText(cause) ?? '', phase, acts, proxyStatus: proxyError },
    ...(details === undefined ? {} : { details }),
    ...(limit === undefined ? {} : { limit }),
    standardStatus: standardStatus(fault),
  };
}
