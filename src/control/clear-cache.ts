/**
 * `POST /api/v1/clear-cache`, as deploy scripts of Layer0 and Edgio (v4–v6) call it: the token in `x-api-key`, one
 * kind of thing per call, everything when none is named. Source: spec page platform, section 7.
 */
import { invalidField } from './problem.ts';
import { readPurgeOrder } from './purges.ts';
import type { Place } from './store.ts';

export interface ClearCache {
  readonly place: Place;
  readonly order: ReturnType<typeof readPurgeOrder>;
}

const DEFAULT_ENVIRONMENT = 'default';
const KINDS = ['paths', 'surrogateKeys', 'cacheHashes'] as const;

/** Throws a 422 `Problem` that names the field. `team` is read and means nothing: a platform has one. */
export function readClearCache(body: Readonly<Record<string, unknown>>): ClearCache {
  const { site, environment = DEFAULT_ENVIRONMENT, team: _team, ...kinds } = body;
  if (typeof site !== 'string' || site === '') throw invalidField('site', 'must name the project');
  if (typeof environment !== 'string') throw invalidField('environment', 'must be the name of an environment');
  for (const field of Object.keys(kinds))
    if (!KINDS.some((kind) => kind === field)) throw invalidField(field, `is unknown, use ${KINDS.join(' or ')}`);
  const given = KINDS.filter((kind) => kinds[kind] !== undefined);
  if (given.length > 1) throw invalidField(given[1]!, `stands beside ${given[0]}: one kind for each call`);
  if (given[0] === 'cacheHashes')
    throw invalidField('cacheHashes', 'cannot be purged one by one here: name their paths or surrogateKeys');
  const { paths, surrogateKeys } = kinds;
  const what = given.length === 0 ? { all: true } : { paths, keys: surrogateKeys };
  return { place: { project: site, environment }, order: readPurgeOrder(what) };
}
