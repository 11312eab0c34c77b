/**
 * The global pipeline: takes requests that edges have already identified, looks into the shared cache, and is the
 * dialling hop for everything behind it. It decides from the same route table as the edge, so nothing but the
 * request itself and what is known of the client crosses the link.
 */
import { PassThrough, type Readable } from 'node:stream';
import type { CacheAnswer, FetchPlan } from '../cache/types.ts';
import { deliver } from '../http/deliver.ts';
import type { ServerExchange } from '../http/exchange.ts';
import { Fields } from '../http/fields.ts';
import { appendVia } from '../http/forwarded.ts';
import type { Body, HttpResponse } from '../http/message.ts';
import { asFault, Fault } from '../status/fault.ts';
import { cacheRequest, noteAsked, noteFetch } from './cache-request.ts';
import { noteChanges } from './changes.ts';
import { noteBridged } from './deliver.ts';
import { dial } from './dial.ts';
import type { Destination } from './directory.ts';
import { Exchange } from './exchange.ts';
import { takeFault } from './faults.ts';
import { loaded } from './identify.ts';
import {
  encodeReport,
  endTrailers,
  isLinkField,
  LINK_HEARTBEAT,
  LINK_REFUSED,
  LINK_REPORT,
  type LinkContext,
  type LinkReport,
  readChanged,
  readContext,
  serialiseFault,
} from './link.ts';
import { makePlan } from './plan.ts';
import { routeExchange } from './routing.ts';
import type { PopSettings } from './settings.ts';
import { tellStory } from './story.ts';

/** Handles one exchange of the link listener; never rejects. */
export function createGlobal(settings: PopSettings): (server: ServerExchange) => Promise<void> {
  return async (server) => {
    const changed = readChanged(server.request.fields, settings.linkToken);
    if (changed !== null) return takeNews(changed, server, settings);
    const context = readContext(server.request.fields, settings.linkToken);
    if (context === null) return refuse(server);
    const heartbeat = setInterval(() => server.inform(102, HEARTBEAT), settings.limits['pop.heartbeatMs']);
    heartbeat.unref();
    const exchange = beginExchange(server, context, settings);
    const response = await answer(exchange, context, server, settings).catch((error: unknown) => {
      if (server.signal.aborted) return null;
      takeFault(error, exchange, settings);
      return faultAnswer(exchange, settings);
    });
    clearInterval(heartbeat);
    if (response === null) {
      server.abort();
      return tellStory(exchange, settings, { response, delivery: null });
    }
    await respond(response, exchange, server, settings);
  };
}

async function respond(
  response: HttpResponse,
  exchange: Exchange,
  server: ServerExchange,
  settings: PopSettings,
): Promise<void> {
  try {
    const delivery = await server.respond(onTheLink(response, exchange, settings));
    tellStory(exchange, settings, { response, delivery });
  } catch (error) {
    settings.report(`an answer could not be sent over the link (request ${exchange.requestId})`, error);
    server.abort();
    tellStory(exchange, settings, { response, delivery: null });
  }
}

const HEARTBEAT = Fields.from([[LINK_HEARTBEAT, '1']]);

async function takeNews(changed: readonly string[], server: ServerExchange, { cache }: PopSettings): Promise<void> {
  await cache.invalidate(changed);
  await server.respond({ status: 204, fields: new Fields(), body: null }).catch(() => server.abort());
}

/** Whoever cannot prove to be an edge learns nothing. */
async function refuse(server: ServerExchange): Promise<void> {
  const fields = Fields.from([
    ['content-length', '0'],
    ['connection', 'close'],
    [LINK_REFUSED, 'token'],
  ]);
  await server.respond({ status: 403, fields, body: null }).catch(() => server.abort());
}

function beginExchange(server: ServerExchange, context: LinkContext, settings: PopSettings): Exchange {
  const fields = server.request.fields.clone().deleteWhere(isLinkField);
  if (!context.trailers) fields.delete('te');
  const exchange = new Exchange({
    requestId: context.requestId,
    span: context.span,
    client: {
      ip: context.clientIp,
      ...(context.peerIp === undefined ? {} : { peerIp: context.peerIp }),
      protocol: context.protocol,
      httpVersion: context.httpVersion,
    },
    request: { ...server.request, fields, host: context.host, protocol: context.protocol },
    startedMs: server.receivedAtMs,
    receivedAtMs: settings.clock.nowMs(),
  });
  exchange.preload = context.preload;
  return exchange;
}

async function answer(
  exchange: Exchange,
  context: LinkContext,
  server: ServerExchange,
  settings: PopSettings,
): Promise<HttpResponse> {
  if (settings.drained.aborted) throw new Fault({ cause: 'platform.draining', hop: 'global' });
  const destination = await destinationOf(context, settings);
  if (!destination) throw new Fault({ cause: 'platform.warming', hop: 'global' });
  exchange.destination = destination;
  const key = await routeExchange(exchange, settings, false);
  const { signal } = server;
  const onInformation = server.inform.bind(server);
  if (context.catchStatus !== undefined) {
    planCatch(exchange, context.catchStatus);
    return dial(exchange, settings, { whole: false, signal, failedStatus: context.catchStatus });
  }
  if (exchange.plan!.action === null) throw new Fault({ cause: 'route.none', hop: 'global' });
  if (context.mode === 'pass') {
    const response = await dial(exchange, settings, { whole: context.whole, signal, onInformation });
    await noteChanges(response, exchange, settings);
    return response;
  }
  const fetch = (fetchSignal: AbortSignal, plan: FetchPlan) =>
    dial(exchange, settings, { ...plan, signal: fetchSignal, onInformation });
  return fromCache(exchange, context, settings, key, fetch, signal);
}

/** An edge may have heard of a deployment before this POP has. */
async function destinationOf(context: LinkContext, settings: PopSettings): Promise<Destination | undefined> {
  const find = () => loaded(settings.directory()?.find(context.environment, context.deployment), 'global');
  const known = await find();
  if (known) return known;
  await settings.caughtUp();
  return find();
}

function planCatch(exchange: Exchange, status: number): void {
  const { request, destination } = exchange;
  const subject = { ...request, body: undefined, enforceProtocol: false };
  exchange.plan = makePlan(destination!.site.routes.matchCatches(status, subject));
}

async function fromCache(
  exchange: Exchange,
  context: LinkContext,
  settings: PopSettings,
  key: Awaited<ReturnType<typeof routeExchange>>,
  fetch: (signal: AbortSignal, plan: FetchPlan) => Promise<HttpResponse>,
  signal: AbortSignal,
): Promise<HttpResponse> {
  const { request, telemetry } = exchange;
  const started = settings.clock.monotonicMs();
  const asked = cacheRequest(exchange, settings, key, { lookupOnly: context.mode === 'lookup' });
  noteAsked(exchange, asked);
  const noted = (fetchSignal: AbortSignal, plan: FetchPlan) => {
    noteFetch(exchange, plan);
    return fetch(fetchSignal, plan);
  };
  const cached = await settings.cache.answer(asked, noted, signal);
  if (cached === null) throw new Fault({ cause: 'cache.prefetch-miss', hop: 'global' });
  exchange.cached = cached;
  await noteChanges(cached.response, exchange, settings);
  if (cached.metric === 'hit') exchange.level = 2;
  telemetry.metric('gct', settings.clock.monotonicMs() - started);
  telemetry.metric('gcc', cached.metric);
  if (cached.coalescedMs !== undefined) telemetry.metric('gcwt', cached.coalescedMs);
  const fields = cached.response.fields.clone();
  const inner = fields.get('cache-status');
  const member = `"${settings.name}"; ${cached.cacheStatus}`;
  fields.set('cache-status', inner ? `${inner}, ${member}` : member);
  if (cached.metric === 'hit') fields.set('age', String(Math.max(0, Math.floor(cached.ageSeconds))));
  noteBridged(fields, cached, settings);
  return deliver(request, { ...cached.response, fields }, { fromStore: cached.metric === 'hit', forStore: true });
}

function faultAnswer(exchange: Exchange, settings: PopSettings): HttpResponse {
  exchange.telemetry.status('gd', exchange.fault!.code);
  const fields = Fields.from([[`${settings.branding.headerPrefix}-error`, String(exchange.fault!.code)]]);
  return { status: exchange.fault!.code, fields, body: null };
}

/** Adds the report, and the trailer that says whether the body is all there was. */
function onTheLink(response: HttpResponse, exchange: Exchange, settings: PopSettings): HttpResponse {
  const { telemetry, fault, backend, backendAddress, level } = exchange;
  telemetry.metric('gh', settings.clock.monotonicMs() - exchange.startedMs);
  telemetry.status('gh', response.status);
  telemetry.component('g', settings.name);
  const fields = response.fields.clone();
  takeStored(fields, exchange, settings);
  const length =
    fields.get('content-length') ?? (Buffer.isBuffer(response.body) ? String(response.body.length) : undefined);
  const report = {
    pop: settings.name,
    metrics: telemetry.metricsText(false),
    statuses: telemetry.statuses,
    components: telemetry.components,
    level,
    ...keptOf(exchange.cached),
    ...(length === undefined ? {} : { length }),
    ...(fault === null ? {} : { fault: serialiseFault(fault) }),
    ...(backend === undefined ? {} : { backend }),
    ...(backendAddress === undefined ? {} : { backendAddress }),
  };
  appendVia(fields, '1.1', settings.name);
  fields.delete('content-length').set(LINK_REPORT, encodeReport(report));
  const { body, trailers } = endedBody(response, (broken) => {
    exchange.fault = broken;
  });
  return { status: response.status, reason: response.reason ?? '', fields, body, trailers };
}

function keptOf(cached: CacheAnswer | null): Partial<LinkReport> {
  if (!cached) return {};
  const { purgeSequence, freshForMs } = cached;
  return { purgeSequence, ...(freshForMs === undefined ? {} : { freshForMs }) };
}

/** A stored response tells of the hops behind it; its entries are part of our report. */
function takeStored(fields: Fields, exchange: Exchange, { branding }: PopSettings): void {
  const names = { statuses: `${branding.headerPrefix}-status`, components: `${branding.headerPrefix}-components` };
  const statuses = fields.get(names.statuses);
  const components = fields.get(names.components);
  exchange.telemetry.inner({ ...(statuses ? { statuses } : {}), ...(components ? { components } : {}) });
  fields.delete(names.statuses).delete(names.components);
}

/**
 * A body that fails ends with the fault as trailer instead of a broken connection, so that the edge knows what
 * happened behind us. Bodies of 204 and 304 do not exist; their trailer would not either.
 */
function endedBody(response: HttpResponse, onFault: (fault: Fault) => void): { body: Body; trailers: () => Fields } {
  let fault: Fault | null = null;
  const trailers = (): Fields => endTrailers(fault, response.trailers?.());
  if (response.body === null || Buffer.isBuffer(response.body)) return { body: response.body, trailers };
  const source: Readable = response.body;
  const body = new PassThrough();
  source.on('error', (error) => {
    fault = asFault(error, 'global');
    onFault(fault);
    source.unpipe(body);
    body.end();
  });
  body.on('close', () => source.destroy());
  return { body: source.pipe(body), trailers };
}
