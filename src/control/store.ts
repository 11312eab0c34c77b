/**
 * The seam of what the control plane remembers: projects, environments, deployments, activations, domains and
 * variables. Implementations live beside it and all pass `test/conformance/control-store.ts`. Every method that
 * changes something is one transaction: it happened with everything that belongs to it, or not at all.
 * Refusals are `Problem`s.
 */
import type { Purge, PurgeOrder } from '../artifact/purge.ts';
import type { Snapshot } from '../artifact/snapshot.ts';
import type { LimitOverrides } from '../config/overrides.ts';

export interface EnvironmentRecord {
  readonly project: string;
  readonly name: string;
  /** `<project>-<environment>`. */
  readonly id: string;
  /** Counts changes of variables, domains and settings. */
  readonly version: number;
  /** Number of the active deployment; 0 before the first activation. */
  readonly deployment: number;
  readonly cacheSpace: string;
  readonly production: boolean;
  /** A deployment keeps what the cache holds. Default false. */
  readonly preserveCache: boolean;
  /** Limits of its own, by key. */
  readonly limits: LimitOverrides;
  /** ISO time. */
  readonly createdAt: string;
}

export interface DeploymentRecord {
  readonly project: string;
  readonly environment: string;
  /** Counts from 1 in its environment. */
  readonly number: number;
  /** Blob that holds the manifest. */
  readonly manifest: string;
  readonly createdAt: string;
}

/** `revert`: a POP could not take the new deployment and the old one was put back. */
export type ActivationReason = 'deploy' | 'promote' | 'rollback' | 'revert';

export interface ActivationRecord {
  readonly number: number;
  /** What was active before; 0 for nothing. */
  readonly previous: number;
  readonly reason: ActivationReason;
  readonly at: string;
}

export interface DomainRecord {
  readonly host: string;
  readonly project: string;
  readonly environment: string;
  readonly createdAt: string;
}

export interface VariableRecord {
  readonly name: string;
  readonly value: string;
  readonly secret: boolean;
  readonly updatedAt: string;
}

export interface EnvironmentSettings {
  readonly production?: boolean;
  readonly preserveCache?: boolean;
  /** All of them; others are gone. */
  readonly limits?: LimitOverrides;
}

/** Names one environment. */
export interface Place {
  readonly project: string;
  readonly environment: string;
}

export interface ControlStore {
  environments(): Promise<EnvironmentRecord[]>;
  /** 404 when there is none. */
  environment(place: Place): Promise<EnvironmentRecord>;
  /** Makes the environment if there is none. */
  configure(place: Place, settings: EnvironmentSettings): Promise<EnvironmentRecord>;

  /** Makes project and environment when they are new; 422 for bad names, 409 `host-taken` for colliding hosts. */
  addDeployment(place: Place, manifest: string): Promise<DeploymentRecord>;
  /** Newest first. */
  deployments(place: Place): Promise<DeploymentRecord[]>;
  /** 404 when there is none. */
  deployment(place: Place, number: number): Promise<DeploymentRecord>;

  /** Makes a deployment the active one (0: none, only to revert a first deployment). */
  activate(place: Place, number: number, reason: ActivationReason): Promise<ActivationRecord>;
  /** Newest first. */
  activations(place: Place): Promise<ActivationRecord[]>;
  /** What was active before the active deployment was deployed or promoted; 409 when there is nothing. */
  rollbackTarget(place: Place): Promise<number>;

  /** 409 `host-taken` with the owner when the host leads elsewhere. Adding it again changes nothing. */
  addDomain(place: Place, host: string): Promise<DomainRecord>;
  /** 404 when the environment has no such domain. */
  removeDomain(place: Place, host: string): Promise<void>;
  domains(place: Place): Promise<DomainRecord[]>;

  /** A new value also starts a new cache space, because pages may have been made with the old one. */
  setVariable(place: Place, variable: Pick<VariableRecord, 'name' | 'value' | 'secret'>): Promise<VariableRecord>;
  removeVariable(place: Place, name: string): Promise<void>;
  variables(place: Place): Promise<VariableRecord[]>;

  /** Keeps it for POPs that have not heard of it. Gives its sequence. 404 when there is no such environment. */
  purge(place: Place, order: PurgeOrder): Promise<number>;
  /** Sequence of the last one; 0 when there was none. */
  lastPurge(): Promise<number>;
  /**
   * What a POP that knows all up to `sequence` still has to be told, oldest first. Bounded: of the same target only
   * the last one, nothing of spaces that are no more, and instead of too many old ones one that covers them all.
   */
  purgesAfter(sequence: number): Promise<Purge[]>;

  /** A new snapshot version without any other change. */
  touch(): Promise<number>;
  snapshot(options?: { readonly maskSecrets?: boolean }): Promise<Snapshot>;
  close(): Promise<void>;
}
