/** Calls of the upstream room as an exchange remembers them: what was asked, and every attempt, however it ended. */
import type { Hop } from '../status/fault.ts';
import type { Attempt, UpstreamAnswer, UpstreamCall } from '../upstream/types.ts';
import type { Exchange } from './exchange.ts';
import type { PopSettings } from './settings.ts';

export interface CallRecord extends Pick<UpstreamCall, 'origin' | 'method' | 'path' | 'fields' | 'hop'> {
  readonly backend?: string;
  /** What an inner hop calls itself in its story. */
  readonly span?: string;
  /** Monotonic. */
  readonly startedMs: number;
  readonly attempts: Attempt[];
  status?: number;
}

/** Project code may make any number of calls; these are remembered. */
const MOST_CALLS = 32;

/** Sends, and remembers the call on the exchange. Throws what the upstream room throws. */
export async function sendRecorded(
  exchange: Exchange,
  { upstream, clock }: PopSettings,
  call: UpstreamCall,
  more: { readonly backend?: string; readonly span?: string },
): Promise<UpstreamAnswer> {
  const { origin, method, path, fields, hop } = call;
  const attempts: Attempt[] = [];
  const asked = { origin, method, path, fields, hop: hop satisfies Hop };
  const record: CallRecord = { ...asked, ...more, startedMs: clock.monotonicMs(), attempts };
  if (exchange.calls.length < MOST_CALLS) exchange.calls.push(record);
  const answer = await upstream.send({ ...call, attempts });
  record.status = answer.response.status;
  return answer;
}
