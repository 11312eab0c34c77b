/**
 * A POP process: composes the rooms into one POP, serves until it is told to drain, and ends with its parent. Ctrl-C
 * reaches every process of a terminal; only the supervisor acts on it.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Snapshot } from '../../artifact/snapshot.ts';
import { systemClock } from '../../base/clock.ts';
import { createCache } from '../../cache/cache.ts';
import { DiskTier } from '../../cache/disk/disk-tier.ts';
import type { Cache } from '../../cache/types.ts';
import { createCompute } from '../../compute/scheduler.ts';
import type { Compute } from '../../compute/types.ts';
import { type BlobSource, createBlobSource } from '../../control/blob-source.ts';
import { openBlobStore } from '../../control/blobs.ts';
import { type PurgeSink, startFeedClient } from '../../control/feed-client.ts';
import { createPop, type Pop } from '../../pop/pop.ts';
import { AccessLog } from '../../telemetry/access-log.ts';
import { ServerLog } from '../../telemetry/server-log.ts';
import { StoryRing } from '../../telemetry/story-ring.ts';
import { Traffic } from '../../telemetry/traffic.ts';
import { createResolver } from '../../upstream/dns.ts';
import { linkOrigin } from '../../upstream/origin.ts';
import { Prohibited } from '../../upstream/prohibited.ts';
import { createUpstream } from '../../upstream/upstream.ts';
import { version } from '../version.ts';
import { bundleUnpacker } from './bundles.ts';
import { composeFastPath } from './fast-path.ts';
import { linkIdentity } from './link-tls.ts';
import { Listeners } from './listeners.ts';
import { storyDirectory } from './logs.ts';
import { Prerenderer } from './prerender.ts';
import type { FromPop, PopSpec, Ports, ToPop } from './spec.ts';

type Report = (message: string, error?: unknown) => void;

/** Entry of a forked process. Resolves never; the process exits when it has drained or its parent is gone. */
export function runPopProcess(): void {
  let running: RunningPop | undefined;
  const tell = (message: FromPop): void => void process.send?.(message);
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => void end(running, 0));
  process.on('disconnect', () => void end(running, 0));
  process.on('message', (message: ToPop) => {
    if ('drain' in message) return void end(running, message.drain);
    startPop(message.start).then(
      (pop) => {
        running = pop;
        tell({ ready: pop.ports });
      },
      (error: unknown) => tell({ failed: error instanceof Error ? error.message : String(error) }),
    );
  });
  tell({ booted: true });
}

async function end(running: RunningPop | undefined, graceMs: number): Promise<void> {
  await running?.close(graceMs);
  process.exit(0);
}

interface RunningPop {
  readonly ports: Ports;
  close(graceMs: number): Promise<void>;
}

async function startPop(spec: PopSpec): Promise<RunningPop> {
  const { config, role } = spec;
  const report: Report = (message, error) =>
    console.error(`${spec.processName}: ${message}`, ...(error === undefined ? [] : [error]));
  const logs = openLogs(spec, report);
  const compute = spec.compute ? composeCompute(spec, logs.server, report) : null;
  const traffic = sentTraffic();
  const blobs = await openBlobStore(join(config.data, 'blobs'), systemClock);
  const source = createBlobSource({ blobs, address: async () => spec.control });
  const prohibited = new Prohibited({ networks: config.upstream.prohibited, sockets: spec.ownSockets });
  const upstream = composeUpstream(spec, prohibited);
  const disk = openDisk(spec, report);
  const cache = composeCache(spec, disk, report);
  const fast = composeFastPath(spec, { cache, log: logs.access, meterOf: (record) => traffic.meter(record) });
  const pop = createPop({
    role,
    name: spec.identity,
    version: version(),
    branding: config.branding,
    limits: config.limits,
    style: config.codes.style,
    clock: systemClock,
    upstream,
    cache,
    stores: config.cache.enabled,
    compute,
    link: spec.link === null ? null : { origin: linkOrigin(spec.link, config.limits, linkIdentity(config)) },
    linkToken: spec.linkToken,
    blobFile: (sha256) => source.file(sha256),
    onBehind: () => feed.hurry(),
    story: logs.stories && ((story) => logs.stories?.write(story)),
    record: (record) => {
      logs.access.write(record);
      traffic.observe(record, systemClock.nowMs() - (record.timestamp ?? 0));
    },
    report,
    hot: fast?.hot ?? null,
    trustedProxies: config.trustedProxies,
    tlsPort: () => listeners.ports.tlsPort,
    source: {
      manifest: async (sha256) => JSON.parse((await source.read(sha256)).toString()),
      unpack: bundleUnpacker(config.data, (sha256) => source.file(sha256)),
    },
  });
  const listeners = new Listeners(spec, pop, fast?.infront);
  let prerenderer: Prerenderer | null = null;
  let served: Snapshot | null = null;
  const purges = purgeSink(cache, (space) => {
    prerenderer?.emptied(space);
    if (served) prerenderer?.take(served);
  });
  const feed = followFeed(spec, { pop, purges }, report, (snapshot) => {
    served = snapshot;
    prerenderer?.take(snapshot);
  });
  // Whoever listens without a configuration turns clients away that a neighbour on the port would have served.
  await Promise.race([feed.ready, feed.unreachable]);
  // What was purged while this process was away must not be served; without a control plane it serves what it has.
  await Promise.race([feed.purged, feed.unreachable]);
  const ports = await listeners.listen();
  if (role === 'global') prohibited.add({ host: spec.listen.host, port: ports.port });
  await feed.ready;
  if (spec.prerenders) prerenderer = composePrerenderer(spec, ports, source, report);
  if (served) prerenderer?.take(served);
  return { ports, close: (graceMs) => closeAll(graceMs) };

  async function closeAll(graceMs: number): Promise<void> {
    pop.drain();
    await prerenderer?.close();
    await listeners.drain(graceMs);
    await feed.close();
    await disk?.close();
    await Promise.allSettled([compute?.close(), upstream.close(), source.close(), logs.close()]);
    traffic.close();
  }
}

function followFeed(
  spec: PopSpec,
  { pop, purges }: { readonly pop: Pop; readonly purges: PurgeSink },
  report: Report,
  applied: (snapshot: Snapshot) => void,
) {
  const { promise: unreachable, resolve: isUnreachable } = Promise.withResolvers<void>();
  let lost = false;
  const feed = startFeedClient({
    address: async () => spec.control,
    pop: spec.processName,
    dataDir: spec.config.data,
    purges,
    async apply(snapshot) {
      const answer = await pop.apply(snapshot);
      applied(snapshot);
      return answer;
    },
    onEvent: (event) => {
      if (event.kind === 'lost') isUnreachable();
      if (event.kind === 'connected' && lost) report(`found the control plane again at ${event.url}`);
      if (event.kind === 'lost' && !lost) report(`lost the control plane (${event.error}), serving what is here`);
      lost = event.kind === 'lost' || (lost && event.kind !== 'connected');
      if (event.kind === 'unkept') report(`the configuration cannot be kept on the disk (${event.error})`);
      if (event.kind === 'refused') report(`refused configuration ${event.version}: ${event.error}`);
    },
  });
  return { ...feed, unreachable };
}

function purgeSink(cache: Cache, emptied: (space: string) => void): PurgeSink {
  return {
    get purgedUpTo() {
      return cache.purgedUpTo;
    },
    async purge(purges, upTo) {
      const kept = cache.purge(purges, upTo);
      for (const { kind, soft, space } of purges) if (kind === 'all' && !soft) emptied(space);
      await kept;
    },
  };
}

function composePrerenderer(spec: PopSpec, { port, tlsPort }: Ports, source: BlobSource, report: Report): Prerenderer {
  const { limits, branding, trustedProxies } = spec.config;
  // A proxy in front is there to speak TLS on the usual port; without one visitors come to this listener.
  const behindProxy = trustedProxies.length > 0;
  const secure = behindProxy || tlsPort !== undefined;
  const visited = tlsPort ?? port;
  const { host } = spec.listen;
  return new Prerenderer({
    origin: `http://${['0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host}:${port}`,
    protocol: secure ? 'https' : 'http',
    portSuffix: behindProxy || visited === (secure ? 443 : 80) ? '' : `:${visited}`,
    token: spec.linkToken,
    concurrency: limits['prerender.concurrency'],
    most: limits['prerender.requestsPerDeployment'],
    errorField: `${branding.headerPrefix}-error`,
    manifest: async (sha256) => JSON.parse((await source.read(sha256)).toString()),
    report,
  });
}

function composeUpstream({ config, role }: PopSpec, prohibited: Prohibited) {
  const { headerPrefix } = config.branding;
  return createUpstream({
    resolver: createResolver({ servers: config.dns.servers, clock: systemClock }),
    clock: systemClock,
    prohibited: { upstream: prohibited },
    ...(config.upstream.caFile === undefined ? {} : { caFile: config.upstream.caFile }),
    exemptField: (name) => name.startsWith(`${headerPrefix}-`) || (role === 'edge' && name.startsWith('selvedge-link')),
  });
}

/** Without a disk that can be used a POP has its memory. */
function openDisk({ config, role, brokenBeforeMs = 0 }: PopSpec, report: Report): DiskTier | undefined {
  if (!config.cache.enabled || !config.cache.disk) return undefined;
  const folder = join(config.data, 'cache', role);
  const { diskBytes: maxBytes } = config.cache;
  try {
    return new DiskTier({ clock: systemClock, folder, maxBytes, brokenBeforeMs, report });
  } catch (error) {
    report(`responses cannot be kept in ${folder}, only in memory`, error);
    return undefined;
  }
}

function composeCache({ config, role }: PopSpec, disk: DiskTier | undefined, report: Report) {
  const { memoryBytes, maxEntries, maxObjectBytes } = config.cache;
  return createCache({
    clock: systemClock,
    hop: role,
    headerPrefix: config.branding.headerPrefix,
    memoryBytes,
    maxEntries,
    maxObjectBytes,
    ...(disk ? { disk } : {}),
    hitForPassSeconds: config.limits['cache.hitForPassSeconds'],
    nextHopTtlMs: ({ freshForMs }) => freshForMs,
    onRefreshFault: (fault, request) =>
      report(`refresh of a stored response failed (selvedge why ${request.requestId})`, fault),
  });
}

function composeCompute({ config }: PopSpec, log: ServerLog, report: Report): Compute {
  const { limits, compute, branding, codes } = config;
  return createCompute({
    clock: systemClock,
    limits: {
      scheduleMs: limits['compute.scheduleMs'],
      queueDepth: limits['compute.queueDepth'],
      responseMs: limits['compute.responseMs'],
      loadMs: limits['compute.loadMs'],
      reservedMs: limits['compute.reservedMs'],
      requestBytes: limits['compute.requestBytes'],
      responseBytes: limits['compute.responseBytes'],
      memoryMiB: limits['compute.memoryMiB'],
      reservedMemoryMiB: limits['compute.reservedMemoryMiB'],
      tmpMiB: limits['compute.tmpMiB'],
      concurrencyPerWorker: limits['compute.concurrencyPerWorker'],
      headerCount: limits['response.headerCount'],
      headerBytes: limits['response.headerBytes'],
      cookieBytes: limits['response.cookieBytes'],
      headerFieldBytes: limits['response.headerFieldBytes'],
    },
    maxWorkers: compute.workers,
    prewarm: compute.prewarm,
    idleMs: compute.idleMs,
    requestsPerWorker: compute.requestsPerWorker,
    isolation: compute.isolation,
    hidden: [config.data],
    report,
    // Not in the data directory: sockets lie in it, whose paths must be short.
    runDir: tmpdir(),
    onLog: (line) => log.write(line),
    projectCrashed: codes.projectCrashed,
    isPlatformHeader: (name) => name.startsWith(`${branding.headerPrefix}-`),
    headerPrefix: branding.headerPrefix,
    variablePrefix: branding.cookiePrefix.toUpperCase().replace(/[^A-Z0-9]/g, '_'),
  });
}

/** Counts here, and sends what was added to the parent, which adds up all processes. */
function sentTraffic() {
  const traffic = new Traffic();
  const send = (): void => {
    const delta = process.connected ? traffic.take() : null;
    if (delta !== null) process.send?.({ traffic: delta } satisfies FromPop);
  };
  const timer = setInterval(send, TRAFFIC_MS);
  timer.unref();
  const close = (): void => {
    clearInterval(timer);
    send();
  };
  return { observe: traffic.observe.bind(traffic), meter: traffic.meter.bind(traffic), close };
}

const TRAFFIC_MS = 250;

function openLogs({ config }: PopSpec, report: (message: string) => void) {
  const options = {
    directory: join(config.data, 'logs'),
    flushMs: config.log.flushMs,
    bufferBytes: config.log.bufferBytes,
    fileBytes: config.log.fileBytes,
    fileMinutes: config.log.fileMinutes,
    retentionHours: config.limits['log.accessRetentionHours'],
    clock: systemClock,
    report,
  };
  const access = new AccessLog({ ...options, userTimingBytes: config.limits['log.userTimingBytes'] });
  const server = new ServerLog(options);
  const bytes = config.limits['why.bytes'];
  const retentionHours = config.limits['why.retentionHours'];
  const ring = { ...options, directory: storyDirectory(config.data), bytes, retentionHours };
  const stories = bytes > 0 && retentionHours > 0 ? new StoryRing(ring) : null;
  return { access, server, stories, close: () => Promise.all([access.close(), server.close(), stories?.close()]) };
}
