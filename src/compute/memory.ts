/**
 * Resident memory of workers. A heap limit does not cover buffers, in threads and in processes alike, so the
 * platform looks from outside. Where there is no /proc, only the heap limit stands.
 */
import { readFileSync } from 'node:fs';

const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
};

const residentPages = (pid: number): number => Number(read(`/proc/${pid}/statm`).split(' ')[1] ?? 0);

/** A power of two that Node does not tell: what it says of itself in bytes, the system says in pages. */
const PAGE_BYTES = 2 ** Math.round(Math.log2(process.memoryUsage.rss() / Math.max(1, residentPages(process.pid))));

/** Bytes of one process, 0 when unknown. Half the cost of `status`, which says the same in words. */
export const residentBytes = (pid: number): number => residentPages(pid) * PAGE_BYTES;

/** A process and everything below it. */
export function treeBytes(pid: number): number {
  const children = read(`/proc/${pid}/task/${pid}/children`).trim();
  const below = children === '' ? [] : children.split(' ').map(Number);
  return below.reduce((sum, child) => sum + treeBytes(child), residentBytes(pid));
}

/** How often the kernel has killed something for want of memory, in our control group (version 2) or at all. */
export function kernelKills(): number {
  const path = /^0::(\S*)$/m.exec(read('/proc/self/cgroup'))?.[1] ?? '';
  const events = read(`/sys/fs/cgroup${path}/memory.events`) || read('/proc/vmstat');
  return Number(/^oom_kill (\d+)/m.exec(events)?.[1] ?? 0);
}
