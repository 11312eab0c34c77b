/**
 * What the main thread of a process does while it does not answer: Linux tells how much processor time it got and
 * whether it runs, wants to run, or sleeps. With that a blocked loop and a busy machine look different.
 */
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessorUse {
  /** Processor time of the main thread so far. */
  readonly cpuMs: number;
  /** No thread runs, wants to run, or waits for a disk or a page. */
  readonly asleep: boolean;
}

/** Null where the system does not say. */
export function processorUse(pid: number): ProcessorUse | null {
  try {
    const [ns] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'latin1').split(' ');
    const threads = readdirSync(`/proc/${pid}/task`);
    return { cpuMs: Number(ns) / 1_000_000, asleep: threads.every((thread) => stateOf(pid, thread) === 'S') };
  } catch {
    return null;
  }
}

function stateOf(pid: number, thread: string): string {
  const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1');
  const after = stat.lastIndexOf(')') + 2;
  return stat.slice(after, after + 1);
}
