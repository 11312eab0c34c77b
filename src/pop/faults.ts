/** A failed exchange as an answer: the rendered fault with everything the platform says about an exchange. */
import { Fields } from '../http/fields.ts';
import type { HttpResponse } from '../http/message.ts';
import { renderFault } from '../status/error-page.ts';
import { asFault } from '../status/fault.ts';
import { passedOn, stamp } from './deliver.ts';
import type { Exchange } from './exchange.ts';
import type { PopSettings } from './settings.ts';

/** Remembers the fault on the exchange; what is not a fault yet is a hole of ours and is reported. */
export function takeFault(error: unknown, exchange: Exchange, settings: PopSettings): void {
  const fault = asFault(error, settings.role);
  if (fault.code === 530)
    settings.report(
      `request ${exchange.requestId} failed inside the platform (selvedge why ${exchange.requestId})`,
      error,
    );
  exchange.fault = fault;
  const { raisedBy } = fault;
  // Somebody else asked the global POP, and this exchange waited for what it would say.
  if (raisedBy === undefined || exchange.faultRaisedBy !== undefined) return;
  exchange.faultRaisedBy = raisedBy.pop;
  exchange.telemetry.inner(raisedBy);
}

/** The page of the exchange's fault. `headers` are further fields, such as WWW-Authenticate. */
export function faultResponse(
  exchange: Exchange,
  settings: PopSettings,
  headers: Iterable<[string, string]> = [],
): HttpResponse {
  const fault = exchange.fault!;
  const rendered = renderFault(fault, {
    accept: exchange.request.fields.get('accept'),
    requestId: exchange.requestId,
    host: exchange.request.host,
    branding: settings.branding,
    identity: exchange.faultRaisedBy ?? settings.name,
    style: settings.style,
    viaGlobal: exchange.faultRaisedBy !== undefined,
  });
  const fields = Fields.from([...rendered.headers, ...headers]);
  fields.set('content-length', String(rendered.body.length));
  if (exchange.faultRaisedBy !== undefined) {
    fields.set('proxy-status', passedOn(fields.get('proxy-status')!, exchange, settings));
  }
  stamp(fields, rendered.status, exchange, settings);
  return { status: rendered.status, reason: rendered.reason, fields, body: rendered.body };
}
