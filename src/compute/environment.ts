/** All that project code sees of the machine: the environment's variables and a few names of the platform. */
import { dirname } from 'node:path';
import type { Runnable } from './types.ts';

export interface WorkerPlace {
  readonly temporary: string;
  /** 0 when the deployment has no app server. */
  readonly port: number;
  readonly variablePrefix: string;
  /** Removed by the guest before project code runs. */
  readonly compileCache: string;
}

/** Names that would change how the guest itself starts. */
const REFUSED = /^(NODE_CHANNEL_|NODE_UNIQUE_ID$|NODE_COMPILE_CACHE$|NODE_DISABLE_COMPILE_CACHE$|BASH_ENV$|ENV$)/;

export function workerEnvironment(runnable: Runnable, place: WorkerPlace): Record<string, string> {
  const variables = Object.entries(runnable.variables).filter(([name]) => !REFUSED.test(name));
  return {
    // Commands of projects are found; their `node` is the one that the platform was tested with.
    PATH: `${dirname(process.execPath)}:/usr/local/bin:/usr/bin:/bin`,
    NODE_ENV: 'production',
    ...Object.fromEntries(variables),
    [`${place.variablePrefix}_ENVIRONMENT_NAME`]: runnable.environmentName,
    [`${place.variablePrefix}_RUNTIME`]: 'cloud',
    [`${place.variablePrefix}_BUILD_MODE`]: 'production',
    TMPDIR: place.temporary,
    ...(place.port === 0 ? {} : { PORT: String(place.port) }),
    NODE_COMPILE_CACHE: place.compileCache,
  };
}
