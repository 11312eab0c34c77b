/** The limits that count for an environment: its own where it has some, the installation's otherwise. */
import type { Environment } from '../artifact/snapshot.ts';
import type { Runnable } from '../compute/types.ts';
import type { LimitKey, Limits } from '../config/limits.ts';
import { withOverrides } from '../config/overrides.ts';
import type { Destination } from './directory.ts';
import type { PopSettings } from './settings.ts';

const made = new WeakMap<Environment, Limits>();

/** Made once for each state of an environment. */
export function limitsOf(destination: Destination | null, { limits }: Pick<PopSettings, 'limits'>): Limits {
  const environment = destination?.environment;
  if (environment?.limits === undefined) return limits;
  let own = made.get(environment);
  if (own === undefined) {
    own = withOverrides(limits, environment.limits);
    made.set(environment, own);
  }
  return own;
}

/** The compute room's names for what an environment may set. */
const OF_WORKERS = {
  scheduleMs: 'compute.scheduleMs',
  responseMs: 'compute.responseMs',
  reservedMs: 'compute.reservedMs',
  requestBytes: 'compute.requestBytes',
  responseBytes: 'compute.responseBytes',
  memoryMiB: 'compute.memoryMiB',
  reservedMemoryMiB: 'compute.reservedMemoryMiB',
  tmpMiB: 'compute.tmpMiB',
  concurrencyPerWorker: 'compute.concurrencyPerWorker',
  headerCount: 'response.headerCount',
  headerBytes: 'response.headerBytes',
  headerFieldBytes: 'response.headerFieldBytes',
  cookieBytes: 'response.cookieBytes',
} as const satisfies Record<string, LimitKey>;

/** What workers of an environment have of their own; undefined when that is nothing. */
export function workerLimits(environment: Environment, limits: Limits): Runnable['limits'] {
  if (environment.limits === undefined) return undefined;
  const own = withOverrides(limits, environment.limits);
  const changed = Object.entries(OF_WORKERS).filter(([, key]) => own[key] !== limits[key]);
  return changed.length === 0 ? undefined : Object.fromEntries(changed.map(([name, key]) => [name, own[key]]));
}
