/**
 * What the control plane does, whoever asks: every change goes to the store first and then to the POPs. A
 * deployment becomes active in two steps: it is announced as `staged` and every connected POP makes it ready while
 * the old one serves; only when none refuses does the environment switch.
 */
import { type DeploymentRef, type Environment, type Snapshot, trialId } from '../artifact/snapshot.ts';
import type { BlobStore } from './blobs.ts';
import { environmentHost, permalinkHost } from './compose.ts';
import type { Activated, DeploymentView } from './contract.ts';
import { type DeployLimits, readManifest } from './manifest-check.ts';
import { checkVariableName, environmentId, permalinkLabel } from './names.ts';
import { invalidField, Problem } from './problem.ts';
import type { Ack, Publisher, Settlement } from './publisher.ts';
import type { ActivationReason, ControlStore, DeploymentRecord, Place, VariableRecord } from './store.ts';

export interface ControlParts {
  readonly store: ControlStore;
  readonly blobs: BlobStore;
  readonly publisher: Publisher;
  readonly limits: DeployLimits;
  readonly domain: string;
  /** Address at which clients reach a host, e.g. `http://shop-default.localhost:8080`. */
  readonly publicUrl: (host: string) => string;
}

export class Control {
  readonly #parts: ControlParts;
  readonly #staged = new Map<string, DeploymentRef>();
  readonly #trials = new Set<Environment>();
  /** By environment id: activations of one environment happen one after the other, in the order of their numbers. */
  readonly #queues = new Map<string, Promise<unknown>>();

  constructor(parts: ControlParts) {
    this.#parts = parts;
  }

  get parts(): ControlParts {
    return this.#parts;
  }

  /** Checks the manifest, numbers it and makes it the active deployment. */
  async deploy(place: Place, manifest: string): Promise<Activated> {
    await readManifest(this.#parts.blobs, manifest, this.#parts.limits);
    return this.#inTurn(place, async () => {
      const deployment = await this.#parts.store.addDeployment(place, manifest);
      return this.#activate(deployment, 'deploy');
    });
  }

  /** Makes a deployment active again, or that of another environment of the project under a new number. */
  async promote(place: Place, number: number, from = place.environment): Promise<Activated> {
    const { store } = this.#parts;
    const source = await store.deployment({ ...place, environment: from }, number);
    if (from === place.environment) return this.#inTurn(place, () => this.#activate(source, 'promote'));
    return this.deploy(place, source.manifest);
  }

  async rollback(place: Place): Promise<Activated> {
    const { store } = this.#parts;
    return this.#inTurn(place, async () => {
      const number = await store.rollbackTarget(place);
      return this.#activate(await store.deployment(place, number), 'rollback');
    });
  }

  /** Refused when the active deployment does not load with it; then nothing has changed. */
  async setVariable(
    place: Place,
    variable: Pick<VariableRecord, 'name' | 'value' | 'secret'>,
  ): Promise<VariableRecord> {
    const { name, value } = variable;
    checkVariableName(name);
    return this.#inTurn(place, async () => {
      await this.#tryVariables(place, `${name} was not set`, (variables) => ({ ...variables, [name]: value }));
      return this.#parts.store.setVariable(place, variable);
    });
  }

  async removeVariable(place: Place, name: string): Promise<void> {
    return this.#inTurn(place, async () => {
      await this.#tryVariables(place, `${name} was not removed`, ({ [name]: _, ...others }) => others);
      return this.#parts.store.removeVariable(place, name);
    });
  }

  async deployments(place: Place): Promise<DeploymentView[]> {
    const { deployment } = await this.#parts.store.environment(place);
    const all = await this.#parts.store.deployments(place);
    return all.map((record) => ({ ...record, active: record.number === deployment, url: this.#permalink(record) }));
  }

  /** Sends the newest state to the POPs and waits for their answers; what they complain about are warnings. */
  async spread(): Promise<readonly string[]> {
    return complaints(await this.#parts.publisher.settled((await this.#publish()).version));
  }

  /** Resolves when no activation is under way. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#queues.values());
  }

  async #inTurn<Result>(place: Place, work: () => Promise<Result>): Promise<Result> {
    const id = environmentId(place.project, place.environment);
    const mine = (this.#queues.get(id) ?? Promise.resolve()).then(work, work);
    this.#queues.set(id, mine);
    try {
      return await mine;
    } finally {
      if (this.#queues.get(id) === mine) this.#queues.delete(id);
    }
  }

  async #activate(deployment: DeploymentRecord, reason: ActivationReason): Promise<Activated> {
    const { store, publisher } = this.#parts;
    const { deployment: previous } = await store.environment(deployment);
    const ready = await this.#stage(deployment);
    await this.#refuseUnready(deployment, previous, ready);

    await store.activate(deployment, deployment.number, reason);
    const live = await publisher.settled((await this.#publish()).version);
    if (blockers(live, deployment).length > 0) {
      await store.activate(deployment, previous, 'revert');
      await this.#refuseUnready(deployment, previous, live);
    }
    return this.#activated(deployment, complaints(live));
  }

  /** POPs make the deployment ready; it stays reachable on its permalink whatever they say. */
  async #stage(deployment: DeploymentRecord): Promise<Settlement> {
    const { store, publisher } = this.#parts;
    const id = deploymentId(deployment);
    this.#staged.set(id, deployment);
    try {
      await store.touch();
      return await publisher.settled((await this.#publish()).version);
    } finally {
      this.#staged.delete(id);
    }
  }

  /** Has the POPs load the active deployment with other variables, before those are anybody's. */
  async #tryVariables(
    place: Place,
    refused: string,
    change: (now: Environment['variables']) => Environment['variables'],
  ) {
    const { store, publisher } = this.#parts;
    const id = environmentId(place.project, place.environment);
    const now = (await store.snapshot()).environments.find((it) => it.id === id);
    if (now === undefined || now.deployment === 0) return;
    const trial = { ...now, version: now.version + 1, variables: change(now.variables) };
    this.#trials.add(trial);
    await store.touch();
    const settlement = await publisher
      .settled((await this.#publish()).version)
      .finally(() => this.#trials.delete(trial));
    const active = `${id}-${now.deployment}`;
    const failed = settlement.refused.flatMap((ack) => ack.failed ?? []);
    const why = new Set(failed.filter((it) => it.deployment === trialId(trial)).map(({ message }) => message));
    // What does not load as it is cannot be broken, and may be about to be mended.
    if (why.size === 0 || failed.some((it) => it.deployment === active)) return;
    await store.touch();
    await this.#publish();
    throw new Problem({
      status: 422,
      reason: 'variable-refused',
      detail: `${refused}, the variables stay as they are: deployment ${now.deployment} does not load with the change: ${[...why].join('; ')}`,
      members: { deployment: now.deployment },
    });
  }

  async #publish(): Promise<Snapshot> {
    const stored = await this.#parts.store.snapshot();
    const snapshot = {
      ...stored,
      ...(this.#staged.size === 0 ? {} : { staged: [...this.#staged.keys()] }),
      ...(this.#trials.size === 0 ? {} : { trials: [...this.#trials] }),
    };
    this.#parts.publisher.publish(snapshot);
    return snapshot;
  }

  /** With POPs that object: they are told that it will not come, so that they let go of it, and the caller is told why. */
  async #refuseUnready(deployment: DeploymentRecord, previous: number, settlement: Settlement): Promise<void> {
    const pops = blockers(settlement, deployment);
    if (pops.length === 0) return;
    await this.#parts.store.touch();
    await this.#publish();
    const stays = previous === 0 ? 'nothing was active before' : `deployment ${previous} stays active`;
    const why = [...new Set(pops.map((it) => it.error))].join('; ');
    throw new Problem({
      status: 422,
      reason: 'activation-refused',
      detail: `deployment ${deployment.number} was not activated, ${stays}: ${why}`,
      members: { deployment: deployment.number, permalink: this.#permalink(deployment), active: previous, pops },
    });
  }

  #activated(deployment: DeploymentRecord, warnings: readonly string[]): Activated {
    const { domain, publicUrl } = this.#parts;
    const id = environmentId(deployment.project, deployment.environment);
    return {
      deployment: deployment.number,
      url: publicUrl(environmentHost(id, domain)),
      permalink: this.#permalink(deployment),
      warnings,
    };
  }

  #permalink({ project, environment, number }: DeploymentRecord): string {
    const { domain, publicUrl } = this.#parts;
    return publicUrl(permalinkHost(environmentId(project, environment), number, domain));
  }
}

const deploymentId = ({ project, environment, number }: DeploymentRef): string =>
  permalinkLabel(environmentId(project, environment), number);

/** Why POPs cannot serve this very deployment; trouble that they have with others does not count. */
function blockers({ refused }: Settlement, deployment: DeploymentRef): { pop: string; error: string }[] {
  return refused.flatMap(({ pop, error, failed }) => {
    const own = failed?.find((it) => it.deployment === deploymentId(deployment))?.message ?? error;
    return own === undefined ? [] : [{ pop, error: own }];
  });
}

function complaints({ refused, silent }: Settlement): string[] {
  return [
    ...refused.flatMap(({ pop, error, failed }: Ack) => [
      ...(error === undefined ? [] : [`POP ${pop}: ${error}`]),
      ...(failed ?? []).map((it) => `POP ${pop}: ${it.deployment}: ${it.message}`),
    ]),
    ...silent.map((pop) => `POP ${pop} has not confirmed the change yet`),
  ];
}

/** Checks a deployment number from outside. */
export function deploymentNumber(value: unknown, field: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value > 0) return value;
  throw invalidField(field, 'must be the number of a deployment, 1 or more');
}
