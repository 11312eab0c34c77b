/** From what the store remembers to what POPs serve from: the one place where host names are made. Pure. */
import type { Environment, HostBinding, Snapshot } from '../artifact/snapshot.ts';
import { environmentId, permalinkLabel } from './names.ts';
import type { DeploymentRecord, DomainRecord, EnvironmentRecord } from './store.ts';

export interface ControlState {
  readonly version: number;
  readonly environments: readonly EnvironmentRecord[];
  /** In order of project, environment and number. */
  readonly deployments: readonly DeploymentRecord[];
  readonly domains: readonly DomainRecord[];
  /** By environment id. */
  readonly variables: ReadonlyMap<string, Variables>;
}

export interface Variables {
  readonly values: Readonly<Record<string, string>>;
  /** Names of those that are secrets. */
  readonly secrets: readonly string[];
}

export const environmentHost = (id: string, domain: string): string => `${id}.${domain}`;
export const permalinkHost = (id: string, number: number, domain: string): string =>
  `${permalinkLabel(id, number)}.${domain}`;

/** An environment without deployments answers nowhere and is left out. */
export function composeSnapshot(state: ControlState, domain: string): Snapshot {
  const deployed = new Set(state.deployments.map((it) => environmentId(it.project, it.environment)));
  const environments = state.environments.filter((it) => deployed.has(it.id));
  return {
    version: state.version,
    environments: environments.map((it) => servedEnvironment(it, state.variables.get(it.id))),
    hosts: hostBindings(environments, state, domain),
    deployments: state.deployments.map(({ project, environment, number, manifest, createdAt }) => ({
      project,
      environment,
      number,
      manifest,
      createdAt,
    })),
  };
}

function servedEnvironment(record: EnvironmentRecord, variables?: Variables): Environment {
  const { id, project, name, version, deployment, cacheSpace, production, limits } = record;
  const { values = {}, secrets = [] } = variables ?? {};
  const served = { id, project, name, version, deployment, cacheSpace, production, variables: values };
  return {
    ...served,
    ...(secrets.length > 0 ? { secrets } : {}),
    ...(Object.keys(limits).length > 0 ? { limits } : {}),
  };
}

/** Custom domains first: should the platform's domain have changed since, generated hosts win. */
function hostBindings(
  environments: readonly EnvironmentRecord[],
  state: ControlState,
  domain: string,
): Record<string, HostBinding> {
  const active = new Map(environments.filter((it) => it.deployment > 0).map((it) => [it.id, it.deployment]));
  const hosts: Record<string, HostBinding> = {};
  for (const { host, project, environment } of state.domains) {
    const id = environmentId(project, environment);
    const deployment = active.get(id);
    if (deployment === undefined) continue;
    hosts[host] = { environment: id, deployment, permalink: false, generated: false };
  }
  for (const [id, deployment] of active) {
    hosts[environmentHost(id, domain)] = { environment: id, deployment, permalink: false, generated: true };
  }
  for (const { project, environment, number } of state.deployments) {
    const id = environmentId(project, environment);
    hosts[permalinkHost(id, number, domain)] = {
      environment: id,
      deployment: number,
      permalink: true,
      generated: true,
    };
  }
  return hosts;
}
