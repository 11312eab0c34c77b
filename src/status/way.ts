/**
 * The way of a failed request as people picture it: the stations from the visitor to what lies behind the platform,
 * what became of the request at each, and which of them failed. Every form of the error page draws this one list.
 */
import type { Cause, Phase } from './causes.ts';
import type { Fault } from './fault.ts';

export type StopState = 'passed' | 'failed' | 'ahead';

export interface Stop {
  readonly station: Station;
  readonly name: string;
  readonly state: StopState;
  /** What became of the request here, in a few words. */
  readonly words: string;
}

export type Station = 'client' | 'edge' | 'global' | 'compute' | 'upstream' | 'site';

const NAMES: Readonly<Record<Station, string>> = {
  client: 'You',
  edge: 'Edge',
  global: 'Global POP',
  compute: 'Project code',
  upstream: 'Upstream',
  site: 'Site',
};

/** How a failure in a phase is told below its station. */
const FAILED_IN: Readonly<Record<Phase, string>> = {
  request: 'not acceptable',
  identify: 'not let in',
  route: 'leads nowhere',
  cache: 'nothing kept',
  dns: 'name not found',
  connect: 'no connection',
  tls: 'not secure',
  send: 'stopped listening',
  'response-head': 'no valid answer',
  'response-body': 'answer cut short',
  queue: 'no free worker',
  run: 'failed here',
  internal: 'failed here',
};

/** Where the code says more than the phase does. */
const FAILED_WITH: Readonly<Record<number, string>> = {
  401: 'not let in',
  403: 'not let in',
  532: 'answer too large',
  538: 'came back again',
  539: 'took too long',
  540: 'out of memory',
  542: 'too many headers',
  543: 'too slow',
  545: 'not ready',
};

/** `viaGlobal`: the request had gone on to a global POP before it failed. */
export function wayOf(fault: Fault, viaGlobal: boolean): readonly Stop[] {
  const way = stations(fault, viaGlobal);
  const failed = way.indexOf(failedStation(fault, way));
  return way.map((station, at) => {
    const state = at < failed ? 'passed' : at === failed ? 'failed' : 'ahead';
    return { station, name: NAMES[station], state, words: wordsOf(station, state, fault) };
  });
}

function stations({ why, hop }: Fault, viaGlobal: boolean): readonly Station[] {
  const way: Station[] = ['client', 'edge'];
  if (viaGlobal || hop === 'global' || why.startsWith('link.')) way.push('global');
  if (hop === 'compute') way.push('compute');
  if (isOfUpstream(why)) way.push('upstream');
  else if (hop !== 'compute') way.push('site');
  return way;
}

const isOfUpstream = (why: Cause): boolean => why.startsWith('upstream.') || why === 'compute.upstream-coding';

/** A leg that failed is shown at its far end; every other cause at the hop that saw it. */
function failedStation({ why, hop }: Fault, way: readonly Station[]): Station {
  if (isOfUpstream(why)) return 'upstream';
  if (why.startsWith('link.')) return 'global';
  // A body that is too large for project code was the client's, whoever has measured it.
  if (why.startsWith('request.') && why !== 'request.denied' && why !== 'request.unauthorized') return 'client';
  return way.includes(hop) && hop !== 'client' ? hop : 'edge';
}

function wordsOf(station: Station, state: StopState, { code, phase }: Fault): string {
  if (state === 'failed') return FAILED_WITH[code] ?? FAILED_IN[phase];
  if (station === 'client') return 'sent';
  return state === 'passed' ? 'passed' : 'not reached';
}
