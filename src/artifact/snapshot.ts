/**
 * What a POP serves from: one immutable value made by the control plane, swapped whole or refused.
 * It holds no secrets of the control plane; environment variables are in it because workers need them.
 */
export interface Snapshot {
  /** Grows by one with every change. */
  readonly version: number;
  readonly environments: readonly Environment[];
  /** Lower-case host without port → what answers there. */
  readonly hosts: Readonly<Record<string, HostBinding>>;
  readonly deployments: readonly DeploymentRef[];
  /**
   * Ids (`<project>-<environment>-<number>`) of deployments that are about to become active. A POP makes them ready
   * (blobs, routes, a worker) before it confirms the snapshot, and says which of them it cannot serve and why.
   */
  readonly staged?: readonly string[];
  /**
   * States that environments are about to take. A POP loads their active deployments with them before it confirms the
   * snapshot, and tells what fails by `trialId`; it goes on serving the states above.
   */
  readonly trials?: readonly Environment[];
}

export interface Environment {
  /** `<project>-<environment>`, unique. */
  readonly id: string;
  readonly project: string;
  readonly name: string;
  /** Counts changes of the environment itself (variables, domains). */
  readonly version: number;
  /** Number of the active deployment; 0 while there is none (then only permalinks lead here). */
  readonly deployment: number;
  /** Changes whenever everything stored for the environment must be forgotten; part of every cache key. */
  readonly cacheSpace: string;
  readonly production: boolean;
  readonly variables: Readonly<Record<string, string>>;
  /** Limits of its own, by key. Absent: those of the installation. */
  readonly limits?: Readonly<Record<string, number | 'off'>>;
  /** Names of the variables that are secrets: their values are never written to a log. Absent: none. */
  readonly secrets?: readonly string[];
}

export interface DeploymentRef {
  readonly project: string;
  readonly environment: string;
  readonly number: number;
  /** Blob that holds the `DeploymentManifest`. */
  readonly manifest: string;
  /** ISO time. */
  readonly createdAt: string;
}

export interface HostBinding {
  /** Environment id. */
  readonly environment: string;
  readonly deployment: number;
  /** The deployment's own host: skips edge cache, answers for ever. */
  readonly permalink: boolean;
  /** A host that the platform made up, not a custom domain: gets `x-robots-tag: noindex`. */
  readonly generated: boolean;
}

/** What a POP's answer to a trial of an environment is known by. */
export const trialId = ({ id, deployment, version }: Environment): string => `${id}-${deployment}.v${version}`;
