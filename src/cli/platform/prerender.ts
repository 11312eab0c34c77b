/**
 * Prerendering: when a deployment has gone live, the URLs that its routes file lists are requested once, as a browser
 * would, so that the first visitor finds them stored. It runs beside the traffic, never before it, and a URL that
 * fails is told and left. Source: spec "Platform", section 3.
 */
import { Pool } from 'undici';
import type { DeploymentManifest } from '../../artifact/manifest.ts';
import type { Environment, Snapshot } from '../../artifact/snapshot.ts';
import { LINK_PRELOAD } from '../../pop/link.ts';
import type { PrerenderEntry } from '../../router/table.ts';

export interface PrerenderOptions {
  /** Of this POP's own listener. */
  readonly origin: string;
  /** How visitors get here: they may come through a proxy that speaks TLS. */
  readonly protocol: 'http' | 'https';
  /** What visitors' browsers put behind the host name, such as `:8080`. */
  readonly portSuffix: string;
  /** Proves that a request is the platform's own. */
  readonly token: string;
  /** `prerender.concurrency` and `prerender.requestsPerDeployment`. */
  readonly concurrency: number;
  readonly most: number;
  /** Field that marks answers of the platform itself, `x-sv-error` by default. */
  readonly errorField: string;
  readonly manifest: (sha256: string) => Promise<DeploymentManifest>;
  readonly report: (message: string) => void;
}

/** What browsers send; the variant that is worth having ready. */
const BROWSER_ENCODINGS = 'gzip, deflate, br';
const TOLD_FAILURES = 10;

export class Prerenderer {
  readonly #options: PrerenderOptions;
  readonly #pool: Pool;
  /** By environment: the cache space that was filled last. */
  readonly #filled = new Map<string, string>();
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: PrerenderOptions) {
    this.#options = options;
    this.#pool = new Pool(options.origin, { connections: options.concurrency, pipelining: 1 });
  }

  /** Renders what has changed since the last snapshot, one environment after the other, in the background. */
  take(snapshot: Snapshot): void {
    for (const environment of snapshot.environments) {
      if (this.#filled.get(environment.id) === environment.cacheSpace || environment.deployment === 0) continue;
      this.#filled.set(environment.id, environment.cacheSpace);
      this.#running = this.#running
        .then(() => this.#fill(environment, snapshot))
        .catch((error: Error) => this.#options.report(`prerendering of ${environment.id} ended: ${error.message}`));
    }
  }

  /** Everything that was stored in the space is gone: it is rendered again with the next snapshot that is taken. */
  emptied(space: string): void {
    for (const [id, filled] of this.#filled) if (filled === space) this.#filled.delete(id);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool.destroy();
    await this.#running;
  }

  async #fill(environment: Environment, snapshot: Snapshot): Promise<void> {
    const { manifest: load, most, report } = this.#options;
    const ref = snapshot.deployments.find(
      (one) => `${one.project}-${one.environment}` === environment.id && one.number === environment.deployment,
    );
    if (!ref) return;
    const wanted = (await load(ref.manifest)).routes.prerender.filter(({ path }) => path !== undefined);
    const entries = wanted.slice(0, most);
    const name = `${ref.project}-${ref.environment}-${ref.number}`;
    const left = wanted.length - entries.length;
    if (left > 0)
      report(`${left} URLs of ${name} are not prerendered: the limit prerender.requestsPerDeployment is ${most}`);
    const failures: string[] = [];
    for (const host of hostsOf(environment, snapshot)) await this.#renderAll(entries, host, failures);
    if (entries.length === 0) return;
    report(`prerendered ${entries.length} URLs of ${name}, ${failures.length} failed`);
    for (const failure of failures.slice(0, TOLD_FAILURES)) report(`  ${failure}`);
  }

  async #renderAll(entries: readonly PrerenderEntry[], host: string, failures: string[]): Promise<void> {
    const queue = entries.values();
    const worker = async (): Promise<void> => {
      for (const entry of queue) {
        if (this.#closed) return;
        const failure = await this.#render(entry, host);
        if (failure !== null) failures.push(`${entry.path}: ${failure}`);
      }
    };
    await Promise.all(Array.from({ length: Math.min(this.#options.concurrency, entries.length) }, worker));
  }

  /** Null, or why it failed. */
  async #render({ path, headers }: PrerenderEntry, host: string): Promise<string | null> {
    const { token, protocol, portSuffix } = this.#options;
    const own = { host: host + portSuffix, 'x-forwarded-proto': protocol, [LINK_PRELOAD]: token };
    try {
      const answer = await this.#pool.request({
        method: 'GET',
        path: path!.startsWith('/') ? path! : `/${path}`,
        headers: { 'accept-encoding': BROWSER_ENCODINGS, ...headers, ...own },
      });
      await answer.body.dump({ limit: Number.MAX_SAFE_INTEGER });
      const code = answer.headers[this.#options.errorField];
      return answer.statusCode < 400 ? null : `${answer.statusCode}${code === undefined ? '' : ' (platform)'}`;
    } catch (error) {
      return (error as Error).message;
    }
  }
}

/** The hosts that visitors use: custom domains where there are some, else the generated one. */
function hostsOf({ id }: Environment, snapshot: Snapshot): string[] {
  const bound = Object.entries(snapshot.hosts).filter(([, it]) => it.environment === id && !it.permalink);
  const custom = bound.filter(([, it]) => !it.generated);
  return (custom.length > 0 ? custom : bound).map(([host]) => host);
}
