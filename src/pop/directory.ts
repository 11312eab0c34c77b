/**
 * One consistent view of everything that this POP serves, built from a snapshot aside, then swapped in whole: a
 * request sees either the old one or the new one, never a mixture.
 */
import type { DeploymentRef, Environment, HostBinding, Snapshot } from '../artifact/snapshot.ts';
import { type Site, type Sites, siteId } from './site.ts';

/** What a host name leads to. */
export interface Destination {
  readonly site: Site;
  readonly environment: Environment;
  readonly binding: HostBinding;
}

/** At once for what is active; a promise for a deployment that has to be loaded, which may reject. */
export type Found = Destination | Promise<Destination> | undefined;

export interface Directory {
  readonly version: number;
  at(host: string): Found;
  /** By environment id and deployment number, for requests that another POP has already identified. */
  find(environment: string, deployment: number): Found;
  readonly environments: ReadonlyMap<string, Environment>;
  /** All deployments of an environment, oldest first. */
  deployments(environment: string): readonly DeploymentRef[];
  /** What is active or staged, by id. */
  readonly pinned: ReadonlyMap<string, Site>;
}

export interface BuiltDirectory {
  readonly directory: Directory;
  /** Deployments that cannot be served here, and why; the rest of the snapshot is not held up by them. */
  readonly failed: { readonly deployment: string; readonly message: string }[];
}

export async function buildDirectory(snapshot: Snapshot, sites: Sites): Promise<BuiltDirectory> {
  const environments = new Map(snapshot.environments.map((environment) => [environment.id, environment]));
  const refs = new Map(snapshot.deployments.map((ref) => [siteId(ref), ref]));
  const pinned = new Map<string, Site>();
  const failed: BuiltDirectory['failed'] = [];
  await Promise.all(
    [...wantedOf(snapshot)].map(async (id) => {
      const ref = refs.get(id);
      const environment = ref && environments.get(environmentOf(ref));
      if (!environment) return;
      try {
        pinned.set(id, await sites.make(ref, environment));
      } catch (error) {
        failed.push({ deployment: id, message: error instanceof Error ? error.message : String(error) });
      }
    }),
  );
  return { directory: directoryOf({ snapshot, environments, refs, pinned, sites }), failed };
}

function wantedOf({ environments, staged = [] }: Snapshot): Set<string> {
  return new Set([...staged, ...environments.map(({ id, deployment }) => `${id}-${deployment}`)]);
}

interface Parts {
  readonly snapshot: Snapshot;
  readonly environments: ReadonlyMap<string, Environment>;
  readonly refs: ReadonlyMap<string, DeploymentRef>;
  readonly pinned: ReadonlyMap<string, Site>;
  readonly sites: Sites;
}

function directoryOf({ snapshot, environments, refs, pinned, sites }: Parts): Directory {
  const destination = (binding: HostBinding): Found => {
    const environment = environments.get(binding.environment);
    const id = `${binding.environment}-${binding.deployment}`;
    const ref = refs.get(id);
    if (!environment || !ref) return undefined;
    const site = pinned.get(id) ?? sites.get(ref, environment);
    if ('then' in site) return site.then((loaded) => ({ site: loaded, environment, binding }));
    return { site, environment, binding };
  };
  const byEnvironment = Map.groupBy(snapshot.deployments, environmentOf);
  const { hosts } = snapshot;
  return {
    version: snapshot.version,
    environments,
    pinned,
    deployments: (id) => byEnvironment.get(id) ?? [],
    at: (host) => (Object.hasOwn(hosts, host) ? destination(hosts[host]!) : undefined),
    find(id, deployment) {
      const permalink = environments.get(id)?.deployment !== deployment;
      return destination({ environment: id, deployment, permalink, generated: true });
    },
  };
}

const environmentOf = (ref: DeploymentRef): string => `${ref.project}-${ref.environment}`;
