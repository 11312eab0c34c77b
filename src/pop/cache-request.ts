/** What a POP asks its cache: the exchange's key and settings, and what this hop knows that forbids or narrows it. */
import type { CacheKey } from '../cache/key.ts';
import type { CacheRequest, FetchPlan } from '../cache/types.ts';
import type { Exchange } from './exchange.ts';
import { isNested } from './identify.ts';
import type { PopSettings } from './settings.ts';

/** `asked` is what the hop decides by itself; a key that cannot be used forbids storing whatever it says. */
export function cacheRequest(
  exchange: Exchange,
  settings: PopSettings,
  key: CacheKey,
  asked: Pick<CacheRequest, 'bypass' | 'lookupOnly'>,
): CacheRequest {
  const { request, plan, requestId } = exchange;
  const bypass = settings.stores ? (asked.bypass ?? key.bypass ?? unkeyedBody(exchange)) : STORING_IS_OFF;
  return {
    key: key.key,
    method: request.method,
    fields: request.fields,
    requestId,
    settings: plan!.cache,
    bodyKey: plan!.bodyKey,
    keyedHeaders: key.keyedHeaders,
    surrogateKeyName: `${settings.branding.headerPrefix}-surrogate-key`,
    ...(bypass ? { bypass } : {}),
    ...(isNested(exchange) ? { nested: true } : {}),
    ...(asked.lookupOnly ? { lookupOnly: true } : {}),
  };
}

const STORING_IS_OFF = { status: 'disabled', reason: 'storing is switched off (cache.enabled)' } as const;

/** A GET may have a body, and an upstream may look at it: its answer is not one to the URL alone. */
function unkeyedBody({ request: { method, body }, plan }: Exchange): CacheRequest['bypass'] {
  const hasBody = Buffer.isBuffer(body) ? body.length > 0 : body !== null;
  const wouldBeKept = (method === 'GET' || method === 'HEAD') && !plan!.bodyKey;
  return hasBody && wouldBeKept ? UNKEYED_BODY : undefined;
}

const UNKEYED_BODY = { status: 'pass', reason: 'the request has a body, which is not part of the key' } as const;

/** Remembers what the cache was asked, for the story of an exchange that it gave no answer to. */
export function noteAsked(exchange: Exchange, { bypass }: CacheRequest): void {
  exchange.asked = bypass === undefined ? {} : { bypass: bypass.reason };
}

export function noteFetch({ asked }: Exchange, plan: FetchPlan): void {
  if (asked) asked.fetch = plan;
}
