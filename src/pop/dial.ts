/**
 * The dialling hop: turns a plan's action into an answer from where it really comes from, an upstream, the static
 * store or project code, then applies the upstream-response operations and the platform's compression. What leaves
 * here is what caches may store. Source: spec "Routing", sections 5 to 7; "Status codes", section 1.
 */
import type { Asset } from '../artifact/manifest.ts';
import type { ComputeCall, ComputeServices } from '../compute/types.ts';
import { compress, compressVerdict, NOT_ACCEPTED, namesAcceptEncoding } from '../http/compress.ts';
import type { Fields } from '../http/fields.ts';
import { endToEndFields, stripReserved } from '../http/hop-by-hop.ts';
import type { HttpRequest, HttpResponse } from '../http/message.ts';
import { normaliseAcceptEncoding } from '../http/negotiate.ts';
import { applyRequestOps, applyResponseOps } from '../router/apply.ts';
import type { Action, Backend } from '../router/table.ts';
import { assetPathOf, targetOf, withoutEmptyParameters } from '../router/template.ts';
import { Fault } from '../status/fault.ts';
import { backendOrigin } from '../upstream/origin.ts';
import type { UpstreamAnswer } from '../upstream/types.ts';
import { assetNames, assetResponse, findAsset, hasPermanentFiles } from './assets.ts';
import { sendRecorded } from './calls.ts';
import type { Exchange, RunRecord } from './exchange.ts';
import { limitsOf } from './limits.ts';
import { isLinkField } from './link.ts';
import { type OutboundOptions, outboundFields } from './outbound.ts';
import type { PopSettings } from './settings.ts';
import type { Site } from './site.ts';
import { roleLetter } from './telemetry.ts';

export interface DialOptions extends OutboundOptions {
  readonly signal: AbortSignal;
  readonly onInformation?: (status: number, fields: Fields) => void;
  /** The exchange runs an error route for this status. */
  readonly failedStatus?: number;
}

type ActionOf<Kind extends Action['kind']> = Extract<Action, { kind: Kind }>;

/** Answers the exchange's action first-hand. Throws a `Fault`. */
export async function dial(exchange: Exchange, settings: PopSettings, options: DialOptions): Promise<HttpResponse> {
  const plan = exchange.plan!;
  const letter = roleLetter(settings.role);
  const started = settings.clock.monotonicMs();
  const response = await answerOf(plan.action!, exchange, settings, options);
  const elapsed = settings.clock.monotonicMs() - started;
  exchange.telemetry.metric(`${letter}dt`, elapsed);
  exchange.telemetry.metric(`${letter}df`, elapsed);
  exchange.telemetry.status(`${letter}d`, response.status);
  return asUpstreamResponse(response, exchange, settings);
}

function answerOf(action: Action, exchange: Exchange, settings: PopSettings, options: DialOptions) {
  switch (action.kind) {
    case 'proxy':
      return proxyAnswer(action, exchange, settings, options);
    case 'static':
      return staticAnswer(action, exchange, settings, options);
    case 'worker':
      return workerAnswer({ kind: 'route', routeId: exchange.plan!.sender!.id }, exchange, settings, options);
    case 'app':
      return workerAnswer({ kind: 'app' }, exchange, settings, options);
    default:
      throw new Fault({ cause: 'platform.internal', hop: settings.role, details: `no dialling for ${action.kind}` });
  }
}

// ── the request that goes out ──

/** The request after the routes' operations: what an upstream or project code is asked. */
export function outboundRequest(
  exchange: Exchange,
  settings: PopSettings,
  options: OutboundOptions,
  template?: string,
): HttpRequest {
  const { request, keyed, plan } = exchange;
  const fields = outboundFields(exchange, settings, options);
  const query = keyed?.upstreamQuery ?? request.query;
  let target = targetOf(template, plan!.match, { path: request.path, query });
  for (const { ops, params } of plan!.requestOps) {
    target = applyRequestOps(ops, { method: request.method, ...target, params, fields });
  }
  return { ...request, ...target, fields };
}

// ── upstreams ──

async function proxyAnswer(
  action: ActionOf<'proxy'>,
  exchange: Exchange,
  settings: PopSettings,
  options: DialOptions,
): Promise<HttpResponse> {
  const request = outboundRequest(exchange, settings, options, action.path);
  for (const [name, value] of Object.entries(action.headers ?? {})) request.fields.set(name, value);
  const query = action.removeEmptySearchParamValues ? withoutEmptyParameters(request.query) : request.query;
  const answer = await sendToBackend(action.backend, { ...request, query }, exchange, settings, options);
  return answer.response;
}

export interface BackendCall {
  readonly signal: AbortSignal;
  readonly onInformation?: (status: number, fields: Fields) => void;
  readonly upgrade?: string;
  /** `compute` when project code asked for it. */
  readonly hop?: 'compute';
}

/** Sends a complete request to a declared backend and keeps the attempts for the record. */
export async function sendToBackend(
  name: string,
  request: HttpRequest,
  exchange: Exchange,
  settings: PopSettings,
  call: BackendCall,
): Promise<UpstreamAnswer> {
  const backend = backendOf(exchange.destination!.site, name, settings);
  const origin = backendOrigin(backend, limitsOf(exchange.destination, settings), exchange.client.protocol);
  const fields = request.fields.clone().set('host', backend.hostHeader ?? exchange.request.host);
  const path = `${(backend.basePath ?? '').replace(/\/$/, '')}${request.path}${request.query ? `?${request.query}` : ''}`;
  exchange.backend = name;
  const { method, body } = request;
  const { signal, upgrade, onInformation } = call;
  const optional = { ...(upgrade ? { upgrade } : {}), ...(onInformation ? { onInformation } : {}) };
  const hop = call.hop ?? settings.role;
  const asked = { origin, hop, method, path, fields, body, signal, ...optional };
  const answer = await sendRecorded(exchange, settings, asked, { backend: name });
  const last = answer.attempts.at(-1);
  exchange.backendAddress = last?.address;
  if (call.hop !== 'compute') recordPhases(exchange, settings, last);
  return answer;
}

function recordPhases(
  exchange: Exchange,
  settings: PopSettings,
  attempt: UpstreamAnswer['attempts'][number] | undefined,
) {
  const letter = roleLetter(settings.role);
  exchange.telemetry.metric(`${letter}dd`, attempt?.dnsMs ?? 0);
  if (attempt?.connectMs !== undefined) exchange.telemetry.metric(`${letter}dc`, attempt.connectMs);
  if (attempt?.tlsMs !== undefined) exchange.telemetry.metric(`${letter}ds`, attempt.tlsMs);
}

function backendOf(site: Site, name: string, settings: PopSettings): Backend {
  const { backends } = site.manifest.routes;
  if (Object.hasOwn(backends, name)) return backends[name]!;
  throw new Fault({
    cause: 'upstream.dns.bad-name',
    hop: settings.role,
    details: 'unknown-backend',
    evidence: { backend: name, declared: Object.keys(backends) },
  });
}

// ── static files ──

async function staticAnswer(
  action: ActionOf<'static'>,
  exchange: Exchange,
  settings: PopSettings,
  options: DialOptions,
): Promise<HttpResponse> {
  const { site } = exchange.destination!;
  const path = assetPathOf(action.path, exchange.plan!.match);
  const asset = path === null ? undefined : await assetAt(path, exchange, settings, action.permanent);
  if (asset) {
    const response = await assetResponse(asset, settings.blobFile, site.ref.createdAt);
    exchange.telemetry.component('b', 'static');
    exchange.telemetry.status('p', 200);
    // A browser that kept an old service worker would keep the old site with it.
    if (action.serviceWorker) response.fields.set('cache-control', 'no-cache').set('service-worker-allowed', '/');
    return { ...response, status: action.status ?? 200, reason: action.statusMessage ?? '' };
  }
  if (!action.onNotFound) throw missingAsset(action, path, settings);
  const render = () => workerAnswer({ kind: 'route', routeId: exchange.plan!.sender!.id }, exchange, settings, options);
  return action.loadingPage === undefined ? render() : loadingAnswer(action.loadingPage, render, exchange, settings);
}

const missingAsset = (action: ActionOf<'static'>, path: string | null, settings: PopSettings): Fault =>
  new Fault({ cause: 'route.asset-missing', hop: settings.role, evidence: { template: action.path, path } });

/** The loading page at once; the page itself is made meanwhile, so that the next request may find it. */
async function loadingAnswer(
  loadingPage: string,
  render: () => Promise<HttpResponse>,
  exchange: Exchange,
  settings: PopSettings,
): Promise<HttpResponse> {
  const { site } = exchange.destination!;
  const page = findAsset(site, loadingPage.replace(/^(\.?\/)+/, ''));
  if (!page) return render();
  exchange.loadingPage = true;
  render().catch((error: unknown) => settings.report(`rendering behind a loading page failed (${site.id})`, error));
  const response = await assetResponse(page, settings.blobFile, site.ref.createdAt);
  response.fields.set('cache-control', 'no-store');
  return response;
}

/** A file of this deployment, or of an earlier one where the project keeps some for ever. */
async function assetAt(
  path: string,
  exchange: Exchange,
  { directory, permanentFiles }: PopSettings,
  permanent?: boolean,
): Promise<Asset | undefined> {
  const { site, environment } = exchange.destination!;
  const own = findAsset(site, path);
  const now = directory();
  if (own || now === null || !(permanent || hasPermanentFiles(site))) return own;
  return permanentFiles.find(now, environment.id, assetNames(path));
}

// ── project code ──

async function workerAnswer(
  target: ComputeCall['target'],
  exchange: Exchange,
  settings: PopSettings,
  options: DialOptions,
): Promise<HttpResponse> {
  const { runnable } = exchange.destination!.site;
  const { compute, role } = settings;
  if (compute === null || runnable === null) {
    throw new Fault({ cause: 'platform.no-configuration', hop: role, details: 'no-compute' });
  }
  exchange.telemetry.component('b', 'serverless');
  const answer = compute.run({
    runnable,
    target,
    params: exchange.plan!.params,
    ...(options.failedStatus === undefined ? {} : { failedStatus: options.failedStatus }),
    request: outboundRequest(exchange, settings, options),
    requestId: exchange.requestId,
    clientIp: exchange.client.ip,
    signal: options.signal,
    services: servicesFor(exchange, settings),
  });
  const { telemetry, response } = await recordedRun(answer, target, exchange, settings);
  const { worker, ...scheduler } = telemetry;
  exchange.telemetry.metrics({ ...scheduler });
  exchange.telemetry.status('p', response.status);
  if (worker) {
    const { wi, userTimings, ...figures } = worker;
    exchange.userTimings = userTimings ?? [];
    exchange.workerInstance = wi;
    exchange.telemetry.component('wi', wi);
    exchange.telemetry.metrics({ ...figures });
    exchange.telemetry.status('w', response.status);
  }
  return response;
}

/** Keeps what the run cost, whether it answered or failed. */
async function recordedRun(
  answer: ReturnType<NonNullable<PopSettings['compute']>['run']>,
  target: ComputeCall['target'],
  exchange: Exchange,
  { clock }: PopSettings,
) {
  const name = target.kind === 'app' ? 'app' : `route ${target.routeId}`;
  const run: RunRecord = { startedMs: clock.monotonicMs(), target: name, metrics: {} };
  exchange.run = run;
  try {
    const { response, telemetry } = await answer;
    const { worker, ...scheduler } = telemetry;
    run.status = response.status;
    run.metrics = numbersOf({ ...scheduler, ...worker });
    return { response, telemetry };
  } catch (error) {
    if (error instanceof Fault) run.metrics = numbersOf(error.evidence.telemetry);
    throw error;
  } finally {
    run.endedMs = clock.monotonicMs();
  }
}

const numbersOf = (values: unknown): Record<string, number> =>
  Object.fromEntries(Object.entries(values ?? {}).filter(([, value]) => typeof value === 'number'));

/** What project code may ask the platform for while it runs; its failures are seen by compute. */
function servicesFor(exchange: Exchange, settings: PopSettings): ComputeServices {
  const { site } = exchange.destination!;
  return {
    async proxy(backend, request, signal) {
      const { response } = await sendToBackend(backend, request, exchange, settings, { signal, hop: 'compute' });
      return response;
    },
    async asset(path) {
      const asset = await assetAt(path.replace(/^(\.?\/)+/, ''), exchange, settings);
      return asset ? assetResponse(asset, settings.blobFile, site.ref.createdAt) : null;
    },
  };
}

// ── the answer that came back ──

/** Surrogate keys beyond `purge.tagsPerResponse` are left away, and the operator is told. */
function limitTags(fields: Fields, exchange: Exchange, settings: PopSettings): void {
  const most = limitsOf(exchange.destination, settings)['purge.tagsPerResponse'];
  const name = `${settings.branding.headerPrefix}-surrogate-key`;
  const tags = most === Number.POSITIVE_INFINITY ? [] : (fields.get(name) ?? '').split(/[\s,]+/).filter(Boolean);
  if (tags.length <= most) return;
  fields.set(name, tags.slice(0, most).join(' '));
  settings.report(
    `${tags.length} surrogate keys, the limit purge.tagsPerResponse is ${most}: the others are left away (request ${exchange.requestId})`,
    undefined,
  );
}

/** Without what only the platform may say, with the routes' operations applied, compressed once. */
function asUpstreamResponse(response: HttpResponse, exchange: Exchange, settings: PopSettings): HttpResponse {
  const { headerPrefix, reservedHeaderPrefixes } = settings.branding;
  const fields = stripReserved(endToEndFields(response.fields), reservedHeaderPrefixes, [
    `${headerPrefix}-surrogate-key`,
    `${headerPrefix}-upstream-requests`,
  ]).deleteWhere(isLinkField);
  if (exchange.userTimings.length > 0) {
    const timings = exchange.userTimings.map(([name, ms]) => `${name}=${ms ?? 'na'}`);
    fields.set(`${headerPrefix}-user-t`, timings.join(','));
  }
  const { request, plan } = exchange;
  for (const { ops, params } of plan!.upstreamResponseOps) {
    applyResponseOps(ops, fields, { ...request, params });
  }
  limitTags(fields, exchange, settings);
  const behind = exchange.telemetry.takeBehindCache(roleLetter(settings.role));
  fields.set(`${headerPrefix}-status`, behind.statuses);
  if (behind.components !== '') fields.set(`${headerPrefix}-components`, behind.components);
  const plain: HttpResponse = { ...response, fields };
  const accepted = normaliseAcceptEncoding(request.fields.get('accept-encoding'));
  const { coding, reason } = compressVerdict(request, plain, accepted);
  if (reason === NOT_ACCEPTED) namesAcceptEncoding(fields);
  return coding === null ? plain : compress(plain, coding);
}
