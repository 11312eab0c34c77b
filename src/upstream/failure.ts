/**
 * A failure in one phase of a dialled exchange, before it is known which leg and hop it belongs to. The trail of a
 * call turns it into a `Fault`: the stage is the same on both legs, only the cause table knows the codes.
 */
import type { Clock } from '../base/clock.ts';
import { type Leg, type LegStage, legCause } from '../status/causes.ts';
import { asFault, Fault, type FaultInit, type Hop } from '../status/fault.ts';
import type { Attempt } from './types.ts';

export interface FailureInfo extends Pick<FaultInit, 'details' | 'parameters' | 'evidence' | 'error'> {}

export class StageFailure extends Error {
  readonly stage: LegStage;
  readonly info: FailureInfo;

  constructor(stage: LegStage, info: FailureInfo = {}) {
    super(info.details === undefined ? stage : `${stage} (${info.details})`, { cause: info.error });
    this.name = 'StageFailure';
    this.stage = stage;
    this.info = info;
  }
}

/** `code` of a Node error, such as `ECONNREFUSED`, or undefined. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** The attempts of one call, in order, and the faults made of what went wrong. */
export class Trail {
  readonly attempts: Attempt[];
  readonly #leg: Leg;
  readonly #hop: Hop;
  readonly #clock: Clock;

  constructor(leg: Leg, hop: Hop, clock: Clock, attempts: Attempt[] = []) {
    this.#leg = leg;
    this.#hop = hop;
    this.#clock = clock;
    this.attempts = attempts;
  }

  /** Begins now, unless it is known to have begun earlier. */
  begin(attempt: Omit<Attempt, 'startedMs'> & { readonly startedMs?: number }): Attempt {
    const begun: Attempt = { ...attempt, startedMs: attempt.startedMs ?? this.#clock.monotonicMs() };
    this.attempts.push(begun);
    return begun;
  }

  /** Anything thrown as a fault; what is neither a stage failure nor a fault is a hole in our own code, so 530. */
  fault(error: unknown): Fault {
    return error instanceof StageFailure ? this.#make(error, error.info.evidence) : asFault(error, this.#hop);
  }

  /** The fault that leaves the room, with all attempts as evidence. */
  finalFault(error: unknown): Fault {
    if (!(error instanceof StageFailure)) return asFault(error, this.#hop);
    return this.#make(error, { ...error.info.evidence, attempts: this.attempts });
  }

  #make(failure: StageFailure, evidence: FailureInfo['evidence']): Fault {
    return new Fault({ ...failure.info, cause: legCause(this.#leg, failure.stage), hop: this.#hop, evidence });
  }
}
