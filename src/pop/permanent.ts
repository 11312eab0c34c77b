/**
 * Files that were declared permanent stay reachable under every later deployment of their environment. They are
 * looked for where the deployment itself has no such file: then the manifests of the older ones are read, once each,
 * and no more is kept of them than these files.
 */
import type { Asset } from '../artifact/manifest.ts';
import type { DeploymentRef } from '../artifact/snapshot.ts';
import type { Directory } from './directory.ts';
import { type SiteSource, siteId } from './site.ts';

interface Shelf {
  readonly files: Map<string, { readonly asset: Asset; readonly number: number }>;
  readonly read: Set<number>;
  reading: Promise<void>;
}

const AT_ONCE = 8;

export class PermanentFiles {
  readonly #source: SiteSource;
  readonly #report: (message: string, error: unknown) => void;
  readonly #shelves = new Map<string, Shelf>();

  constructor(source: SiteSource, report: (message: string, error: unknown) => void) {
    this.#source = source;
    this.#report = report;
  }

  /** The first of these names that any deployment of the environment has as a permanent file; the newest wins. */
  async find(directory: Directory, environment: string, names: readonly string[]): Promise<Asset | undefined> {
    const shelf = this.#shelf(environment);
    const refs = directory.deployments(environment);
    if (shelf.read.size < refs.length) {
      // Readers queue, so that every manifest is read once.
      shelf.reading = shelf.reading.then(() => this.#read(shelf, refs));
      await shelf.reading;
    }
    for (const name of names) if (shelf.files.has(name)) return shelf.files.get(name)!.asset;
    return undefined;
  }

  /** Forgets environments that are gone. */
  keep({ environments }: Directory): void {
    for (const id of this.#shelves.keys()) if (!environments.has(id)) this.#shelves.delete(id);
  }

  #shelf(environment: string): Shelf {
    const known = this.#shelves.get(environment);
    if (known) return known;
    const shelf: Shelf = { files: new Map(), read: new Set(), reading: Promise.resolve() };
    this.#shelves.set(environment, shelf);
    return shelf;
  }

  async #read(shelf: Shelf, refs: readonly DeploymentRef[]): Promise<void> {
    const missing = refs.filter(({ number }) => !shelf.read.has(number));
    for (let at = 0; at < missing.length; at += AT_ONCE) {
      await Promise.all(missing.slice(at, at + AT_ONCE).map((ref) => this.#readOne(shelf, ref)));
    }
  }

  async #readOne(shelf: Shelf, ref: DeploymentRef): Promise<void> {
    try {
      const { assets } = await this.#source.manifest(ref.manifest);
      shelf.read.add(ref.number);
      for (const [name, asset] of Object.entries(assets)) {
        const known = shelf.files.get(name);
        if (asset.permanent && !(known && known.number > ref.number))
          shelf.files.set(name, { asset, number: ref.number });
      }
    } catch (error) {
      this.#report(`the permanent files of ${siteId(ref)} cannot be read`, error);
    }
  }
}
