/**
 * Answers that need neither cache nor next hop: redirects, fixed bodies, CORS preflights, credentials that are
 * missing, the way from HTTP to HTTPS. Source: spec "Routing", sections 2, 5 and 6.
 */
import { timingSafeEqual } from 'node:crypto';
import { Fields } from '../http/fields.ts';
import type { HttpResponse } from '../http/message.ts';
import { answerPreflight } from '../router/apply.ts';
import type { Action, Route } from '../router/table.ts';
import { redirectTargetOf } from '../router/template.ts';
import { Fault } from '../status/fault.ts';
import type { Exchange } from './exchange.ts';
import { jwtAnswer } from './jwt.ts';
import type { PopSettings } from './settings.ts';

/** The answer, or null when the exchange has to go on. Throws a `Fault` (401, 403, 404). */
export async function localAnswer(
  exchange: Exchange,
  settings: PopSettings,
  enforceProtocol: boolean,
): Promise<HttpResponse | null> {
  const plan = exchange.plan!;
  const preflight = preflightAnswer(exchange);
  if (preflight) return preflight;
  for (const route of plan.routes) if (route.auth) checkBasicAuth(route.auth, exchange, settings);
  const token = await jwtAnswer(exchange, settings);
  if (token) return token;
  if (plan.action === null) return withoutSender(exchange, settings, enforceProtocol);
  if (plan.action.kind === 'redirect') return redirectAnswer(plan.action, exchange);
  return plan.action.kind === 'send' ? sendAnswer(plan.action) : null;
}

function preflightAnswer({ plan, request }: Exchange): HttpResponse | null {
  const fields = new Fields();
  const ops = plan!.responseOps.flatMap((bound) => bound.ops);
  return answerPreflight(ops, request, fields) ? { status: 204, fields, body: null } : null;
}

function withoutSender(exchange: Exchange, settings: PopSettings, enforceProtocol: boolean): HttpResponse {
  const { request, client } = exchange;
  if (!enforceProtocol || client.protocol === 'https') throw new Fault({ cause: 'route.none', hop: settings.role });
  return redirectTo(
    `https://${secureHost(request.host, settings.tlsPort())}${request.path}${request.query ? `?${request.query}` : ''}`,
    301,
  );
}

/** Who came to a port of their own choosing is sent to ours; whoever came to the usual one stays with the usual one. */
function secureHost(host: string, tlsPort: number | undefined): string {
  const name = host.replace(/:\d+$/, '');
  return name === host || tlsPort === undefined || tlsPort === 443 ? name : `${name}:${tlsPort}`;
}

function redirectAnswer(action: Extract<Action, { kind: 'redirect' }>, { plan, request }: Exchange): HttpResponse {
  return redirectTo(redirectTargetOf(action.to, plan!.match, request.query), action.status);
}

const redirectTo = (location: string, status: number): HttpResponse => ({
  status,
  fields: Fields.from([
    ['location', location],
    ['content-length', '0'],
  ]),
  body: Buffer.alloc(0),
});

/** `content-type` is guessed as browsers would want it, unless a route sets one. */
export function sendAnswer(action: Extract<Action, { kind: 'send' }>, status = 200): HttpResponse {
  const body = Buffer.from(action.body);
  const looksLikeHtml = /^\s*<(?:!doctype|html|head|body|div|h\d|p)\b/i.test(action.body);
  return {
    status: action.status ?? status,
    reason: action.statusMessage ?? '',
    fields: Fields.from([
      ['content-type', looksLikeHtml ? 'text/html; charset=utf-8' : 'text/plain; charset=utf-8'],
      ['content-length', String(body.length)],
    ]),
    body,
  };
}

/** 401 without credentials, 403 with wrong ones. */
function checkBasicAuth(auth: NonNullable<Route['auth']>, exchange: Exchange, settings: PopSettings): void {
  const given = exchange.request.fields.get('authorization');
  const encoded = given === undefined ? undefined : /^basic\s+([A-Za-z0-9+/=_-]*)\s*$/i.exec(given)?.[1];
  if (encoded === undefined) {
    const realm = auth.realm.replace(/[^\x20-\x7e]|["\\]/g, '');
    const evidence = { challenge: `Basic realm="${realm}", charset="UTF-8"` };
    throw new Fault({ cause: 'request.unauthorized', hop: settings.role, evidence });
  }
  const wanted = Buffer.from(`${auth.username}:${auth.password}`);
  const seen = Buffer.from(encoded, 'base64');
  if (seen.length !== wanted.length || !timingSafeEqual(seen, wanted)) {
    throw new Fault({ cause: 'request.denied', hop: settings.role, details: 'basic-auth' });
  }
}
