/**
 * Error routes: `catch` replaces body and, if it says so, status of a failed answer. The original failure stays
 * visible in the platform's own fields. Source: spec "Routing", section 6; "Status codes", rule R10.
 */
import type { HttpResponse } from '../http/message.ts';
import type { Fault } from '../status/fault.ts';
import { finish } from './deliver.ts';
import { dial } from './dial.ts';
import type { Exchange } from './exchange.ts';
import { faultResponse } from './faults.ts';
import { limitsOf } from './limits.ts';
import { localAnswer, sendAnswer } from './local.ts';
import { askGlobal, needsGlobal } from './next-hop.ts';
import { makePlan } from './plan.ts';
import type { PopSettings } from './settings.ts';

/** Failures that are about the request or the host, before any route was asked. */
const NOT_OFFERED: ReadonlySet<number> = new Set([400, 412, 535, 538, 544, 545]);

/**
 * What an error route makes of a failed answer, or null when none applies. Without `response` the failure is the
 * exchange's fault and the result is complete; with one, the result still has to be finished.
 */
export async function catchAnswer(
  exchange: Exchange,
  settings: PopSettings,
  response?: HttpResponse,
): Promise<HttpResponse | null> {
  const { routes } = exchange.destination!.site;
  const status = response?.status ?? exchange.fault!.code;
  if (!isOffered(exchange.fault, status)) return null;
  const { request, client } = exchange;
  const subject = { ...request, body: undefined, protocol: client.protocol, enforceProtocol: false };
  const plan = makePlan(routes.matchCatches(status, subject));
  if (plan.action === null) return null;
  const failed = exchange.plan;
  exchange.failedPlan = { plan: failed, status };
  exchange.plan = { ...plan, cache: failed?.cache, responseOps: [...(failed?.responseOps ?? []), ...plan.responseOps] };
  try {
    const made = await run(exchange, settings, status);
    exchange.caught = true;
    discard(response);
    return exchange.fault === null ? made : withFailure(made, exchange, settings);
  } catch (error) {
    settings.report(`error route for ${status} failed (request ${exchange.requestId})`, error);
    exchange.plan = failed;
    exchange.failedPlan = null;
    return null;
  }
}

function isOffered(fault: Fault | null, status: number): boolean {
  return fault === null || !(NOT_OFFERED.has(status) || fault.why === 'request.header-count');
}

async function run(exchange: Exchange, settings: PopSettings, status: number): Promise<HttpResponse> {
  const action = exchange.plan!.action!;
  if (action.kind === 'send') return sendAnswer(action, status);
  const local = await localAnswer(exchange, settings, false);
  if (local) return local;
  const call = {
    whole: false,
    failedStatus: status,
    signal: AbortSignal.timeout(limitsOf(exchange.destination, settings)['compute.responseMs']),
  };
  const answer = needsGlobal(exchange, settings, false)
    ? await askGlobal(exchange, settings, { ...call, mode: 'pass', catchStatus: status })
    : await dial(exchange, settings, call);
  if (action.kind === 'worker') return answer;
  // A file or the app's own page says 200 because nothing told it otherwise: the failure's own status stays.
  return answer.status === 200 ? { ...answer, status, reason: '' } : answer;
}

/** The project's page with the platform's fields about the failure on it. */
function withFailure(made: HttpResponse, exchange: Exchange, settings: PopSettings): HttpResponse {
  const page = faultResponse(exchange, settings);
  const answer = finish(made, exchange, settings);
  for (const name of [`${settings.branding.headerPrefix}-error`, 'proxy-status', 'retry-after']) {
    const value = page.fields.get(name);
    if (value !== undefined) answer.fields.set(name, value);
  }
  answer.fields.set('cache-control', 'no-store');
  return answer;
}

function discard(response: HttpResponse | undefined): void {
  if (response?.body && !Buffer.isBuffer(response.body)) response.body.destroy();
}
