/** What a run cost, in the names of the `t` header, for answers and faults alike. */
import { Fault } from '../status/fault.ts';
import type { RunReply } from './ipc.ts';
import type { ComputeTelemetry } from './types.ts';
import type { Worker } from './worker.ts';

/** How a request came to its worker. */
export interface Handover {
  /** When the room was asked, monotonic ms. */
  readonly askedMs: number;
  readonly handedOverMs: number;
  /** 1 at once, 2 when it had to queue. */
  readonly submissions: number;
}

export function telemetry({ askedMs, handedOverMs, submissions }: Handover, nowMs: number): ComputeTelemetry {
  return {
    pt: Math.round(nowMs - askedMs),
    pc: submissions,
    pf: Math.round(nowMs - handedOverMs),
    pq: Math.round(handedOverMs - askedMs),
  };
}

/** App servers report nothing: their time is the time that the platform saw. */
export function workerTelemetry(worker: Worker, handover: Handover, nowMs: number, reply?: RunReply): ComputeTelemetry {
  const base = telemetry(handover, nowMs);
  const wt = reply?.wt ?? base.pf;
  return {
    ...base,
    worker: {
      wi: worker.wi,
      wt,
      wm: reply?.wm ?? worker.residentMiB(),
      wc: worker.served,
      wg: Math.round(nowMs - worker.startedMs),
      wl: Math.round(worker.busyMs) + wt,
      wr: reply?.wr,
      wa: reply?.wa,
      wp: reply?.wp,
      wz: reply?.wz,
      wbt: wt,
      pu: reply?.pu,
      ...(reply?.userTimings ? { userTimings: reply.userTimings } : {}),
    },
  };
}

/** The same fault with more evidence; faults are values. */
export const withEvidence = (fault: Fault, evidence: Readonly<Record<string, unknown>>): Fault =>
  new Fault({
    cause: fault.why,
    hop: fault.hop,
    details: fault.details,
    acts: fault.acts,
    parameters: fault.parameters,
    evidence: { ...fault.evidence, ...evidence },
    error: fault.cause,
  });
