/**
 * A deployment made ready to serve: its manifest, compiled routes, files and, where this POP runs compute, its
 * workers. What is active or about to be is loaded ahead of traffic and stays; a deployment that only its permalink
 * still names is loaded by its first request, and a bounded number of those is kept.
 */
import type { DeploymentManifest } from '../artifact/manifest.ts';
import type { DeploymentRef, Environment } from '../artifact/snapshot.ts';
import type { Runnable } from '../compute/types.ts';
import type { Limits } from '../config/limits.ts';
import { type CompiledRoutes, compileRoutes } from '../router/match.ts';
import { workerLimits } from './limits.ts';

export interface Site {
  /** `<project>-<environment>-<number>`. */
  readonly id: string;
  readonly ref: DeploymentRef;
  /** State of the environment that it was made for. */
  readonly version: number;
  readonly manifest: DeploymentManifest;
  readonly routes: CompiledRoutes;
  /** Null when the deployment has no serverless code. */
  readonly runnable: Runnable | null;
}

export interface SiteSource {
  manifest(sha256: string): Promise<DeploymentManifest>;
  /** Directory with the unpacked bundle. */
  unpack(manifest: DeploymentManifest, sha256: string): Promise<string>;
}

export interface SitesOptions {
  readonly source: SiteSource;
  readonly runsCompute: boolean;
  /** Of the installation. */
  readonly limits: Limits;
  /** It may still be asked for, but nobody waits for it ahead of traffic any more. */
  readonly onUnpinned: (site: Site) => void;
  /** It is no longer kept: its workers may go. */
  readonly onDropped: (site: Site) => void;
}

/** Deployments kept without being active. */
const KEPT = 32;

export const siteId = (ref: Pick<DeploymentRef, 'project' | 'environment' | 'number'>): string =>
  `${ref.project}-${ref.environment}-${ref.number}`;

export class Sites {
  readonly #options: SitesOptions;
  /** In order of use. */
  readonly #loaded = new Map<string, Site>();
  readonly #loading = new Map<string, Promise<Site>>();
  #pinned: ReadonlySet<string> = new Set();

  constructor(options: SitesOptions) {
    this.#options = options;
  }

  /** At once when it is loaded. Rejects when its manifest or its files cannot be had. */
  get(ref: DeploymentRef, environment: Environment): Site | Promise<Site> {
    const id = siteId(ref);
    const known = this.#loaded.get(id);
    if (known?.version !== environment.version) return this.#load(ref, environment);
    this.#use(known);
    return known;
  }

  /** Makes a site for a state of its environment, once; nobody is served from it before `get` or `keep` has it. */
  make(ref: DeploymentRef, environment: Environment): Promise<Site> {
    const id = siteId(ref);
    const known = this.#loaded.get(id);
    if (known?.version === environment.version) return Promise.resolve(known);
    const key = `${id}.v${environment.version}`;
    const loading = this.#loading.get(key);
    if (loading) return loading;
    const made = this.#make(ref, environment, known).finally(() => this.#loading.delete(key));
    this.#loading.set(key, made);
    return made;
  }

  /** From now on these are served and stay; what was kept before and does not `exist` any more is dropped. */
  keep(pinned: ReadonlyMap<string, Site>, exists: (site: Site) => boolean): void {
    const before = this.#pinned;
    this.#pinned = new Set(pinned.keys());
    for (const site of pinned.values()) this.#use(site);
    for (const site of [...this.#loaded.values()]) {
      if (!exists(site)) this.#drop(site);
      else if (before.has(site.id) && !pinned.has(site.id)) this.#options.onUnpinned(site);
    }
    this.#shrink();
  }

  isPinned(id: string): boolean {
    return this.#pinned.has(id);
  }

  async #load(ref: DeploymentRef, environment: Environment): Promise<Site> {
    const site = await this.make(ref, environment);
    this.#use(site);
    this.#shrink();
    return site;
  }

  async #make(ref: DeploymentRef, environment: Environment, known: Site | undefined): Promise<Site> {
    const { source, runsCompute, limits } = this.#options;
    const id = siteId(ref);
    const { version } = environment;
    const manifest = known?.manifest ?? (await source.manifest(ref.manifest));
    const { server } = manifest;
    const runnable: Runnable | null =
      server === null || !runsCompute
        ? null
        : {
            id: `${id}.v${version}`,
            owner: `${ref.project}-${ref.environment}`,
            directory: known?.runnable?.directory ?? (await source.unpack(manifest, ref.manifest)),
            routes: server.routes,
            ...(server.app ? { app: server.app } : {}),
            variables: environment.variables,
            environmentName: environment.name,
            production: environment.production,
            limits: workerLimits(environment, limits),
          };
    return { id, ref, version, manifest, routes: known?.routes ?? compileRoutes(manifest.routes), runnable };
  }

  #use(site: Site): void {
    const before = this.#loaded.get(site.id);
    if (before && before.version !== site.version) this.#options.onDropped(before);
    this.#loaded.delete(site.id);
    this.#loaded.set(site.id, site);
  }

  #shrink(): void {
    const spare = [...this.#loaded.values()].filter(({ id }) => !this.#pinned.has(id));
    for (const site of spare.slice(0, Math.max(0, spare.length - KEPT))) this.#drop(site);
  }

  #drop(site: Site): void {
    this.#loaded.delete(site.id);
    this.#options.onDropped(site);
  }
}
