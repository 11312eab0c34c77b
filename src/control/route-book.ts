/** Where the routes of a deployment stand in its project's sources: read from its manifest, also of old deployments. */
import type { DeploymentManifest } from '../artifact/manifest.ts';
import type { Route } from '../router/table.ts';
import type { BlobStore } from './blobs.ts';
import type { ControlStore } from './store.ts';

export interface RoutePlace {
  readonly label: string;
  readonly file: string;
  readonly line: number;
}

/** Deployments whose routes are kept in memory. */
const KEPT = 8;

export class RouteBook {
  readonly #parts: { readonly store: ControlStore; readonly blobs: BlobStore };
  /** In order of use. */
  readonly #kept = new Map<string, ReadonlyMap<string, RoutePlace>>();

  constructor(parts: { readonly store: ControlStore; readonly blobs: BlobStore }) {
    this.#parts = parts;
  }

  /** By route id; empty when the deployment is not known here any more. */
  async of(environment: string, deployment: number): Promise<ReadonlyMap<string, RoutePlace>> {
    const id = `${environment}-${deployment}`;
    const known = this.#kept.get(id) ?? (await this.#read(environment, deployment).catch(() => null));
    if (known === null) return new Map();
    this.#kept.delete(id);
    this.#kept.set(id, known);
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value!);
    return known;
  }

  async #read(environment: string, deployment: number): Promise<ReadonlyMap<string, RoutePlace>> {
    const { store, blobs } = this.#parts;
    const place = (await store.environments()).find(({ id }) => id === environment);
    if (!place) return new Map();
    const { manifest } = await store.deployment({ project: place.project, environment: place.name }, deployment);
    const { stream } = await blobs.open(manifest);
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    const { routes } = JSON.parse(Buffer.concat(chunks).toString()) as DeploymentManifest;
    const sections = [routes.main, ...Object.values(routes.destinations)];
    const all = sections.flatMap((section) => [...section.routes, ...section.catches.map(({ route }) => route)]);
    return new Map(all.map((route) => [route.id, placeOf(route)]));
  }
}

const placeOf = ({ label, source }: Route): RoutePlace => ({ label, file: source.file, line: source.line });
