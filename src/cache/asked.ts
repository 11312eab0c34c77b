/** What a request says about its way through the cache, before anything is looked up. */
import type { ForwardReason } from './cache-status.ts';
import type { SharedLanding } from './flight.ts';
import { hasUnkeyedAuthorization, isStorableMethod, refused } from './semantics/storable.ts';
import { type RequestDirectives, requestDirectives } from './semantics/use.ts';
import { variantKey } from './semantics/vary.ts';
import type { Found } from './slots.ts';
import type { CacheRequest, StoreVerdict } from './types.ts';

/** Known before the lookup: nothing may be stored. */
export function bypassOf({ bypass, settings, method, bodyKey }: CacheRequest): StoreVerdict | undefined {
  if (bypass) return refused(bypass.status, bypass.reason);
  if (settings?.edge === false) return refused('disabled', 'edge: false');
  return isStorableMethod(method, bodyKey) ? undefined : refused('method', `${method} on a route without a body key`);
}

/** What the client asks of caches. */
export function directivesOf({ fields, settings }: CacheRequest): RequestDirectives {
  return requestDirectives(fields, settings?.edge ? settings.edge.obeyRequestDirectives === true : false);
}

/** The answer may be for this client only. */
export const isPersonal = ({ fields, keyedHeaders = [] }: CacheRequest): boolean =>
  hasUnkeyedAuthorization({ requestFields: fields, keyedHeaders });

/** The request selects the variant that has landed. */
export const selects = ({ key, fields }: CacheRequest, { varyNames, slotKey }: SharedLanding): boolean =>
  varyNames.length === 0 || variantKey(key, varyNames, fields) === slotKey;

const PARTIAL_OR_CONDITIONAL = [
  ...['range', 'if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since', 'if-range'],
];

/** The client may be answered with less than a whole response. */
export const asksForLess = ({ fields }: CacheRequest): boolean =>
  PARTIAL_OR_CONDITIONAL.some((name) => fields.has(name));

/** Why nothing that was found answers the request. */
export function forwardReason({ slot, varies }: Found): ForwardReason {
  if (slot?.kind === 'response') return 'stale';
  return varies && !slot ? 'vary-miss' : 'uri-miss';
}
