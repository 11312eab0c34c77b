/** Rows of the SQLite tables and the records that they are. */
import { randomBytes } from 'node:crypto';
import { environmentId } from './names.ts';
import { conflict, type Problem } from './problem.ts';
import type { EnvironmentRecord, Place, VariableRecord } from './store.ts';

export interface EnvironmentRow {
  readonly project: string;
  readonly name: string;
  readonly version: number;
  readonly deployment: number;
  readonly cache_space: string;
  readonly production: number;
  readonly preserve_cache: number;
  /** JSON. */
  readonly limits: string;
  readonly created_at: string;
}

export interface VariableRow extends Place {
  readonly name: string;
  readonly value: string;
  readonly secret: number;
  readonly updated_at: string;
}

export const environmentIdOf = ({ project, environment }: Place): string => environmentId(project, environment);

/** Random, so that a control plane that lost its data never names an old space again; ends so that none is a prefix. */
export const newCacheSpace = (id: string): string => `${id}/${randomBytes(6).toString('hex')}/`;

export function taken(host: string, owner: Place): Problem {
  const { project, environment } = owner;
  const detail = `the host '${host}' belongs to environment '${environment}' of project '${project}'`;
  return conflict('host-taken', detail, { host, owner: { project, environment } });
}

export function environmentOf(row: EnvironmentRow): EnvironmentRecord {
  return {
    project: row.project,
    name: row.name,
    id: environmentId(row.project, row.name),
    version: row.version,
    deployment: row.deployment,
    cacheSpace: row.cache_space,
    production: row.production === 1,
    preserveCache: row.preserve_cache === 1,
    limits: JSON.parse(row.limits) as EnvironmentRecord['limits'],
    createdAt: row.created_at,
  };
}

export const variableOf = ({ name, value, secret, updated_at }: VariableRow): VariableRecord => ({
  name,
  value,
  secret: secret === 1,
  updatedAt: updated_at,
});
