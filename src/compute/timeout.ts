/** Why a worker did not answer in time: the sub-cause of a 539, from what the guest and the broker can tell. */
import type { Actor } from '../status/causes.ts';
import { Fault } from '../status/fault.ts';
import type { BrokerSession } from './broker.ts';
import type { OpenRequest } from './ipc.ts';
import type { Room } from './room.ts';
import type { Worker } from './worker.ts';

export type TimeoutCause = 'cold-start' | 'loop-blocked' | 'upstream-slow' | 'upstream-blocked' | 'never-answered';

interface Finding {
  readonly details: TimeoutCause;
  readonly acts: Actor;
  readonly upstream?: OpenRequest;
}

export async function timeoutFault({ limits }: Room, worker: Worker, session: BrokerSession): Promise<Fault> {
  const { details, acts, upstream } = await find(worker, session, limits.reservedMs / 2);
  return new Fault({
    cause: 'compute.timeout',
    hop: 'compute',
    details,
    acts,
    evidence: {
      limit: 'compute.responseMs',
      value: limits.responseMs,
      upstream: upstream?.host,
      upstreamElapsedMs: upstream?.elapsedMs,
      lastLog: worker.lastLog(),
    },
  });
}

async function find(worker: Worker, session: BrokerSession, withinMs: number): Promise<Finding> {
  if (worker.state === 'starting') return { details: 'cold-start', acts: 'project' };
  const own = await worker.outgoing(withinMs);
  if (own === null) return { details: 'loop-blocked', acts: 'project' };
  const open = [...own, ...session.openRequests()];
  const [upstream] = open.sort((a, b) => b.elapsedMs - a.elapsedMs);
  if (!upstream) return { details: 'never-answered', acts: 'project' };
  return { details: upstream.connected ? 'upstream-slow' : 'upstream-blocked', acts: 'upstream', upstream };
}
