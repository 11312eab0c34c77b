/** What a request waits for, told when its time is up: open calls, timers, and whatever else keeps the loop alive. */
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { GuestState } from '../ipc.ts';
import { projectFrame } from '../stack.ts';
import { currentRun, type Place, runOf } from './context.ts';
import { openRequests } from './outgoing.ts';
import { waitingSockets } from './sockets.ts';
import { sleepingTimers } from './timers.ts';

const ROOT = process.cwd();
/** The guest's own files, and what of the platform it imports. */
const OWN = dirname(dirname(fileURLToPath(import.meta.url)));
const MOST = 16;
/** Handles that the platform itself has open in this process. */
const OURS = new Set(['PipeWrap', 'PipeServerWrap', 'TCPServerWrap']);

export function guestState(token: string | undefined): GuestState {
  const run = token === undefined ? currentRun() : runOf(token);
  const mine = (call: { token?: string }): boolean => run === undefined || call.token === run.token;
  const open = [...openRequests(from), ...waitingSockets(from)].filter(mine);
  const cpu = run ? process.cpuUsage(run.cpuAtStart) : undefined;
  return {
    open: open.sort((a, b) => b.elapsedMs - a.elapsedMs).slice(0, MOST),
    timers: run ? sleepingTimers(run, from) : [],
    resources: activeResources(),
    ...(cpu ? { cpuMs: Math.round((cpu.user + cpu.system) / 1_000) } : {}),
    ...(run ? { calls: run.outgoingCount } : {}),
  };
}

const from = (place: Place | undefined): string | undefined => projectFrame(place?.stack, ROOT, OWN);

function activeResources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) if (!OURS.has(name)) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}
