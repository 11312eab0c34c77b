/** The access record of a finished exchange. Field meanings are those of the log-field table. */
import type { HttpResponse } from '../http/message.ts';
import type { Delivery } from '../http/send.ts';
import type { AccessRecord } from '../observe/log-fields.ts';
import { cachingStatusOf } from './deliver.ts';
import type { Exchange } from './exchange.ts';
import { versionOf } from './outbound.ts';
import type { PopSettings } from './settings.ts';
import { type Ending, tellStory } from './story.ts';

/** The end of an exchange with a client: its line in the access log and, where it has one, its story. */
export function recordEnd(exchange: Exchange, settings: PopSettings, ending: Ending): void {
  settings.record(accessRecord(exchange, settings, ending.response, ending.delivery));
  tellStory(exchange, settings, ending);
  exchange.told = true;
}

/** `response` null: the client left before an answer. `delivery` null: it was cut while it went out. */
export function accessRecord(
  exchange: Exchange,
  settings: PopSettings,
  response: HttpResponse | null,
  delivery: Delivery | null,
): Partial<AccessRecord> {
  return {
    timestamp: exchange.receivedAtMs,
    rid: exchange.requestId,
    v: settings.version,
    ...ofClient(exchange),
    ...ofDestination(exchange),
    ...ofCache(exchange, response?.status),
    ...(response ? ofResponse(response, settings) : {}),
    ...ofFault(exchange),
    s_rq: requestBytes(exchange),
    s_rs: delivery?.bytes ?? 0,
    done: delivery?.completed === true,
    xmt: exchange.telemetry.metricsText(settings.branding.preset !== 'selvedge'),
    t: exchange.telemetry.metricsText(settings.branding.preset !== 'selvedge'),
    xms: exchange.telemetry.statuses,
    xmr: exchange.plan?.routes.map(({ id }) => id).join(';') ?? '',
    ...(exchange.backend === undefined ? {} : { be: exchange.backend }),
    ...(exchange.backendAddress === undefined ? {} : { bip: exchange.backendAddress }),
    ...(exchange.prefetch ? { pre: 1 } : {}),
    lp: exchange.loadingPage,
    prl: exchange.preload,
    jwt: exchange.jwt ?? '',
  };
}

function ofClient({ client, request, device }: Exchange): Partial<AccessRecord> {
  const text = (name: string): string => request.fields.get(name) ?? '';
  return {
    ip: client.ip,
    xff: text('x-forwarded-for'),
    ssl: client.protocol === 'https',
    h2: client.httpVersion === '2.0',
    psh: false,
    met: request.method,
    hh: request.host,
    url: request.query ? `${request.path}?${request.query}` : request.path,
    rfr: text('referer'),
    ua: text('user-agent'),
    ac: text('accept-encoding'),
    dv: device.device,
    vn: device.vendor,
    br: device.browser,
    bot: device.isBot,
  };
}

function ofDestination({ destination }: Exchange): Partial<AccessRecord> {
  if (!destination) return {};
  const { environment, site } = destination;
  return {
    bld: String(site.ref.number),
    eid: environment.id,
    ev: environment.version,
    cv: versionOf(destination).split(' ')[1]!,
    prod: environment.production,
    ds: 'default',
  };
}

function ofCache({ cached, keyed, shielded, level }: Exchange, status: number | undefined): Partial<AccessRecord> {
  if (!cached)
    return { sh: shielded, clv: 0, stl: false, ...(status === undefined ? {} : { cs: cachingStatusOf(null, status) }) };
  return {
    hrid: cached.hitRequestId ?? '',
    ic: cached.verdict.status === 'ok',
    cs: cached.verdict.status,
    clv: level,
    sh: shielded,
    stl: cached.stale,
    ckh: keyed?.hash ?? '',
    ttl: cached.ttlSeconds === undefined ? '' : String(Math.round(cached.ttlSeconds)),
  };
}

function ofResponse({ status, fields }: HttpResponse, { branding }: PopSettings): Partial<AccessRecord> {
  const encoding = fields.get('content-encoding');
  return {
    code: String(status),
    ct: fields.get('content-type') ?? '',
    ce: encoding ?? '',
    zip: encoding !== undefined,
    xut: fields.get(`${branding.headerPrefix}-user-t`) ?? '',
    pstat: fields.get('proxy-status') ?? '',
    er: fields.has(`${branding.headerPrefix}-error`),
  };
}

function ofFault({ fault }: Exchange): Partial<AccessRecord> {
  if (!fault) return {};
  return { xcode: String(fault.code), fault: fault.why, hop: fault.hop, act: fault.acts };
}

function requestBytes({ request }: Exchange): number {
  const body = Buffer.isBuffer(request.body) ? request.body.length : Number(request.fields.get('content-length') ?? 0);
  return request.method.length + request.path.length + request.query.length + 12 + request.fields.byteLength() + body;
}
