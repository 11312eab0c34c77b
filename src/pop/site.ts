/**
 * A deployment made ready to serve: its manifest, compiled routes, files and, where this POP runs compute, its
 * workers. A `Directory` of them is built from a snapshot aside, then swapped in whole: a request sees either the
 * old one or the new one, never a mixture.
 */
import type { DeploymentManifest } from '../artifact/manifest.ts';
import type { DeploymentRef, Environment, HostBinding, Snapshot } from '../artifact/snapshot.ts';
import type { Runnable } from '../compute/types.ts';
import { type CompiledRoutes, compileRoutes } from '../router/match.ts';

export interface Site {
  /** `<project>-<environment>-<number>`. */
  readonly id: string;
  readonly ref: DeploymentRef;
  readonly manifest: DeploymentManifest;
  readonly routes: CompiledRoutes;
  /** Null when the deployment has no serverless code. */
  readonly runnable: Runnable | null;
}

/** What a host name leads to. */
export interface Destination {
  readonly site: Site;
  readonly environment: Environment;
  readonly binding: HostBinding;
}

/** One consistent view of everything that this POP serves. */
export interface Directory {
  readonly version: number;
  readonly hosts: ReadonlyMap<string, Destination>;
  /** By environment id and deployment number, for requests that another POP has already identified. */
  find(environment: string, deployment: number): Destination | undefined;
  readonly sites: ReadonlyMap<string, Site>;
}

export interface SiteSource {
  manifest(sha256: string): Promise<DeploymentManifest>;
  /** Directory with the unpacked bundle. */
  unpack(manifest: DeploymentManifest, sha256: string): Promise<string>;
}

const siteId = (ref: Pick<DeploymentRef, 'project' | 'environment' | 'number'>): string =>
  `${ref.project}-${ref.environment}-${ref.number}`;

export interface DirectoryOptions {
  readonly previous?: Directory | undefined;
  readonly runsCompute: boolean;
}

export interface BuiltDirectory {
  readonly directory: Directory;
  /** Deployments that cannot be served here, and why; the rest of the snapshot is not held up by them. */
  readonly failed: { readonly deployment: string; readonly message: string }[];
}

/** Builds the directory of a snapshot, taking over the sites of the previous one that have not changed. */
export async function buildDirectory(
  snapshot: Snapshot,
  source: SiteSource,
  options: DirectoryOptions,
): Promise<BuiltDirectory> {
  const environments = new Map(snapshot.environments.map((environment) => [environment.id, environment]));
  const sites = new Map<string, Site>();
  const failed: BuiltDirectory['failed'] = [];
  await Promise.all(
    snapshot.deployments.map(async (ref) => {
      const environment = environments.get(`${ref.project}-${ref.environment}`);
      if (!environment) return;
      try {
        sites.set(siteId(ref), await loadSite(ref, environment, source, options));
      } catch (error) {
        failed.push({ deployment: siteId(ref), message: error instanceof Error ? error.message : String(error) });
      }
    }),
  );
  return { directory: directoryOf(snapshot, environments, sites), failed };
}

async function loadSite(
  ref: DeploymentRef,
  environment: Environment,
  source: SiteSource,
  options: DirectoryOptions,
): Promise<Site> {
  const id = siteId(ref);
  const known = options.previous?.sites.get(id);
  const manifest = known?.manifest ?? (await source.manifest(ref.manifest));
  const { server } = manifest;
  const runnable: Runnable | null =
    server === null || !options.runsCompute
      ? null
      : {
          id: `${id}.v${environment.version}`,
          directory: known?.runnable?.directory ?? (await source.unpack(manifest, ref.manifest)),
          routes: server.routes,
          ...(server.app ? { app: server.app } : {}),
          variables: environment.variables,
          environmentName: environment.name,
          production: environment.production,
        };
  return { id, ref, manifest, routes: known?.routes ?? compileRoutes(manifest.routes), runnable };
}

function directoryOf(
  snapshot: Snapshot,
  environments: ReadonlyMap<string, Environment>,
  sites: ReadonlyMap<string, Site>,
): Directory {
  const hosts = new Map<string, Destination>();
  for (const [host, binding] of Object.entries(snapshot.hosts)) {
    const environment = environments.get(binding.environment);
    const site = environment && sites.get(`${environment.id}-${binding.deployment}`);
    if (environment && site) hosts.set(host, { site, environment, binding });
  }
  return {
    version: snapshot.version,
    hosts,
    sites,
    find(id, deployment) {
      const environment = environments.get(id);
      const site = sites.get(`${id}-${deployment}`);
      if (!environment || !site) return undefined;
      const permalink = environment.deployment !== deployment;
      return { site, environment, binding: { environment: id, deployment, permalink, generated: true } };
    },
  };
}
