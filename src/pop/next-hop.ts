/**
 * The edge's way to the global POP: sends the client's request over the link, takes the report off the answer, and
 * raises again, unchanged, a fault that happened behind it (spec "Status codes", rule R3).
 */
import type { FetchPlan } from '../cache/types.ts';
import type { Fields } from '../http/fields.ts';
import { appendVia } from '../http/forwarded.ts';
import { forwardableFields, listsToken, stripReserved } from '../http/hop-by-hop.ts';
import type { HttpResponse } from '../http/message.ts';
import { linkLimits } from '../upstream/origin.ts';
import type { Origin } from '../upstream/types.ts';
import { sendRecorded } from './calls.ts';
import type { Exchange } from './exchange.ts';
import { limitsOf } from './limits.ts';
import {
  changedFields,
  checkedLinkBody,
  encodeContext,
  isLinkField,
  LINK_CONTEXT,
  LINK_TOKEN,
  type LinkContext,
  type LinkReport,
  restoreFault,
  takeReport,
  unreported,
} from './link.ts';
import type { PopSettings } from './settings.ts';

export interface LinkCall extends FetchPlan {
  readonly mode: LinkContext['mode'];
  readonly signal: AbortSignal;
  readonly onInformation?: (status: number, fields: Fields) => void;
  /** Run the error routes for this status instead of the ordinary ones. */
  readonly catchStatus?: number;
}

const SELECTION = /^(?:range|if-range|if-(?:none-)?match|if-(?:un)?modified-since)$/;

/** Throws the `Fault` of the link (543, 546–548) or the one that the global POP reports. */
export async function askGlobal(exchange: Exchange, settings: PopSettings, call: LinkCall): Promise<HttpResponse> {
  const { request, telemetry } = exchange;
  const origin = linkFor(exchange, settings);
  const started = settings.clock.monotonicMs();
  exchange.shielded = true;
  const span = `${exchange.span}.${exchange.calls.length}`;
  const asked = {
    origin,
    hop: 'edge' as const,
    method: request.method,
    path: request.query ? `${request.path}?${request.query}` : request.path,
    fields: linkFields(exchange, settings, call, span),
    body: request.body,
    signal: call.signal,
    ...(call.onInformation ? { onInformation: call.onInformation } : {}),
  };
  const { response, attempts } = await sendRecorded(exchange, settings, asked, { span });
  const elapsed = settings.clock.monotonicMs() - started;
  const report = takeReport(response.fields);
  if (!report) throw unreported(response.fields);
  telemetry.metric('edt', elapsed);
  telemetry.metric('edd', attempts.at(-1)?.dnsMs ?? 0);
  telemetry.metric('edf', elapsed);
  telemetry.metric('dgpop', report.pop);
  telemetry.status('ed', report.fault ? statusOfFault(report) : response.status);
  return answerOf(response, report, exchange, settings);
}

/** As wide as the global POP was for this environment. */
function linkFor({ destination }: Exchange, settings: PopSettings): Origin {
  const { origin } = settings.link!;
  const limits = limitsOf(destination, settings);
  if (limits === settings.limits) return origin;
  return { ...origin, limits: linkLimits(limits) };
}

const statusOfFault = (report: LinkReport): number => restoreFault(report.fault!).code;

function answerOf(response: HttpResponse, report: LinkReport, exchange: Exchange, settings: PopSettings): HttpResponse {
  exchange.telemetry.inner({ metrics: report.metrics });
  exchange.level = report.level;
  exchange.backend = report.backend;
  exchange.backendAddress = report.backendAddress;
  if (report.fault) {
    exchange.telemetry.inner({ statuses: report.statuses, components: report.components });
    exchange.faultRaisedBy = report.pop;
    if (response.body && !Buffer.isBuffer(response.body)) response.body.resume();
    const { pop, statuses, components } = report;
    throw restoreFault(report.fault, { pop, statuses, components });
  }
  const { fields } = response;
  const prefix = settings.branding.headerPrefix;
  fields.set(`${prefix}-status`, report.statuses).set(`${prefix}-components`, report.components);
  if (report.length !== undefined) fields.set('content-length', report.length);
  const { purgeSequence, freshForMs } = report;
  const answer = {
    ...response,
    ...(purgeSequence === undefined ? {} : { purgeSequence }),
    ...(freshForMs === undefined ? {} : { freshForMs }),
  };
  if (answer.body === null || Buffer.isBuffer(answer.body)) return answer;
  const checked = checkedLinkBody(answer.body, response.trailers ?? (() => fields));
  return { ...answer, ...checked };
}

function linkFields(exchange: Exchange, settings: PopSettings, call: LinkCall, span: string): Fields {
  const { request, client, destination, requestId } = exchange;
  const fields = stripReserved(forwardableFields(request.fields), settings.branding.reservedHeaderPrefixes);
  fields.deleteWhere((name) => isLinkField(name) || (call.whole && SELECTION.test(name)));
  const context: LinkContext = {
    requestId,
    span,
    clientIp: client.ip,
    ...(client.peerIp === undefined ? {} : { peerIp: client.peerIp }),
    protocol: client.protocol,
    httpVersion: client.httpVersion,
    host: request.host,
    environment: destination!.environment.id,
    deployment: destination!.site.ref.number,
    mode: call.mode,
    edge: settings.name,
    whole: call.whole,
    trailers: listsToken(request.fields, 'te', 'trailers'),
    preload: exchange.preload,
    ...(call.catchStatus === undefined ? {} : { catchStatus: call.catchStatus }),
  };
  fields.set('host', request.host).set('te', 'trailers');
  appendVia(fields, client.httpVersion, settings.name);
  if (call.ifNoneMatch !== undefined) fields.set('if-none-match', call.ifNoneMatch);
  if (call.ifModifiedSince !== undefined) fields.set('if-modified-since', call.ifModifiedSince);
  return fields.set(LINK_TOKEN, settings.linkToken).set(LINK_CONTEXT, encodeContext(context));
}

/**
 * Tells the global POP what was changed without it. Never throws: an upstream that has done what was asked of it is
 * not failed by a link that is down, and what L2 keeps then ends with its lifetime.
 */
export async function tellGlobal(
  changedUrlKeys: readonly string[],
  exchange: Exchange,
  settings: PopSettings,
): Promise<void> {
  if (settings.link === null) return;
  const fields = changedFields(changedUrlKeys, settings.linkToken);
  const asked = { origin: settings.link.origin, hop: 'edge' as const, method: 'GET', path: '/', body: null };
  try {
    const { response } = await settings.upstream.send({ ...asked, fields, signal: AbortSignal.timeout(NEWS_MS) });
    if (response.body && !Buffer.isBuffer(response.body)) response.body.resume();
  } catch (error) {
    settings.report(`the global POP was not told of a change (request ${exchange.requestId})`, error);
  }
}

/** So long does the answer to an unsafe request wait for the global POP to know of it. */
const NEWS_MS = 1_000;

/** Whatever may be stored goes through the global POP, and so does what only it can run. */
export function needsGlobal({ plan }: Exchange, { link }: PopSettings, whole: boolean): boolean {
  if (link === null) return false;
  const action = plan!.action!;
  if (action.kind === 'worker' || action.kind === 'app') return true;
  return whole || (action.kind === 'static' && action.onNotFound === true);
}
