/**
 * What an unsafe request has changed (RFC 9111 section 4.4): after it succeeded, what is stored under its URL, and
 * under those of the same origin that the answer names, is not used unasked again. A POP does so for itself; an edge
 * that dialled the upstream without the global POP tells it first, or the next miss would bring the old back.
 */
import { urlKey } from '../cache/key.ts';
import type { HttpResponse } from '../http/message.ts';
import type { Exchange } from './exchange.ts';
import { tellGlobal } from './next-hop.ts';
import { makePlan } from './plan.ts';
import type { PopSettings } from './settings.ts';

/** Registered as safe (RFC 9110 section 9.2.1, RFC 4918, RFC 5323); whatever is not may change things. */
const SAFE = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PROPFIND', 'REPORT', 'SEARCH', 'QUERY']);

/** Call it before the answer goes on, so that who has seen it does not see the old after it. */
export async function noteChanges(response: HttpResponse, exchange: Exchange, settings: PopSettings): Promise<void> {
  const { request, cached, shielded } = exchange;
  if (SAFE.has(request.method) || response.status < 200 || response.status >= 400) return;
  // a POST whose answer may be stored is a question in a body
  if (cached?.verdict.status === 'ok') return;
  const urlKeys = changedUrlKeys(response, exchange, settings);
  if (!shielded) await tellGlobal(urlKeys, exchange, settings);
  await settings.cache.invalidate(urlKeys);
}

function changedUrlKeys({ fields }: HttpResponse, exchange: Exchange, settings: PopSettings): string[] {
  const { protocol } = exchange.client;
  const { host, path, query } = exchange.request;
  const target = `${protocol}://${host}${path}${query ? `?${query}` : ''}`;
  const named = [fields.get('location'), fields.get('content-location')].filter((value) => value !== undefined);
  const keys = named.map((reference) => sameOrigin(reference, target)).filter((url) => url !== null);
  const all = [{ path, query }, ...keys.map(({ pathname, search }) => ({ path: pathname, query: search.slice(1) }))];
  return [...new Set(all.map((url) => keyOf(url, exchange, settings)))];
}

/** Others are not its to change. */
function sameOrigin(reference: string, target: string): URL | null {
  if (!URL.canParse(reference, target)) return null;
  const url = new URL(reference, target);
  return url.origin === new URL(target).origin ? url : null;
}

/** As a GET of it is keyed, whose route may leave parameters out. */
function keyOf({ path, query }: { path: string; query: string }, exchange: Exchange, settings: PopSettings): string {
  const { destination, client, request } = exchange;
  const { environment, site } = destination!;
  const subject = { method: 'GET', path, query, fields: request.fields, protocol: client.protocol };
  const plan = makePlan(site.routes.match({ ...subject, enforceProtocol: false }));
  return urlKey({
    ...{ space: environment.cacheSpace, protocol: client.protocol, host: request.host, path, query },
    ...{ settings: plan.key, cookiePrefix: settings.branding.cookiePrefix },
  });
}
