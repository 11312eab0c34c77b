/**
 * The answer as the client gets it: the routes' response operations, what browsers and service workers may keep,
 * the platform's own fields, and the cut that the client asked for (HEAD, 304, ranges). Runs for every client, hits
 * included. Source: spec "Headers and telemetry", sections 3 and 5; "Caching", sections 2 and 11.
 */
import type { CacheAnswer, CachingStatus } from '../cache/types.ts';
import { type DeliverOptions, deliver } from '../http/deliver.ts';
import type { Fields } from '../http/fields.ts';
import { appendVia } from '../http/forwarded.ts';
import type { HttpResponse } from '../http/message.ts';
import { applyResponseOps } from '../router/apply.ts';
import type { CacheSettings } from '../router/table.ts';
import { Fault } from '../status/fault.ts';
import { appendMember, passedOnMember, proxyStatusMember } from '../status/proxy-status.ts';
import type { Exchange } from './exchange.ts';
import { versionOf } from './outbound.ts';
import type { PopSettings } from './settings.ts';

/** Applies everything that is the edge's to say to a response that is not a platform error. */
export function finish(response: HttpResponse, exchange: Exchange, settings: PopSettings): HttpResponse {
  const fields = response.fields.clone();
  const inner = takeInner(fields, settings);
  exchange.telemetry.inner(inner);
  const answer = deliver(exchange.request, { ...response, fields }, deliveryOf(exchange));
  applyBrowserSettings(answer.fields, exchange.plan?.cache, answer.status);
  for (const { ops, params } of exchange.plan?.responseOps ?? []) {
    applyResponseOps(ops, answer.fields, { ...exchange.request, params });
  }
  if (exchange.prefetch && answer.status === 200 && !answer.fields.has('x-sw-cache-control'))
    answer.fields.set('x-sw-cache-control', `max-age=${settings.limits['prefetch.defaultTtlSeconds']}`);
  stamp(answer.fields, answer.status, exchange, settings);
  return answer;
}

const deliveryOf = ({ plan, cached }: Exchange): DeliverOptions => ({
  asOrigin: plan?.action?.kind === 'static',
  fromStore: cached?.metric === 'hit',
});

/** Component lists of inner hops, as the next hop or a stored response reports them. */
function takeInner(fields: Fields, { branding }: PopSettings): { statuses?: string; components?: string } {
  const take = (name: string): string | undefined => {
    const value = fields.get(`${branding.headerPrefix}-${name}`);
    fields.delete(`${branding.headerPrefix}-${name}`);
    return value;
  };
  const statuses = take('status');
  const components = take('components');
  return { ...(statuses ? { statuses } : {}), ...(components ? { components } : {}) };
}

const NEVER_KEEP = 'no-cache, no-store, max-age=0';

/** `browser` settings speak for successful answers and redirects only: an error is not kept because a page may be. */
function applyBrowserSettings(fields: Fields, settings: CacheSettings | undefined, status: number): void {
  const browser = settings?.browser;
  if (browser === undefined || status >= 400) return;
  if (browser === false) {
    fields.set('cache-control', NEVER_KEEP).delete('expires');
    return;
  }
  if (browser.maxAgeSeconds !== undefined) {
    fields.set('cache-control', `max-age=${browser.maxAgeSeconds}`).delete('expires');
  }
  if (browser.serviceWorkerSeconds !== undefined) {
    fields.set('x-sw-cache-control', `max-age=${browser.serviceWorkerSeconds}`);
  }
}

/** The fields about this exchange, which nobody but the platform may write. Also on platform errors. */
export function stamp(fields: Fields, status: number, exchange: Exchange, settings: PopSettings): void {
  const { branding, name, clock } = settings;
  const { telemetry, cached, destination } = exchange;
  const own = (field: string, value: string | undefined): void => {
    if (value !== undefined && value !== '') fields.set(`${branding.headerPrefix}-${field}`, value);
    else fields.delete(`${branding.headerPrefix}-${field}`);
  };
  telemetry.metric('eh', clock.monotonicMs() - exchange.startedMs);
  telemetry.status('eh', status);
  telemetry.component('e', name);
  own('request-id', exchange.requestId);
  fields.set('x-request-id', exchange.requestId);
  own('t', telemetry.metricsText(branding.preset !== 'selvedge'));
  own('status', telemetry.statuses);
  own('components', telemetry.components);
  if (destination && !fields.has(`${branding.headerPrefix}-version`)) own('version', versionOf(destination));
  own('caching-status', cachingStatusOf(cached, status));
  own('cache-hash', cached ? exchange.keyed?.hash : undefined);
  own('hit-request-id', cached?.hitRequestId);
  appendVia(fields, '1.1', name);
  if (exchange.fault === null) stampForwarded(fields, cached, exchange, settings);
  appendServerTiming(fields, exchange, settings);
  noIndex(fields, exchange);
}

/** Also of what never came to a cache: an error is not stored for its status, the edge's own answers need no store. */
export const cachingStatusOf = (cached: CacheAnswer | null, status: number): CachingStatus =>
  cached?.verdict.status ?? (status >= 400 ? 'code' : 'pass');

function stampForwarded(fields: Fields, cached: CacheAnswer | null, exchange: Exchange, settings: PopSettings): void {
  if (cached) {
    const member = `"${settings.name}"; ${cached.cacheStatus}`;
    const inner = fields.get('cache-status');
    fields.set('cache-status', inner ? `${inner}, ${member}` : member);
    if (cached.metric === 'hit') fields.set('age', String(Math.max(0, Math.floor(cached.ageSeconds))));
    noteBridged(fields, cached, settings);
  } else fields.set('cache-status', `"${settings.name}"; detail="answered by the edge itself"`);
  if (exchange.plan?.action?.kind !== 'redirect') addVary(fields, exchange);
}

/** Something stored took the place of an answer: what failed is told as it would have been without. */
export function noteBridged(fields: Fields, { bridged }: CacheAnswer, { name }: PopSettings): void {
  if (!bridged) return;
  const member = bridged instanceof Fault ? proxyStatusMember(bridged, name) : passedOnMember(name, bridged.status);
  fields.set('proxy-status', appendMember(fields.get('proxy-status'), member));
}

/**
 * What the platform's own choices depend on. An upstream that names what else its answer varies on is believed, so
 * that caches in front are not made to keep it apart for nothing; only what the route's key looks at is added.
 */
function addVary(fields: Fields, { plan }: Exchange): void {
  const present = fields.get('vary');
  const listed = fields.all('vary').flatMap((line) => line.split(','));
  const lower = new Set(listed.map((member) => member.trim().toLowerCase()).filter((name) => name !== ''));
  const isToldByUpstream = [...lower].some((name) => name !== 'accept-encoding');
  const names = isToldByUpstream ? keyedNames(plan) : ['accept-encoding', 'user-agent'];
  const missing = names.filter((name) => !lower.has(name));
  if (missing.length === 0 || lower.has('*')) return;
  fields.set('vary', [...(present ? [present] : []), ...missing].join(','));
}

/** Cookies are left out: who sees `Vary: Cookie` keeps nothing. */
function keyedNames(plan: Exchange['plan']): string[] {
  const names = (plan?.key?.parts ?? []).map((part) => {
    if (part.kind === 'header') return part.name.toLowerCase();
    return part.kind === 'cookie' ? undefined : 'user-agent';
  });
  return [...new Set(names.filter((name) => name !== undefined))];
}

const LEVELS = ['MISS', 'HIT-L1', 'HIT-L2'] as const;

function appendServerTiming(fields: Fields, exchange: Exchange, { branding, name }: PopSettings): void {
  const routes = exchange.plan?.routes.map(({ id, label }) => ({ id, route: label })) ?? [];
  const members = [
    ...(exchange.cached ? [`${branding.cookiePrefix}-cache;desc="${LEVELS[exchange.level] ?? 'MISS'}"`] : []),
    `edge_pop;desc="${name}"`,
    ...userTimings(fields.get(`${branding.headerPrefix}-user-t`)),
    ...(routes.length > 0 ? [`xrj;desc="${encodeURIComponent(JSON.stringify(routes.at(-1)))}"`] : []),
  ];
  const present = fields.get('server-timing');
  fields.set('server-timing', [...(present ? [present] : []), ...members].join(', '));
}

/** The project's own timings of this request, as browsers read them; one that was not ended has no duration. */
function userTimings(text: string | undefined): string[] {
  const timings = text?.split(',').map((timing) => timing.split('=', 2)) ?? [];
  return timings.filter(([, ms]) => ms !== 'na').map(([timing, ms]) => `${timing};dur=${ms}`);
}

/** Hosts that the platform made up are not for search engines, unless the project wants it. */
function noIndex(fields: Fields, { destination }: Exchange): void {
  if (!destination?.binding.generated) return;
  if (destination.site.manifest.routes.flags.indexPermalink || fields.has('x-robots-tag')) return;
  fields.set('x-robots-tag', 'noindex');
}

/** Proxy-Status of an edge that passes on a failure of an inner hop. */
export const passedOn = (received: string, exchange: Exchange, settings: PopSettings): string =>
  appendMember(received, passedOnMember(settings.name, exchange.fault!.code));
