/**
 * The edge pipeline: identify → route → cache → forward → respond → record, once per client request. Everything
 * that goes wrong on the way becomes a fault on the exchange, and a fault becomes an answer, in one place.
 */
import type { BlockList } from 'node:net';
import type { CacheKey } from '../cache/key.ts';
import type { CacheRequest, FetchPlan } from '../cache/types.ts';
import type { ServerExchange } from '../http/exchange.ts';
import type { Fields } from '../http/fields.ts';
import { identifyClient, networkList, plainIp } from '../http/forwarded.ts';
import type { HttpResponse } from '../http/message.ts';
import { Fault } from '../status/fault.ts';
import { builtInAnswer } from './built-in.ts';
import { cacheRequest, noteAsked, noteFetch } from './cache-request.ts';
import { carriedRequest } from './carried.ts';
import { catchAnswer } from './catches.ts';
import { noteChanges } from './changes.ts';
import { finish } from './deliver.ts';
import { dial } from './dial.ts';
import { endingWhenDrained } from './endless.ts';
import { Exchange } from './exchange.ts';
import { faultResponse, takeFault } from './faults.ts';
import { identify, requestIdOf } from './identify.ts';
import { isPreload, LINK_HEARTBEAT } from './link.ts';
import { localAnswer } from './local.ts';
import { askGlobal, needsGlobal } from './next-hop.ts';
import { recordEnd } from './record.ts';
import { routeExchange } from './routing.ts';
import type { PopSettings } from './settings.ts';
import { tellAfterwards } from './story.ts';
import { upgradeExchange } from './upgrade.ts';

/** Handles one exchange of the client-facing listener; never rejects. */
export type EdgeHandler = (server: ServerExchange) => Promise<void>;

export function createEdge(settings: PopSettings): EdgeHandler {
  const trusted = networkList(settings.trustedProxies);
  return async (server) => {
    const { exchange, enforceProtocol } = beginExchange(server, settings, trusted);
    let response: HttpResponse | null;
    try {
      exchange.destination = await identify(exchange.request.host, exchange.request.fields, settings);
      response = await answer(exchange, server, settings, enforceProtocol);
    } catch (error) {
      if (server.signal.aborted && !server.headSent)
        return recordEnd(exchange, settings, { response: null, delivery: null });
      takeFault(error, exchange, settings);
      response = faultResponse(exchange, settings, challengeOf(exchange.fault!));
    }
    if (response !== null) await respond(response, exchange, server, settings);
  };
}

function beginExchange(server: ServerExchange, settings: PopSettings, trusted: BlockList) {
  const { request, remoteAddress, httpVersion, receivedAtMs } = server;
  const peer = { remoteAddress, protocol: request.protocol };
  const identified = identifyClient(peer, request.fields, trusted);
  const preload = isPreload(request.fields, settings.linkToken);
  const { ip, viaTrustedProxy } = identified;
  // The platform's own request says itself for whom it fills the store.
  const protocol = preload && request.fields.get('x-forwarded-proto') === 'https' ? 'https' : identified.protocol;
  const exchange = new Exchange({
    ...requestIdOf(request.fields),
    client: { ip, peerIp: plainIp(remoteAddress), protocol, httpVersion },
    request: {
      ...request,
      protocol,
      fields: (viaTrustedProxy ? undefined : settings.hot?.observe(server)) ?? request.fields,
    },
    startedMs: receivedAtMs,
    receivedAtMs: settings.clock.nowMs(),
  });
  exchange.preload = preload;
  exchange.upgradeTo = server.upgradeTo;
  const told = viaTrustedProxy && (request.fields.has('x-forwarded-proto') || request.fields.has('forwarded'));
  return { exchange, enforceProtocol: settings.tlsPort() !== undefined || told };
}

const challengeOf = ({ evidence }: Fault): [string, string][] =>
  typeof evidence.challenge === 'string' ? [['www-authenticate', evidence.challenge]] : [];

/** Null when the connection was given away (upgrade). */
async function answer(
  exchange: Exchange,
  server: ServerExchange,
  settings: PopSettings,
  enforceProtocol: boolean,
): Promise<HttpResponse | null> {
  const builtIn = builtInAnswer(exchange, settings);
  if (builtIn) return finish(builtIn, exchange, settings);
  const { cookiePrefix } = settings.branding;
  if (isPrefetch(exchange.request.query, cookiePrefix))
    exchange.request = carriedRequest(exchange.request, cookiePrefix);
  const key = await routeExchange(exchange, settings, enforceProtocol);
  try {
    const local = await localAnswer(exchange, settings, enforceProtocol);
    if (local) return finish(local, exchange, settings);
    if (server.upgradeTo !== undefined) return await upgradeExchange(exchange, server, settings);
    return finish(await fromCache(exchange, server, settings, key), exchange, settings);
  } catch (error) {
    if (server.signal.aborted) throw error;
    takeFault(error, exchange, settings);
    return (await catchAnswer(exchange, settings)) ?? faultResponse(exchange, settings, challengeOf(exchange.fault!));
  }
}

async function fromCache(
  exchange: Exchange,
  server: ServerExchange,
  settings: PopSettings,
  key: CacheKey,
): Promise<HttpResponse> {
  const request = cacheRequest(exchange, settings, key, askedOfCache(exchange, settings));
  noteAsked(exchange, request);
  const started = settings.clock.monotonicMs();
  const inform = { onInformation: informClient(server) };
  if (request.lookupOnly) return prefetched(exchange, settings, request, server.signal);
  const fetch = (signal: AbortSignal, plan: FetchPlan) => {
    noteFetch(exchange, plan);
    const answer = needsGlobal(exchange, settings, plan.whole)
      ? askGlobal(exchange, settings, { ...plan, mode: plan.whole ? 'normal' : 'pass', signal, ...inform })
      : dial(exchange, settings, { ...plan, signal, ...inform });
    return toldAfterwards(answer, signal, exchange, settings);
  };
  const cached = (await settings.cache.answer(request, fetch, server.signal))!;
  exchange.cached = cached;
  await noteChanges(cached.response, exchange, settings);
  if (cached.metric === 'hit') exchange.level = 1;
  exchange.telemetry.metric('ect', settings.clock.monotonicMs() - started);
  exchange.telemetry.metric('ecc', cached.metric);
  if (cached.coalescedMs !== undefined) exchange.telemetry.metric('ecwt', cached.coalescedMs);
  return (await catchAnswer(exchange, settings, cached.response)) ?? cached.response;
}

/** A fetch may outlive the client's request: a refresh, or one that others wait for. What came of it is told then. */
async function toldAfterwards(
  answer: Promise<HttpResponse>,
  signal: AbortSignal,
  exchange: Exchange,
  settings: PopSettings,
): Promise<HttpResponse> {
  try {
    const response = await answer;
    if (exchange.told) tellAfterwards(exchange, settings, undefined);
    return response;
  } catch (error) {
    if (exchange.told && !signal.aborted) tellAfterwards(exchange, settings, error);
    throw error;
  }
}

/** 102 is also how our own POPs say that they are alive, which is nothing to the client. */
const informClient =
  (server: ServerExchange) =>
  (status: number, fields: Fields): void => {
    if (!fields.has(LINK_HEARTBEAT)) server.inform(status, fields);
  };

/** A prefetch: this POP's store, then the global one's, then 412; never an upstream. */
async function prefetched(
  exchange: Exchange,
  settings: PopSettings,
  request: CacheRequest,
  signal: AbortSignal,
): Promise<HttpResponse> {
  exchange.prefetch = true;
  const none = async () => Promise.reject(new Fault({ cause: 'cache.prefetch-miss', hop: settings.role }));
  const cached = await settings.cache.answer(request, none, signal);
  exchange.cached = cached;
  if (cached) {
    exchange.level = 1;
    exchange.telemetry.metric('ecc', 'hit');
    return cached.response;
  }
  if (settings.link === null) return none();
  try {
    return await askGlobal(exchange, settings, { mode: 'lookup', whole: true, signal });
  } catch (error) {
    if (!(error instanceof Fault && error.why === 'cache.prefetch-miss')) throw error;
    // Both stores were looked into because this POP has them both to look into: the answer is its own.
    exchange.faultRaisedBy = undefined;
    return none();
  }
}

/** What the edge itself knows of a request's way through the cache. */
function askedOfCache({ request, destination }: Exchange, { branding }: PopSettings) {
  return {
    lookupOnly: isPrefetch(request.query, branding.cookiePrefix),
    ...(destination!.binding.permalink ? { bypass: PERMALINK } : {}),
  };
}

const PERMALINK = { status: 'disabled', reason: 'the host of one deployment is not cached' } as const;

const isPrefetch = (query: string, cookiePrefix: string): boolean =>
  query.includes(`${cookiePrefix}_prefetch=`) && new URLSearchParams(query).get(`${cookiePrefix}_prefetch`) === '1';

async function respond(
  response: HttpResponse,
  exchange: Exchange,
  server: ServerExchange,
  settings: PopSettings,
): Promise<void> {
  try {
    const delivery = await server.respond(endingWhenDrained(response, settings.drained));
    // A body that ended because its client left is nobody's failure (rule R8).
    if (delivery.error !== undefined && exchange.fault === null && !server.signal.aborted)
      takeFault(delivery.error, exchange, settings);
    if (delivery.completed) settings.hot?.offer(exchange, response, settings);
    recordEnd(exchange, settings, { response, delivery });
  } catch (error) {
    if (server.headSent) {
      takeFault(error, exchange, settings);
      server.abort();
      return recordEnd(exchange, settings, { response, delivery: null });
    }
    // The answer itself cannot be sent (a header line that is none): that is a fault of whoever made it.
    takeFault(error, exchange, settings);
    const page = faultResponse(exchange, settings);
    const delivery = await server.respond(page);
    recordEnd(exchange, settings, { response: page, delivery });
  }
}
