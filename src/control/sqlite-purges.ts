/**
 * The purges of `control.db`. Kept is only what a POP could still need: the last one of each target, and of a space
 * that is purged name by name for ever the older half as one purge of everything before.
 */
import type { Purge, PurgeOrder } from '../artifact/purge.ts';
import type { Database } from './sqlite.ts';

const MOST_OF_SPACE = 20_000;

interface PurgeRow extends Omit<Purge, 'soft'> {
  readonly soft: number;
}

/** Inside a transaction. Gives the sequence. */
export function insertPurge(database: Database, space: string, order: PurgeOrder, nowMs: number): number {
  const { last } = database.get<{ last: number }>(
    'UPDATE purge_sequence SET last = max(last + 1, ?) RETURNING last',
    nowMs,
  )!;
  if (order.all && !order.soft) forgetPurges(database, space);
  const targets = [
    ...(order.all ? [['all', '']] : []),
    ...order.paths.map((path) => ['path', path]),
    ...order.keys.map((key) => ['key', key]),
  ] as [string, string][];
  for (const [kind, value] of targets) put(database, space, kind, value, order.soft, last);
  fold(database, space);
  return last;
}

/** What was stored in it can never be asked for again. */
export function forgetPurges(database: Database, space: string): void {
  database.run('DELETE FROM purges WHERE space = ?', space);
}

export const lastPurge = (database: Database): number =>
  database.get<{ last: number }>('SELECT last FROM purge_sequence')!.last;

export function purgesAfter(database: Database, sequence: number): Purge[] {
  const rows = database.all<PurgeRow>(
    'SELECT sequence, space, kind, value, soft FROM purges WHERE sequence > ? ORDER BY sequence',
    sequence,
  );
  return rows.map((row) => ({ ...row, soft: row.soft === 1 }));
}

function put(database: Database, space: string, kind: string, value: string, soft: boolean, sequence: number): void {
  database.run(
    `INSERT INTO purges (space, kind, value, soft, sequence) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET sequence = max(sequence, excluded.sequence)`,
    space,
    kind,
    value,
    Number(soft),
    sequence,
  );
}

function fold(database: Database, space: string): void {
  const { count } = database.get<{ count: number }>('SELECT count(*) AS count FROM purges WHERE space = ?', space)!;
  if (count <= MOST_OF_SPACE) return;
  const { sequence } = database.get<{ sequence: number }>(
    'SELECT sequence FROM purges WHERE space = ? ORDER BY sequence LIMIT 1 OFFSET ?',
    space,
    MOST_OF_SPACE / 2,
  )!;
  database.run('DELETE FROM purges WHERE space = ? AND sequence <= ?', space, sequence);
  put(database, space, 'all', '', false, sequence);
}
