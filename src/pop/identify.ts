/**
 * From a request at the client side to the deployment that answers it: readiness, host, loop, header count, in the
 * fixed order of entry (spec "Status codes", rule R12; framing, sizes and Host syntax were the listener's).
 */
import { isRequestId, newRequestId } from '../base/request-id.ts';
import { countPasses } from '../http/cdn-loop.ts';
import { checkHeaderCount } from '../http/entry.ts';
import type { Fields } from '../http/fields.ts';
import { parseHost } from '../http/host.ts';
import { Fault } from '../status/fault.ts';
import type { Destination, Found } from './directory.ts';
import type { Exchange } from './exchange.ts';
import { limitsOf } from './limits.ts';
import { CDN_ID } from './outbound.ts';
import type { PopSettings } from './settings.ts';

/** Throws a `Fault` (535, 538, 542, 545). */
export async function identify(host: string, fields: Fields, settings: PopSettings): Promise<Destination> {
  const hop = settings.role;
  if (settings.drained.aborted) throw new Fault({ cause: 'platform.draining', hop });
  const directory = settings.directory();
  if (directory === null) throw new Fault({ cause: 'platform.no-configuration', hop });
  const destination = await loaded(directory.at(hostName(host)), hop);
  if (!destination) throw new Fault({ cause: 'host.unknown', hop, evidence: { host } });
  const passes = countPasses(fields, CDN_ID);
  const value = settings.limits.nestedRequests;
  if (passes > value) {
    throw new Fault({ cause: 'platform.loop', hop, evidence: { limit: 'nestedRequests', value, seen: passes } });
  }
  const refused = checkHeaderCount(
    fields,
    settings.branding.reservedHeaderPrefixes,
    limitsOf(destination, settings)['request.headerCount'],
  );
  if (refused) throw new Fault({ cause: refused.cause, hop, evidence: refused.evidence });
  return destination;
}

/** The request has come through the platform before: it must not wait for a fetch that may be its own. */
export const isNested = ({ request }: Exchange): boolean => countPasses(request.fields, CDN_ID) > 0;

/** Waits for a deployment that is not here yet; one that cannot be had now may be there for a later request. */
export async function loaded(found: Found, hop: PopSettings['role']): Promise<Destination | undefined> {
  try {
    return await found;
  } catch (error) {
    throw new Fault({ cause: 'platform.warming', hop, details: 'deployment-not-here', error });
  }
}

function hostName(host: string): string {
  const parsed = parseHost(host);
  return 'host' in parsed ? parsed.host : host;
}

/** The client's own id where it is well formed, else one of ours. */
export function requestIdOf(fields: Fields): { readonly requestId: string; readonly idFromClient: boolean } {
  const given = fields.get('x-request-id');
  const idFromClient = given !== undefined && isRequestId(given);
  return { requestId: idFromClient ? given : newRequestId(), idFromClient };
}
