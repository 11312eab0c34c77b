/**
 * A POP: one pipeline behind one listener, serving from one directory that is swapped whole. Edge and global are the
 * same code with another next hop.
 */
import { type Snapshot, trialId } from '../artifact/snapshot.ts';
import type { Delivery, FaultAnswer, FaultContext, ServerExchange } from '../http/listener.ts';
import { Fault } from '../status/fault.ts';
import { type BuiltDirectory, buildDirectory, type Directory } from './directory.ts';
import { createEdge } from './edge.ts';
import { Exchange } from './exchange.ts';
import { faultResponse, takeFault } from './faults.ts';
import { createGlobal } from './global.ts';
import { requestIdOf } from './identify.ts';
import { PermanentFiles } from './permanent.ts';
import { recordEnd } from './record.ts';
import type { PopSettings } from './settings.ts';
import { type Site, type SiteSource, Sites, siteId } from './site.ts';

export interface PopOptions extends Omit<PopSettings, 'directory' | 'caughtUp' | 'permanentFiles' | 'drained'> {
  readonly source: SiteSource;
  /** Another POP knows a deployment that this one has not heard of. */
  readonly onBehind?: () => void;
}

export interface Pop {
  readonly handle: (server: ServerExchange) => Promise<void>;
  /** Answers what never became an exchange: malformed and oversized requests, bad hosts. */
  readonly onFault: (fault: Fault, context: FaultContext) => FaultAnswer;
  /** Makes everything of a snapshot ready, then serves from it. Tells which deployments it cannot serve. */
  apply(snapshot: Snapshot): Promise<Pick<BuiltDirectory, 'failed'>>;
  /** From now on new requests are answered 545. */
  drain(): void;
}

export function createPop(options: PopOptions): Pop {
  const { compute, clock, cache } = options;
  let directory: Directory | null = null;
  let before: Directory | null = null;
  let swapped = Promise.withResolvers<void>();
  const draining = new AbortController();
  const permanentFiles = new PermanentFiles(options.source, options.report);
  const caughtUp = (): Promise<void> => {
    options.onBehind?.();
    return new Promise((resolve) => {
      clock.setTimer(CATCH_UP_MS, resolve);
      void swapped.promise.then(resolve);
    });
  };
  const now = { directory: () => directory, caughtUp, drained: draining.signal };
  const settings: PopSettings = { ...options, ...now, permanentFiles };
  const release = ({ runnable }: Site): void => void (runnable && compute?.release(runnable.id));
  const sites = new Sites({
    source: options.source,
    runsCompute: compute !== null,
    limits: options.limits,
    onDropped: release,
    // Requests that were on their way when it was replaced find its workers still warm; what was refused had none.
    onUnpinned: (site) =>
      void clock.setTimer(isActive(site, before) ? LINGER_MS : 0, () => sites.isPinned(site.id) || release(site)),
  });
  const swap = (now: Directory): void => {
    before = directory;
    directory = now;
    sites.keep(now.pinned, (site) => isServed(site, now));
    permanentFiles.keep(now);
    options.hot?.forget();
    swapped.resolve();
    swapped = Promise.withResolvers();
    for (const space of cacheSpaces(before).difference(cacheSpaces(now))) cache.dropSpace(space);
  };
  return {
    handle: options.role === 'edge' ? createEdge(settings) : createGlobal(settings),
    onFault: (fault, context) => listenerFault(fault, context, settings),
    async apply(snapshot) {
      const built = await buildDirectory(snapshot, sites);
      // At first there is nothing better to serve from: requests rather wait for a worker than be turned away.
      if (directory === null) swap(built.directory);
      const [unready, unfit] = await Promise.all([
        warmUp(built.directory, snapshot, options),
        tryOut(snapshot, sites, options),
      ]);
      const failed = [...built.failed, ...unready, ...unfit];
      if (directory !== built.directory) swap(built.directory);
      return { failed };
    },
    drain() {
      options.hot?.close();
      draining.abort();
    },
  };
}

/** So long does a request wait for a configuration that knows its deployment. */
const CATCH_UP_MS = 3_000;

/** So long do the workers of a deployment that was replaced or refused stay. */
const LINGER_MS = 5_000;

/** Starts workers of what is active or about to be, so that no visitor waits for them. */
async function warmUp(
  directory: Directory,
  snapshot: Snapshot,
  { compute }: PopOptions,
): Promise<BuiltDirectory['failed']> {
  if (compute === null) return [];
  const active = snapshot.environments.map(({ id, deployment }) => `${id}-${deployment}`);
  const wanted = [...new Set([...(snapshot.staged ?? []), ...active])].flatMap((id) => directory.pinned.get(id) ?? []);
  const outcomes = await Promise.all(wanted.map((site) => warmSite(site, compute)));
  return outcomes.filter((outcome) => outcome !== null);
}

/** Loads active deployments with what their environments are about to be; nobody is served from these workers. */
async function tryOut(snapshot: Snapshot, sites: Sites, { compute }: PopOptions): Promise<BuiltDirectory['failed']> {
  if (compute === null) return [];
  const outcomes = (snapshot.trials ?? []).map(async (trial) => {
    const ref = snapshot.deployments.find((it) => siteId(it) === `${trial.id}-${trial.deployment}`);
    const site = ref && (await sites.make(ref, trial));
    if (!site?.runnable) return null;
    const runnable = { ...site.runnable, id: `${trialId(trial)}.trial` };
    const outcome = await warmSite({ ...site, id: trialId(trial), runnable }, compute);
    compute.release(runnable.id);
    return outcome;
  });
  return (await Promise.all(outcomes)).filter((outcome) => outcome !== null);
}

async function warmSite({ id, runnable }: Site, compute: NonNullable<PopOptions['compute']>) {
  if (runnable === null) return null;
  try {
    await compute.prepare(runnable);
    return null;
  } catch (error) {
    return { deployment: id, message: reasonOf(error, runnable.directory) };
  }
}

/** The project's own words where there are some, with file and line: they are for its developer. */
function reasonOf(error: unknown, directory: string): string {
  const { message, stack } = error instanceof Fault ? error.evidence : {};
  if (error instanceof Fault && typeof message === 'string') {
    return `${error.message}: ${message}${placeIn(directory, stack)}`;
  }
  const inner = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return inner instanceof Error ? inner.message : String(inner);
}

function placeIn(directory: string, stack: unknown): string {
  const [, after] = typeof stack === 'string' ? stack.split(`${directory}/`, 2) : [];
  const place = /^[^\s():]+:\d+/.exec(after ?? '')?.[0];
  return place === undefined ? '' : ` (${place})`;
}

const environmentOf = ({ ref }: Site): string => `${ref.project}-${ref.environment}`;

const isActive = (site: Site, directory: Directory | null): boolean =>
  directory?.environments.get(environmentOf(site))?.deployment === site.ref.number;

const isServed = (site: Site, { environments, deployments }: Directory): boolean => {
  const id = environmentOf(site);
  return (
    environments.get(id)?.version === site.version && deployments(id).some((ref) => ref.number === site.ref.number)
  );
};

const cacheSpaces = (directory: Directory | null): Set<string> =>
  new Set([...(directory?.environments.values() ?? [])].map(({ cacheSpace }) => cacheSpace));

function listenerFault(fault: Fault, context: FaultContext, settings: PopSettings): FaultAnswer {
  const { fields, remoteAddress: ip, httpVersion = '1.1', method = '', target = '', receivedAtMs } = context;
  const host = fields.get('host') ?? '';
  const exchange = new Exchange({
    ...requestIdOf(fields),
    client: { ip, protocol: 'http', httpVersion },
    request: { method, protocol: 'http', host, path: target, query: '', fields, body: null },
    startedMs: receivedAtMs,
    receivedAtMs: settings.clock.nowMs(),
  });
  takeFault(fault, exchange, settings);
  const { status, reason, fields: answered, body } = faultResponse(exchange, settings);
  const response = { status, reason: reason ?? '', fields: answered, body: body as Buffer };
  const sent = (delivery: Delivery): void => recordEnd(exchange, settings, { response, delivery, end: 'refused' });
  return { ...response, sent };
}
