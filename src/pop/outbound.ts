/**
 * The request as project code and upstreams see it: without hop-by-hop and reserved fields, with what the platform
 * knows of the client, with the marks of the way (Via, CDN-Loop, Forwarded), and with the routes' request operations
 * applied. Source: spec "Headers and telemetry", section 2.
 */
import type { FetchPlan } from '../cache/types.ts';
import { appendPass } from '../http/cdn-loop.ts';
import type { Fields } from '../http/fields.ts';
import { appendForwarded, appendForwardedFor, appendVia } from '../http/forwarded.ts';
import { forwardableFields, stripLookalikes, stripReserved } from '../http/hop-by-hop.ts';
import { normaliseAcceptEncoding } from '../http/negotiate.ts';
import { continueTrace } from '../http/trace-context.ts';
import type { Exchange } from './exchange.ts';
import { isLinkField } from './link.ts';
import type { PopSettings } from './settings.ts';

/** Identifier of the platform in CDN-Loop: one for every POP, so that a loop through any of them is seen. */
export const CDN_ID = 'selvedge';

/** Fields that make a response partial or conditional: whoever fills a store must ask for the whole. */
const SELECTION_FIELDS = ['range', 'if-range', 'if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since'];

/** The cache's wishes: `whole` asks for all of it, unconditionally but for validators of what is stored already. */
export type OutboundOptions = Pick<FetchPlan, 'whole' | 'ifNoneMatch' | 'ifModifiedSince'>;

/** A fresh list; the exchange's own fields stay as they are. */
export function outboundFields(exchange: Exchange, settings: PopSettings, plan: OutboundOptions): Fields {
  const { request, client, requestId } = exchange;
  const fields = stripReserved(forwardableFields(request.fields), settings.branding.reservedHeaderPrefixes);
  stripLookalikes(fields.deleteWhere(isLinkField));
  if (plan.whole) for (const name of SELECTION_FIELDS) fields.delete(name);
  if (plan.ifNoneMatch !== undefined) fields.set('if-none-match', plan.ifNoneMatch);
  if (plan.ifModifiedSince !== undefined) fields.set('if-modified-since', plan.ifModifiedSince);
  const accepted = normaliseAcceptEncoding(request.fields.get('accept-encoding'));
  if (accepted === 'identity') fields.delete('accept-encoding');
  else fields.set('accept-encoding', accepted);
  fields.set('x-request-id', requestId);
  for (const [name, value] of platformFields(exchange)) fields.set(`${settings.branding.headerPrefix}-${name}`, value);
  const { ip, peerIp = ip } = client;
  appendForwardedFor(fields, peerIp);
  fields.set('x-forwarded-host', request.host).set('x-forwarded-proto', client.protocol);
  // A proxy in front that told of the client in other words only: what it told is said here.
  appendForwarded(fields, { ip: fields.has('forwarded') ? peerIp : ip, host: request.host, protocol: client.protocol });
  appendVia(fields, client.httpVersion, settings.name);
  continueTrace(fields);
  return appendPass(fields, CDN_ID);
}

/** Names without the prefix. */
function platformFields({ client, destination, device, keyed, plan, preload }: Exchange): [string, string][] {
  const fields: [string, string][] = [
    ['client-ip', client.ip],
    ['destination', 'default'],
    ['protocol', client.protocol],
    ['device', device.device],
    ['vendor', device.vendor],
    ['browser', device.browser],
    ['device-is-bot', device.isBot ? '1' : '0'],
  ];
  if (keyed?.originalQuery !== undefined) fields.push(['original-qs', keyed.originalQuery]);
  if (destination) fields.push(['version', versionOf(destination)]);
  if (preload) fields.push(['preload', '1']);
  if (plan) fields.push(['matched-routes', plan.routes.map(({ id }) => id).join(';')]);
  return fields;
}

/** Deployment number, package version, environment version, deployment time, compiler version. */
export function versionOf({ site, environment }: NonNullable<Exchange['destination']>): string {
  const { builder, routes } = site.manifest;
  return `${site.ref.number} ${builder} ${environment.version} ${site.ref.createdAt} ${routes.format}.0.0`;
}
