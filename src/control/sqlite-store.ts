/** `ControlStore` in one SQLite file: the embedded store of a control plane on one machine. */
import type { Purge, PurgeOrder } from '../artifact/purge.ts';
import type { Snapshot } from '../artifact/snapshot.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { composeSnapshot, type Variables } from './compose.ts';
import { canonicalHost, checkNames, checkVariableName, idsCollide, isGeneratedHost } from './names.ts';
import { conflict, notFound } from './problem.ts';
import { Database } from './sqlite.ts';
import { forgetPurges, insertPurge, lastPurge, purgesAfter } from './sqlite-purges.ts';
import {
  type EnvironmentRow,
  environmentIdOf,
  environmentOf,
  newCacheSpace,
  taken,
  type VariableRow,
  variableOf,
} from './sqlite-rows.ts';
import { MIGRATIONS } from './sqlite-schema.ts';
import type {
  ActivationReason,
  ActivationRecord,
  ControlStore,
  DeploymentRecord,
  DomainRecord,
  EnvironmentRecord,
  EnvironmentSettings,
  Place,
  VariableRecord,
} from './store.ts';

const MASK = '********';

export interface SqliteStoreOptions {
  /** Path of the file; its folder must exist. */
  readonly path: string;
  /** Under which generated hosts lie, e.g. `localhost`. */
  readonly domain: string;
  /** Most environments of one project: limit `environments`. Default: any number. */
  readonly mostEnvironments?: number;
  readonly clock?: Clock;
}

const keyOf = ({ project, environment }: Place): [string, string] => [project, environment];

const DEPLOYMENT = 'project, environment, number, manifest, created_at AS createdAt';
const DOMAIN = 'host, project, environment, created_at AS createdAt';
const ACTIVATION = 'number, previous, reason, at';

export class SqliteStore implements ControlStore {
  readonly #database: Database;
  readonly #domain: string;
  readonly #clock: Clock;
  readonly #mostEnvironments: number;

  constructor({ path, domain, clock = systemClock, mostEnvironments = Number.POSITIVE_INFINITY }: SqliteStoreOptions) {
    this.#database = new Database(path, MIGRATIONS);
    this.#domain = domain;
    this.#clock = clock;
    this.#mostEnvironments = mostEnvironments;
  }

  async environments(): Promise<EnvironmentRecord[]> {
    return this.#environments();
  }

  async environment(place: Place): Promise<EnvironmentRecord> {
    const found = this.#find(place);
    if (found === undefined) throw notFound(`there is no environment '${place.environment}' of '${place.project}'`);
    return found;
  }

  async configure(place: Place, settings: EnvironmentSettings): Promise<EnvironmentRecord> {
    return this.#change(() => {
      const { production, preserveCache, limits } = { ...this.#ensure(place), ...settings };
      this.#database.run(
        'UPDATE environments SET production = ?, preserve_cache = ?, limits = ?, version = version + 1 WHERE project = ? AND name = ?',
        Number(production),
        Number(preserveCache),
        JSON.stringify(limits),
        ...keyOf(place),
      );
      return this.#find(place)!;
    });
  }

  async addDeployment(place: Place, manifest: string): Promise<DeploymentRecord> {
    return this.#change(() => {
      this.#ensure(place);
      return this.#database.get<DeploymentRecord>(
        `INSERT INTO deployments (project, environment, number, manifest, created_at)
         SELECT ?1, ?2, coalesce(max(number), 0) + 1, ?3, ?4 FROM deployments WHERE project = ?1 AND environment = ?2
         RETURNING ${DEPLOYMENT}`,
        ...keyOf(place),
        manifest,
        this.#now(),
      )!;
    });
  }

  async deployments(place: Place): Promise<DeploymentRecord[]> {
    return this.#database.all<DeploymentRecord>(
      `SELECT ${DEPLOYMENT} FROM deployments WHERE project = ? AND environment = ? ORDER BY number DESC`,
      ...keyOf(place),
    );
  }

  async deployment(place: Place, number: number): Promise<DeploymentRecord> {
    return this.#deployment(place, number);
  }

  async activate(place: Place, number: number, reason: ActivationReason): Promise<ActivationRecord> {
    return this.#change(() => {
      const environment = this.#ensure(place);
      if (number !== 0) this.#deployment(place, number);
      const activation = this.#database.get<ActivationRecord>(
        `INSERT INTO activations (project, environment, number, previous, reason, at) VALUES (?, ?, ?, ?, ?, ?)
         RETURNING ${ACTIVATION}`,
        ...keyOf(place),
        number,
        environment.deployment,
        reason,
        this.#now(),
      )!;
      this.#database.run(
        'UPDATE environments SET deployment = ? WHERE project = ? AND name = ?',
        number,
        ...keyOf(place),
      );
      this.#renewCache(environment);
      return activation;
    });
  }

  async activations(place: Place): Promise<ActivationRecord[]> {
    return this.#database.all<ActivationRecord>(
      `SELECT ${ACTIVATION} FROM activations WHERE project = ? AND environment = ? ORDER BY id DESC`,
      ...keyOf(place),
    );
  }

  async rollbackTarget(place: Place): Promise<number> {
    const { deployment } = await this.environment(place);
    const chosen = (await this.activations(place)).find(
      ({ number, reason }) => number === deployment && (reason === 'deploy' || reason === 'promote'),
    );
    if (chosen && chosen.previous > 0) return chosen.previous;
    throw conflict('nothing-before', `no deployment of ${environmentIdOf(place)} was active before this one`);
  }

  async addDomain(place: Place, host: string): Promise<DomainRecord> {
    const name = canonicalHost(host);
    return this.#change(() => {
      this.#ensure(place);
      this.#refuseTaken(place, name);
      this.#database.run(
        'INSERT INTO domains (host, project, environment, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
        name,
        ...keyOf(place),
        this.#now(),
      );
      this.#bump(place);
      return this.#domainOf(name)!;
    });
  }

  async removeDomain(place: Place, host: string): Promise<void> {
    const name = canonicalHost(host);
    this.#change(() => {
      const removed = this.#database.run(
        'DELETE FROM domains WHERE host = ? AND project = ? AND environment = ?',
        name,
        ...keyOf(place),
      );
      if (removed === 0) throw notFound(`${environmentIdOf(place)} has no domain '${name}'`);
      this.#bump(place);
    });
  }

  async domains(place: Place): Promise<DomainRecord[]> {
    return this.#database.all<DomainRecord>(
      `SELECT ${DOMAIN} FROM domains WHERE project = ? AND environment = ? ORDER BY host`,
      ...keyOf(place),
    );
  }

  async setVariable(
    place: Place,
    { name, value, secret }: Pick<VariableRecord, 'name' | 'value' | 'secret'>,
  ): Promise<VariableRecord> {
    checkVariableName(name);
    const updatedAt = this.#now();
    return this.#change(() => {
      const environment = this.#ensure(place);
      this.#database.run(
        `INSERT INTO variables (project, environment, name, value, secret, updated_at) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET value = excluded.value, secret = excluded.secret, updated_at = excluded.updated_at`,
        ...keyOf(place),
        name,
        value,
        Number(secret),
        updatedAt,
      );
      this.#bump(place);
      this.#renewCache(environment);
      return { name, value, secret, updatedAt };
    });
  }

  async removeVariable(place: Place, name: string): Promise<void> {
    this.#change(() => {
      const removed = this.#database.run(
        'DELETE FROM variables WHERE project = ? AND environment = ? AND name = ?',
        ...keyOf(place),
        name,
      );
      if (removed === 0) throw notFound(`${environmentIdOf(place)} has no variable '${name}'`);
      this.#bump(place);
      this.#renewCache(this.#find(place)!);
    });
  }

  async variables(place: Place): Promise<VariableRecord[]> {
    const rows = this.#database.all<VariableRow>(
      'SELECT * FROM variables WHERE project = ? AND environment = ? ORDER BY name',
      ...keyOf(place),
    );
    return rows.map(variableOf);
  }

  /** No new snapshot: POPs are told of purges by themselves. */
  async purge(place: Place, order: PurgeOrder): Promise<number> {
    const { cacheSpace } = await this.environment(place);
    return this.#database.transaction(() => insertPurge(this.#database, cacheSpace, order, this.#clock.nowMs()));
  }

  async lastPurge(): Promise<number> {
    return lastPurge(this.#database);
  }

  async purgesAfter(sequence: number): Promise<Purge[]> {
    return purgesAfter(this.#database, sequence);
  }

  async touch(): Promise<number> {
    return this.#change(() => this.#version() + 1);
  }

  async snapshot({ maskSecrets = false } = {}): Promise<Snapshot> {
    const state = this.#database.transaction(() => ({
      version: this.#version(),
      environments: this.#environments(),
      deployments: this.#database.all<DeploymentRecord>(
        `SELECT ${DEPLOYMENT} FROM deployments ORDER BY project, environment, number`,
      ),
      domains: this.#database.all<DomainRecord>(`SELECT ${DOMAIN} FROM domains ORDER BY host`),
      variables: this.#variablesById(maskSecrets),
    }));
    return composeSnapshot(state, this.#domain);
  }

  async close(): Promise<void> {
    this.#database.close();
  }

  /** One transaction that ends in a new snapshot version. */
  #change<Result>(work: () => Result): Result {
    return this.#database.transaction(() => {
      const result = work();
      this.#database.run('UPDATE snapshot SET version = version + 1');
      return result;
    });
  }

  #version(): number {
    return this.#database.get<{ version: number }>('SELECT version FROM snapshot')!.version;
  }

  #now(): string {
    return new Date(this.#clock.nowMs()).toISOString();
  }

  #environments(): EnvironmentRecord[] {
    return this.#database.all<EnvironmentRow>('SELECT * FROM environments ORDER BY project, name').map(environmentOf);
  }

  #find(place: Place): EnvironmentRecord | undefined {
    const row = this.#database.get<EnvironmentRow>(
      'SELECT * FROM environments WHERE project = ? AND name = ?',
      ...keyOf(place),
    );
    return row && environmentOf(row);
  }

  #ensure(place: Place): EnvironmentRecord {
    const found = this.#find(place);
    if (found) return found;
    checkNames(...keyOf(place));
    this.#refuseColliding(place);
    this.#refuseTooMany(place);
    const now = this.#now();
    this.#database.run(
      'INSERT INTO projects (name, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING',
      place.project,
      now,
    );
    this.#database.run(
      `INSERT INTO environments (project, name, version, deployment, cache_space, production, preserve_cache, created_at)
       VALUES (?, ?, 1, 0, ?, ?, 0, ?)`,
      ...keyOf(place),
      newCacheSpace(environmentIdOf(place)),
      Number(place.environment === 'production'),
      now,
    );
    return this.#find(place)!;
  }

  #deployment(place: Place, number: number): DeploymentRecord {
    const found = this.#database.get<DeploymentRecord>(
      `SELECT ${DEPLOYMENT} FROM deployments WHERE project = ? AND environment = ? AND number = ?`,
      ...keyOf(place),
      number,
    );
    if (found === undefined) throw notFound(`${environmentIdOf(place)} has no deployment ${number}`);
    return found;
  }

  #domainOf(host: string): DomainRecord | undefined {
    return this.#database.get<DomainRecord>(`SELECT ${DOMAIN} FROM domains WHERE host = ?`, host);
  }

  /** A new environment must not take hosts that others answer on, nor such that it would get later. */
  #refuseColliding(place: Place): void {
    const id = environmentIdOf(place);
    for (const other of this.#environments()) {
      if (idsCollide(id, other.id)) throw taken(`${id}.${this.#domain}`, { ...other, environment: other.name });
    }
    for (const domain of this.#database.all<DomainRecord>(`SELECT ${DOMAIN} FROM domains`)) {
      if (isGeneratedHost(domain.host, id, this.#domain)) throw taken(domain.host, domain);
    }
  }

  #refuseTooMany({ project }: Place): void {
    const count = this.#environments().filter((it) => it.project === project).length;
    const value = this.#mostEnvironments;
    if (count < value) return;
    const detail = `project '${project}' has ${count} environments; the limit environments is ${value}`;
    throw conflict('limit', detail, { limit: 'environments', value, seen: count + 1 });
  }

  #refuseTaken(place: Place, host: string): void {
    const owner = this.#domainOf(host);
    if (owner && (owner.project !== place.project || owner.environment !== place.environment)) throw taken(host, owner);
    const generated = this.#environments().find((it) => isGeneratedHost(host, it.id, this.#domain));
    if (generated) throw taken(host, { project: generated.project, environment: generated.name });
  }

  #bump(place: Place): void {
    this.#database.run('UPDATE environments SET version = version + 1 WHERE project = ? AND name = ?', ...keyOf(place));
  }

  #renewCache({ id, project, name, cacheSpace, preserveCache }: EnvironmentRecord): void {
    if (preserveCache) return;
    forgetPurges(this.#database, cacheSpace);
    this.#database.run(
      'UPDATE environments SET cache_space = ? WHERE project = ? AND name = ?',
      newCacheSpace(id),
      project,
      name,
    );
  }

  #variablesById(maskSecrets: boolean): Map<string, Variables> {
    const byId = new Map<string, { values: Record<string, string>; secrets: string[] }>();
    for (const row of this.#database.all<VariableRow>('SELECT * FROM variables ORDER BY project, environment, name')) {
      const id = environmentIdOf(row);
      const variables = byId.get(id) ?? { values: {}, secrets: [] };
      variables.values[row.name] = maskSecrets && row.secret === 1 ? MASK : row.value;
      if (row.secret === 1) variables.secrets.push(row.name);
      byId.set(id, variables);
    }
    return byId;
  }
}
