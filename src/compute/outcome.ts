/**
 * How a worker run ended, as a fault: the one place where reports, exit codes, signals and memory evidence become
 * a cause. Memory evidence wins over everything, a report over an exit code.
 */
import type { Cause } from '../status/causes.ts';
import { Fault } from '../status/fault.ts';
import type { GuestFault } from './ipc.ts';

/** Why the platform ended a process itself. */
export type KillReason = 'deadline' | 'memory' | 'load-timeout' | 'stop';

/** All that is known about a process that is gone. */
export interface WorkerEnd {
  readonly wi: string;
  readonly code: number | null;
  readonly signal: string | null;
  /** Set when we did it. */
  readonly killed?: KillReason;
  /** Its last words over IPC. */
  readonly report?: GuestFault;
  /** The request whose code they are about, where that is known. */
  readonly reportToken?: string;
  /** Loading took too long: what it was waiting for. */
  readonly late?: Fault;
  /** The app command ended, and the worker with it. */
  readonly app?: { readonly code: number | null; readonly signal: string | null };
  /** Last part of its standard error. */
  readonly stderr: string;
  /** The kernel killed something of ours for want of memory. */
  readonly cgroupKill: boolean;
  /** Whether project code had been reached. */
  readonly phase: 'boot' | 'load' | 'serve';
  readonly spawnError?: Error;
}

const HEAP_EXHAUSTED = /JavaScript heap out of memory|Reached heap limit|invalid table size/;
const ALLOCATION_FAILED = /Array buffer allocation failed|Failed to allocate memory|Invalid array buffer length/;
const NETWORK = /^(E(CONN|HOST|NET|TIMEDOUT|PIPE|AI_)|ENOTFOUND|UND_ERR_)/;

const REPORTED = {
  uncaught: 'compute.uncaught',
  'unhandled-rejection': 'compute.unhandled-rejection',
  malformed: 'compute.malformed',
  'load-failed': 'compute.load-failed',
  platform: 'compute.uncaught',
} as const satisfies Record<GuestFault['kind'], Cause>;

export function endFault(end: WorkerEnd, projectCrashed: 534 | 549): Fault {
  const evidence = {
    worker: end.wi,
    code: end.code,
    signal: end.signal,
    killed: end.killed,
    stderr: end.stderr || undefined,
  };
  const fault = (cause: Cause, details?: string) =>
    new Fault({ cause, hop: 'compute', details, evidence, error: end.spawnError });
  const memory = memoryDetails(end);
  if (memory) return fault('compute.memory', memory);
  if (end.late) return end.late;
  if (end.killed === 'stop') return fault('platform.draining');
  if (end.report) return reportFault(end.report, end.wi);
  if (end.phase === 'boot') return fault('platform.internal');
  const how = exitDetails(end.app ?? end);
  if (end.phase === 'load') return fault('compute.load-failed', `load-failed ${how}`);
  return fault(projectCrashed === 549 ? 'compute.crashed' : 'compute.exited', how);
}

function memoryDetails(end: WorkerEnd): string | undefined {
  if (end.killed === 'memory') return 'oom rss';
  if (end.killed) return undefined;
  if (HEAP_EXHAUSTED.test(end.stderr)) return 'oom heap';
  if (end.report && isAllocationFailure(end.report)) return 'oom buffers';
  return end.signal === 'SIGKILL' && end.cgroupKill ? 'oom cgroup' : undefined;
}

const isAllocationFailure = ({ name, message, code }: GuestFault): boolean =>
  code === 'ERR_MEMORY_ALLOCATION_FAILED' || (name === 'RangeError' && ALLOCATION_FAILED.test(message));

const exitDetails = ({ code, signal }: { code: number | null; signal: string | null }): string =>
  signal ? `signal=${signal}` : `exit code=${code}`;

/** What the guest told before it died or instead of answering. */
export function reportFault(report: GuestFault, wi: string): Fault {
  const { message, stack, code, name } = report;
  const cause = isAllocationFailure(report) ? 'compute.memory' : REPORTED[report.kind];
  const details = cause === 'compute.memory' ? 'oom buffers' : networkDetails(report);
  return new Fault({ cause, hop: 'compute', details, evidence: { worker: wi, message, stack, code, name } });
}

/** A network failure that project code did not handle is its own failure, but the cause helps to find it. */
const networkDetails = ({ kind, code }: GuestFault): string | undefined =>
  code && NETWORK.test(code) && kind !== 'malformed' ? `${kind} ${code}` : undefined;
