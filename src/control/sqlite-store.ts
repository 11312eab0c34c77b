/** `ControlStore` in one SQLite file: the embedded store of a control plane on one machine. */
import { randomBytes } from 'node:crypto';
import type { Snapshot } from '../artifact/snapshot.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { composeSnapshot } from './compose.ts';
import { canonicalHost, checkNames, checkVariableName, environmentId, idsCollide, isGeneratedHost } from './names.ts';
import { conflict, notFound, type Problem } from './problem.ts';
import { Database } from './sqlite.ts';
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
  readonly clock?: Clock;
}

interface EnvironmentRow {
  readonly project: string;
  readonly name: string;
  readonly version: number;
  readonly deployment: number;
  readonly cache_space: string;
  readonly production: number;
  readonly preserve_cache: number;
  readonly created_at: string;
}

interface VariableRow extends Place {
  readonly name: string;
  readonly value: string;
  readonly secret: number;
  readonly updated_at: string;
}

const DEPLOYMENT = 'project, environment, number, manifest, created_at AS createdAt';
const DOMAIN = 'host, project, environment, created_at AS createdAt';
const ACTIVATION = 'number, previous, reason, at';

export class SqliteStore implements ControlStore {
  readonly #database: Database;
  readonly #domain: string;
  readonly #clock: Clock;

  constructor({ path, domain, clock = systemClock }: SqliteStoreOptions) {
    this.#database = new Database(path, MIGRATIONS);
    this.#domain = domain;
    this.#clock = clock;
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
      const { production, preserveCache } = { ...this.#ensure(place), ...settings };
      this.#database.run(
        'UPDATE environments SET production = ?, preserve_cache = ?, version = version + 1 WHERE project = ? AND name = ?',
        Number(production),
        Number(preserveCache),
        place.project,
        place.environment,
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
        place.project,
        place.environment,
        manifest,
        this.#now(),
      )!;
    });
  }

  async deployments({ project, environment }: Place): Promise<DeploymentRecord[]> {
    return this.#database.all<DeploymentRecord>(
      `SELECT ${DEPLOYMENT} FROM deployments WHERE project = ? AND environment = ? ORDER BY number DESC`,
      project,
      environment,
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
        place.project,
        place.environment,
        number,
        environment.deployment,
        reason,
        this.#now(),
      )!;
      this.#database.run(
        'UPDATE environments SET deployment = ? WHERE project = ? AND name = ?',
        number,
        place.project,
        place.environment,
      );
      this.#renewCache(environment);
      return activation;
    });
  }

  async activations({ project, environment }: Place): Promise<ActivationRecord[]> {
    return this.#database.all<ActivationRecord>(
      `SELECT ${ACTIVATION} FROM activations WHERE project = ? AND environment = ? ORDER BY id DESC`,
      project,
      environment,
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
        place.project,
        place.environment,
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
        place.project,
        place.environment,
      );
      if (removed === 0) throw notFound(`${environmentIdOf(place)} has no domain '${name}'`);
      this.#bump(place);
    });
  }

  async domains({ project, environment }: Place): Promise<DomainRecord[]> {
    return this.#database.all<DomainRecord>(
      `SELECT ${DOMAIN} FROM domains WHERE project = ? AND environment = ? ORDER BY host`,
      project,
      environment,
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
        place.project,
        place.environment,
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
        place.project,
        place.environment,
        name,
      );
      if (removed === 0) throw notFound(`${environmentIdOf(place)} has no variable '${name}'`);
      this.#bump(place);
      this.#renewCache(this.#find(place)!);
    });
  }

  async variables({ project, environment }: Place): Promise<VariableRecord[]> {
    const rows = this.#database.all<VariableRow>(
      'SELECT * FROM variables WHERE project = ? AND environment = ? ORDER BY name',
      project,
      environment,
    );
    return rows.map(({ name, value, secret, updated_at }) => ({
      name,
      value,
      secret: secret === 1,
      updatedAt: updated_at,
    }));
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
    return this.#database.all<EnvironmentRow>('SELECT * FROM environments ORDER BY project, name').map(fromRow);
  }

  #find({ project, environment }: Place): EnvironmentRecord | undefined {
    const row = this.#database.get<EnvironmentRow>(
      'SELECT * FROM environments WHERE project = ? AND name = ?',
      project,
      environment,
    );
    return row && fromRow(row);
  }

  #ensure(place: Place): EnvironmentRecord {
    const found = this.#find(place);
    if (found) return found;
    checkNames(place.project, place.environment);
    this.#refuseColliding(place);
    const now = this.#now();
    this.#database.run(
      'INSERT INTO projects (name, created_at) VALUES (?, ?) ON CONFLICT DO NOTHING',
      place.project,
      now,
    );
    this.#database.run(
      `INSERT INTO environments (project, name, version, deployment, cache_space, production, preserve_cache, created_at)
       VALUES (?, ?, 1, 0, ?, ?, 0, ?)`,
      place.project,
      place.environment,
      newCacheSpace(environmentIdOf(place)),
      Number(place.environment === 'production'),
      now,
    );
    return this.#find(place)!;
  }

  #deployment(place: Place, number: number): DeploymentRecord {
    const found = this.#database.get<DeploymentRecord>(
      `SELECT ${DEPLOYMENT} FROM deployments WHERE project = ? AND environment = ? AND number = ?`,
      place.project,
      place.environment,
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

  #refuseTaken(place: Place, host: string): void {
    const owner = this.#domainOf(host);
    if (owner && (owner.project !== place.project || owner.environment !== place.environment)) throw taken(host, owner);
    const generated = this.#environments().find((it) => isGeneratedHost(host, it.id, this.#domain));
    if (generated) throw taken(host, { project: generated.project, environment: generated.name });
  }

  #bump({ project, environment }: Place): void {
    this.#database.run(
      'UPDATE environments SET version = version + 1 WHERE project = ? AND name = ?',
      project,
      environment,
    );
  }

  #renewCache({ id, project, name, preserveCache }: EnvironmentRecord): void {
    if (preserveCache) return;
    this.#database.run(
      'UPDATE environments SET cache_space = ? WHERE project = ? AND name = ?',
      newCacheSpace(id),
      project,
      name,
    );
  }

  #variablesById(maskSecrets: boolean): Map<string, Record<string, string>> {
    const byId = new Map<string, Record<string, string>>();
    for (const row of this.#database.all<VariableRow>('SELECT * FROM variables ORDER BY project, environment, name')) {
      const id = environmentIdOf(row);
      const variables = byId.get(id) ?? {};
      variables[row.name] = maskSecrets && row.secret === 1 ? MASK : row.value;
      byId.set(id, variables);
    }
    return byId;
  }
}

const environmentIdOf = ({ project, environment }: Place): string => environmentId(project, environment);

/** Random, so that a control plane that lost its data never names an old space again; ends so that none is a prefix. */
const newCacheSpace = (id: string): string => `${id}/${randomBytes(6).toString('hex')}/`;

function taken(host: string, owner: Place): Problem {
  const { project, environment } = owner;
  const detail = `the host '${host}' belongs to environment '${environment}' of project '${project}'`;
  return conflict('host-taken', detail, { host, owner: { project, environment } });
}

function fromRow(row: EnvironmentRow): EnvironmentRecord {
  return {
    project: row.project,
    name: row.name,
    id: environmentId(row.project, row.name),
    version: row.version,
    deployment: row.deployment,
    cacheSpace: row.cache_space,
    production: row.production === 1,
    preserveCache: row.preserve_cache === 1,
    createdAt: row.created_at,
  };
}
