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
  /** Resident memory when it was last looked at, and its limit. */
  readonly memory?: { readonly bytes: number; readonly limitBytes: number };
  /** The kernel killed something of ours for want of memory. */
  readonly cgroupKill: boolean;
  /** Whether project code had been reached. */
  readonly phase: 'boot' | 'load' | 'serve';
  readonly spawnError?: Error;
}

/** V8's last words, which are followed by an abort; the same words before an ordinary exit are somebody else's. */
const HEAP_EXHAUSTED =
  /JavaScript heap out of memory|Reached heap limit|invalid table size|Fatal process out of memory/;
const NATIVE_EXHAUSTED = /std::bad_alloc|Cannot allocate memory|Out of memory\b/;
const ALLOCATION_FAILED = /Array buffer allocation failed|Failed to allocate memory|Invalid array buffer length/;
/** Ends that want of memory has: aborts and traps of V8, a null pointer, the kernel. */
const FATAL_SIGNALS = new Set(['SIGABRT', 'SIGTRAP', 'SIGILL', 'SIGSEGV', 'SIGBUS', 'SIGKILL']);
/** A wordless end this close to the limit was the limit. */
const AT_LIMIT = 0.9;
const NETWORK = /^(E(CONN|HOST|NET|TIMEDOUT|PIPE|AI_)|ENOTFOUND|UND_ERR_)/;

const REPORTED = {
  uncaught: 'compute.uncaught',
  'unhandled-rejection': 'compute.unhandled-rejection',
  malformed: 'compute.malformed',
  'load-failed': 'compute.load-failed',
  platform: 'compute.uncaught',
  'content-coding': 'compute.upstream-coding',
} as const satisfies Record<GuestFault['kind'], Cause>;

export function endFault(end: WorkerEnd, projectCrashed: 534 | 549): Fault {
  const evidence = {
    worker: end.wi,
    code: end.code,
    signal: end.signal,
    killed: end.killed,
    stderr: end.stderr || undefined,
    memoryMiB: end.memory ? Math.round(end.memory.bytes / 1_048_576) : undefined,
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
  if (end.report) return memoryReport(end.report);
  const { signal, code } = end.app ?? end;
  // A shell in between tells a signal as 128 and its number.
  if (!(signal === null ? (code ?? 0) > 128 : FATAL_SIGNALS.has(signal))) return undefined;
  if (HEAP_EXHAUSTED.test(end.stderr)) return 'oom heap';
  if (NATIVE_EXHAUSTED.test(end.stderr)) return 'oom buffers';
  if (signal === 'SIGKILL' && end.cgroupKill) return 'oom cgroup';
  const { bytes, limitBytes } = end.memory ?? { bytes: 0, limitBytes: 1 };
  return bytes >= limitBytes * AT_LIMIT ? 'oom rss' : undefined;
}

/** Of an error that says that memory ran out. */
function memoryReport(report: GuestFault): string | undefined {
  if (report.code === 'ERR_WORKER_OUT_OF_MEMORY') return 'oom heap';
  return isAllocationFailure(report) ? 'oom buffers' : undefined;
}

const isAllocationFailure = ({ name, message, code }: GuestFault): boolean =>
  code === 'ERR_MEMORY_ALLOCATION_FAILED' || (name === 'RangeError' && ALLOCATION_FAILED.test(message));

const exitDetails = ({ code, signal }: { code: number | null; signal: string | null }): string =>
  signal ? `signal=${signal}` : `exit code=${code}`;

/** What the guest told before it died or instead of answering. */
export function reportFault(report: GuestFault, wi: string): Fault {
  const { message, stack, code, name, coding } = report;
  const memory = memoryReport(report);
  const cause = memory ? 'compute.memory' : REPORTED[report.kind];
  const details = memory ?? networkDetails(report);
  const parameters: Record<string, string> = coding === undefined ? {} : { coding };
  const evidence = { worker: wi, message, stack, code, name };
  return new Fault({ cause, hop: 'compute', details, parameters, evidence });
}

/** A network failure that project code did not handle is its own failure, but the cause helps to find it. */
const networkDetails = ({ kind, code }: GuestFault): string | undefined =>
  code && NETWORK.test(code) && kind !== 'malformed' ? `${kind} ${code}` : undefined;
