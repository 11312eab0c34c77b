/** What the cache says about an answer: metric, age, Cache-Status parameters. */
import type { HttpResponse } from '../http/message.ts';
import { Fault } from '../status/fault.ts';
import { bridgedParameters, type ForwardReason, forwardParameters, hitParameters } from './cache-status.ts';
import type { BridgedLanding, PrivateLanding, SharedLanding } from './flight.ts';
import type { StoredResponse } from './slots.ts';
import type { Held } from './store.ts';
import type { CacheAnswer, CacheMetric, StoreVerdict } from './types.ts';

/** How a request went forward. */
export interface How {
  readonly reason: ForwardReason;
  /** It was answered by the fetch of another request. */
  readonly collapsed: boolean;
}

/** From the store. The caller may change the fields: they are a copy. */
export function hitAnswer(
  stored: StoredResponse,
  body: HttpResponse['body'],
  nowMs: number,
  held: Held | undefined,
): CacheAnswer {
  const { status, reason, verdict, requestId, freshUntilMs, madeAtMs } = stored;
  const ttlSeconds = Math.floor((freshUntilMs - nowMs) / 1000);
  return {
    response: { status, ...(reason === undefined ? {} : { reason }), fields: stored.fields.clone(), body },
    ...{
      metric: 'hit',
      verdict,
      ttlSeconds,
      freshForMs: freshUntilMs - nowMs,
      hitRequestId: requestId,
      stale: nowMs >= freshUntilMs,
    },
    purgeSequence: stored.sequence,
    cacheStatus: hitParameters(ttlSeconds),
    ageSeconds: ageSeconds(madeAtMs, nowMs),
    ...(held ? { entry: { held, stored } } : {}),
  };
}

/** From the store, because the next hop failed. */
export function bridgedAnswer(
  stored: StoredResponse,
  body: HttpResponse['body'],
  nowMs: number,
  failure: BridgedLanding['failure'],
): CacheAnswer {
  const hit = hitAnswer(stored, body, nowMs, undefined);
  const status = failure instanceof Fault ? failure.code : failure.status;
  return { ...hit, stale: true, bridged: failure, cacheStatus: bridgedParameters(status, hit.ttlSeconds ?? 0) };
}

/** From the next hop. `response` is what this client gets of it. */
export function fetchedAnswer(
  landing: SharedLanding | PrivateLanding,
  response: HttpResponse,
  how: How,
  nowMs: number,
): CacheAnswer {
  const { verdict, madeAtMs, fetchedStatus } = landing;
  const stored = landing.kind === 'shared' && landing.stored;
  return {
    purgeSequence: landing.sequence,
    ...{ response, verdict, stale: false, metric: metricOf(verdict), ageSeconds: ageSeconds(madeAtMs, nowMs) },
    cacheStatus: forwardParameters({ ...how, status: fetchedStatus, stored, verdict }),
    ...(landing.kind === 'shared' && stored
      ? { ttlSeconds: Math.floor(verdict.ttlMs / 1000), freshForMs: landing.freshUntilMs - nowMs }
      : {}),
  };
}

const ageSeconds = (madeAtMs: number, nowMs: number) => Math.max(0, Math.floor((nowMs - madeAtMs) / 1000));

function metricOf({ status }: StoreVerdict): CacheMetric {
  if (status === 'ok') return 'cached';
  return status === 'set-cookie' || status === 'code' ? 'miss' : 'pass';
}
