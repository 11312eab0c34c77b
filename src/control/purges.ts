/**
 * Purging as the control plane does it: the order is kept first, so that no POP that was away can miss it, then told
 * to every POP process; each says when nothing that it covers will be served any more. Source: spec "Caching", 8.
 */
import { isSurrogateKey, type PurgeOrder, purgePattern } from '../artifact/purge.ts';
import type { PurgeReceipt, PurgeView } from './contract.ts';
import { type FieldProblem, invalidField, invalidFields, notFound } from './problem.ts';
import type { Publisher } from './publisher.ts';
import type { ControlStore, Place } from './store.ts';

const MOST_NAMES = 5_000;

export interface PurgeParts {
  readonly store: ControlStore;
  readonly publisher: Publisher;
}

/** Resolves when it is kept and on its way; with `wait`, when every POP has answered or the time is up. */
export async function purge(parts: PurgeParts, place: Place, order: PurgeOrder, wait: boolean): Promise<PurgeView> {
  const sequence = await parts.store.purge(place, order);
  parts.publisher.announcePurge(sequence);
  if (wait) await parts.publisher.purged(sequence);
  return viewOf(sequence, parts.publisher.receipts(sequence));
}

/** How far a purge has come; 404 for one that there never was. */
export async function purgeProgress({ store, publisher }: PurgeParts, id: string): Promise<PurgeView> {
  const sequence = /^[0-9]{1,15}$/.test(id) ? Number(id) : 0;
  if (sequence === 0 || sequence > (await store.lastPurge())) throw notFound(`there is no purge '${id}'`);
  return viewOf(sequence, publisher.receipts(sequence));
}

const viewOf = (id: number, pops: readonly PurgeReceipt[]): PurgeView => ({
  id,
  done: pops.every(({ state }) => state === 'done'),
  pops,
});

/** From the body of a request; all problems at once. */
export function readPurgeOrder(body: Readonly<Record<string, unknown>>): PurgeOrder {
  const problems: FieldProblem[] = [];
  const known = new Set(['all', 'paths', 'keys', 'soft', 'wait']);
  for (const field of Object.keys(body)) {
    if (!known.has(field)) problems.push({ field, detail: `is unknown, use ${[...known].join(', ')}` });
  }
  const order: PurgeOrder = {
    all: flag(body.all, 'all', problems),
    soft: flag(body.soft, 'soft', problems),
    paths: names(body.paths, 'paths', problems, (text) => purgePattern(text) !== null, PATH),
    keys: names(body.keys, 'keys', problems, isSurrogateKey, KEY),
  };
  if (problems.length > 0) throw invalidFields(problems);
  const named = order.paths.length + order.keys.length;
  if (order.all && named > 0) throw invalidField('all', 'purges everything: leave out paths and keys');
  if (!order.all && named === 0) throw invalidField('paths', 'say what to purge: paths, keys, or all: true');
  return order;
}

const PATH = "must be a path such as '/products/*' or a URL, percent-encoded, without blanks";
const KEY = 'must be one surrogate key: visible ASCII without blanks, 1,024 at most';

function flag(value: unknown, field: string, problems: FieldProblem[]): boolean {
  if (value !== undefined && typeof value !== 'boolean') problems.push({ field, detail: 'must be true or false' });
  return value === true;
}

function names(
  value: unknown,
  field: string,
  problems: FieldProblem[],
  isOne: (text: string) => boolean,
  detail: string,
): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.length > MOST_NAMES) {
    problems.push({ field, detail: `must be a list of ${MOST_NAMES} at most` });
    return [];
  }
  for (const [at, text] of value.entries())
    if (typeof text !== 'string' || !isOne(text)) problems.push({ field: `${field}.${at}`, detail });
  return [...new Set(value as string[])];
}
