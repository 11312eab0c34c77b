/** The shapes of the Control API (`/v1`), as the CLI and the console see them. */
import type { PopStatus } from './publisher.ts';
import type { ActivationRecord, DeploymentRecord, DomainRecord, EnvironmentRecord } from './store.ts';

/** Answer of deployments (POST), promote and rollback: the deployment that is active now. */
export interface Activated {
  readonly deployment: number;
  readonly url: string;
  readonly permalink: string;
  /** For people: POPs that have not confirmed yet, or that have trouble with something else. */
  readonly warnings: readonly string[];
}

export interface DeploymentView extends DeploymentRecord {
  readonly active: boolean;
  /** The permalink. */
  readonly url: string;
}

export interface VariableView {
  readonly name: string;
  /** Null for a secret. */
  readonly value: string | null;
  readonly secret: boolean;
  readonly updatedAt: string;
}

export interface BlobQuestion {
  readonly blobs: readonly string[];
}
export interface BlobAnswer {
  readonly missing: readonly string[];
}

export interface EnvironmentList {
  readonly environments: readonly EnvironmentRecord[];
}
export interface DeploymentList {
  readonly deployments: readonly DeploymentView[];
}
export interface ActivationList {
  readonly activations: readonly ActivationRecord[];
}
export interface DomainList {
  readonly domains: readonly (DomainRecord & { readonly url: string })[];
}
export interface VariableList {
  readonly variables: readonly VariableView[];
}

export interface ControlStatus {
  /** Snapshot version. */
  readonly version: number;
  readonly domain: string;
  readonly environments: number;
  readonly pops: readonly PopStatus[];
}

/** One line of `GET /v1/feed`. */
export type FeedLine =
  | { readonly snapshot: import('../artifact/snapshot.ts').Snapshot }
  | { readonly heartbeat: number };
