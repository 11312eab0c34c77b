/** The shapes of the Control API (`/v1`), as the CLI and the console see them. */
import type { Purge } from '../artifact/purge.ts';
import type { Snapshot } from '../artifact/snapshot.ts';
import type { TellingView } from '../observe/request-view.ts';
import type { CodeDescription } from '../status/catalogue.ts';
import type { CauseRecord } from '../status/cause-record.ts';
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

export type { RequestSummary, RequestView, TellingView } from '../observe/request-view.ts';

/** What one POP process says about a purge: done means that it serves nothing that the purge covers. */
export interface PurgeReceipt {
  readonly pop: string;
  readonly state: 'done' | 'waiting' | 'failed';
  readonly error?: string;
}

/** Answer of purges (POST, GET): how far it has come at the POPs that are connected. */
export interface PurgeView {
  readonly id: number;
  /** At every one of them. */
  readonly done: boolean;
  readonly pops: readonly PurgeReceipt[];
}

/** One line of `GET /v1/feed`. Purges come first; with them, all up to `upTo` have been told. */
export type FeedLine =
  | { readonly purges: readonly Purge[]; readonly upTo: number }
  | { readonly snapshot: Snapshot }
  | { readonly heartbeat: number };

/** One code with everything that the tables know of it (`GET /v1/codes/:code`). */
export type CodeView = Omit<CodeDescription, 'causes'> & { readonly causes: readonly CauseRecord[] };

/** A failure that the lab can provoke. */
export interface LabCaseView {
  readonly code: number;
  /** Unique within its code. */
  readonly variant: string;
  readonly cause: string;
  /** What is done, as a sentence. */
  readonly how: string;
}

/** What came of one: no differences means that it was attributed as the tables say. */
export interface LabRunLine extends LabCaseView {
  /** Hop that has to see it first-hand. */
  readonly hop: string;
  /** Null: nothing. */
  readonly got: number | null;
  readonly requestId: string;
  readonly differences: readonly string[];
  /** Its story, as the lab's own platform tells it. */
  readonly telling?: TellingView;
}
