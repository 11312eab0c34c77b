/**
 * The platform on this machine: control plane in this process, one process for the global POP with compute, and the
 * edge processes on one port. What `role` leaves out runs elsewhere and is found through the configuration.
 */
import { isIP } from 'node:net';
import { join } from 'node:path';
import type { PlatformConfig } from '../../config/platform.ts';
import { type ControlAddress, loadToken, removeControlAddress, writeControlAddress } from '../../control/discovery.ts';
import { type ControlServer, makeDataDir, startControl } from '../../control/server.ts';
import { Traffic, type TrafficDelta } from '../../telemetry/traffic.ts';
import { consolePages } from './console.ts';
import { refuseTaken } from './free-port.ts';
import { LabProcesses } from './lab-source.ts';
import { linkScheme } from './link-tls.ts';
import { loadLinkToken } from './link-token.ts';
import { lockDataDir } from './lock.ts';
import { logFiles, storyFiles } from './logs.ts';
import type { PopSpec, Ports } from './spec.ts';
import { type SupervisedPop, supervisePop } from './supervisor.ts';

export interface RunningPlatform {
  /** Address of the client-facing listener; null where none runs here. */
  readonly http: string | null;
  /** Address of the TLS listener; null without `listen.tlsPort`. */
  readonly https: string | null;
  readonly control: ControlAddress | null;
  /** Address of the link listener of a global POP. */
  readonly link: string | null;
  /** Drains and ends everything; no process stays behind. */
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly report: (message: string) => void;
  /** Gives the start up: it rejects, and nothing is left running. */
  readonly signal?: AbortSignal;
}

/** Rejects with a sentence for people; then nothing is left running. */
export async function startPlatform(config: PlatformConfig, options: StartOptions): Promise<RunningPlatform> {
  const { report, signal } = options;
  await makeDataDir(config.data);
  const unlock = lockDataDir(config.data);
  const parts: Parts = { edges: [], global: null, control: null };
  const giveUp = (): void => void stopParts(parts, config, 0);
  signal?.addEventListener('abort', giveUp);
  try {
    return await start(config, report, parts, unlock);
  } catch (error) {
    await stopParts(parts, config, 0);
    unlock();
    throw error;
  } finally {
    signal?.removeEventListener('abort', giveUp);
  }
}

interface Parts {
  edges: readonly SupervisedPop[];
  global: SupervisedPop | null;
  control: ControlServer | null;
}

async function start(
  config: PlatformConfig,
  report: (message: string) => void,
  parts: Parts,
  unlock: () => void,
): Promise<RunningPlatform> {
  const { role } = config.pop;
  const runs = (...roles: string[]): boolean => role === 'all' || roles.includes(role);
  const linkToken = await loadLinkToken(config);
  const globalSpec = Promise.withResolvers<PopSpec>();
  const edgeSpec = Promise.withResolvers<PopSpec>();
  edgeSpec.promise.catch(() => {});
  globalSpec.promise.catch(() => {});
  const traffic = new Traffic();
  const options = { report, onTraffic: (delta: TrafficDelta) => traffic.add(delta) };
  const global = runs('global') ? supervisePop('global', globalSpec.promise, options) : null;
  const edges = runs('edge')
    ? Array.from({ length: config.pop.processes }, (_, at) => supervisePop(`edge-${at + 1}`, edgeSpecFor(at), options))
    : [];
  Object.assign(parts, { edges, global });

  let ports: Ports = { port: config.listen.port, tlsPort: config.listen.tlsPort };
  const control = runs('control') ? await composeControl(config, () => ports, traffic) : null;
  parts.control = control;
  const address = control ? { url: control.url, token: await tokenOf(config) } : remoteControl(config);
  const ownSockets = control ? [{ host: config.control.host, port: control.port }] : socketsOf(config);
  const base = { config, control: address, linkToken, ownSockets };

  let link: string | null = config.pop.global ?? null;
  if (global) {
    globalSpec.resolve({ ...base, ...globalParts(config) });
    const { port } = await global.ready;
    link = `${linkScheme(config)}://${config.listen.linkHost}:${port}`;
    ownSockets.push({ host: config.listen.linkHost, port });
  }
  if (edges.length > 1)
    for (const port of [config.listen.port, config.listen.tlsPort]) await refuseTaken(config.listen.host, port);
  edgeSpec.resolve({ ...base, ...edgeParts(config, link) });
  for (const edge of edges) ports = await edge.ready;
  if (control) await writeControlAddress(config.data, address);
  return {
    http: edges.length > 0 ? `http://${hostForUrl(config.listen.host)}:${ports.port}` : null,
    https: edges.length > 0 && ports.tlsPort ? `https://${hostForUrl(config.listen.host)}:${ports.tlsPort}` : null,
    control: control ? address : null,
    link: global ? link : null,
    async stop() {
      await stopParts(parts, config, config.limits.drainMs);
      unlock();
    },
  };

  /** Where a port is still to be found, the first edge finds it and the others share it. */
  function edgeSpecFor(at: number): Promise<PopSpec> {
    const processName = `${config.pop.name}-edge-${at + 1}`;
    const named = edgeSpec.promise.then((spec) => ({ ...spec, processName, prerenders: at === 0 }));
    const { port, tlsPort } = config.listen;
    if (at === 0 || (port !== 0 && tlsPort !== 0)) return named;
    return named.then(async (spec) => ({ ...spec, listen: { ...spec.listen, ...(await edges[0]!.ready) } }));
  }
}

function globalParts(config: PlatformConfig): Omit<PopSpec, 'config' | 'control' | 'linkToken' | 'ownSockets'> {
  return {
    role: 'global',
    identity: `global-${config.pop.name}`,
    processName: `${config.pop.name}-global`,
    link: null,
    listen: { host: config.listen.linkHost, port: config.listen.linkPort, reusePort: false },
    compute: true,
    prerenders: false,
  };
}

function edgeParts(
  config: PlatformConfig,
  link: string | null,
): Omit<PopSpec, 'config' | 'control' | 'linkToken' | 'ownSockets'> {
  return {
    role: 'edge',
    identity: `edge-${config.pop.name}`,
    processName: `${config.pop.name}-edge`,
    link,
    listen: {
      host: config.listen.host,
      port: config.listen.port,
      tlsPort: config.listen.tlsPort,
      reusePort: config.pop.processes > 1,
    },
    compute: false,
    prerenders: true,
  };
}

async function composeControl(config: PlatformConfig, ports: () => Ports, traffic: Traffic): Promise<ControlServer> {
  const lab = new LabProcesses();
  const server = await startControl({
    dataDir: config.data,
    token: await tokenOf(config),
    host: config.control.host,
    port: config.control.port,
    domain: config.domain,
    limits: config.limits,
    publicUrl: (host) => publicUrl(host, ports()),
    logs: logFiles(join(config.data, 'logs')),
    stories: storyFiles(config.data, config.limits['why.retentionHours']),
    branding: config.branding,
    metrics: () => traffic.text(),
    pages: consolePages(),
    lab,
  });
  return {
    ...server,
    async close(graceMs) {
      await lab.close();
      await server.close(graceMs);
    },
  };
}

/** Where clients can choose, it is HTTPS that routes are written for. */
function publicUrl(host: string, { port, tlsPort }: Ports): string {
  if (tlsPort !== undefined) return `https://${host}${tlsPort === 443 ? '' : `:${tlsPort}`}`;
  return `http://${host}${port === 80 ? '' : `:${port}`}`;
}

const tokenOf = async (config: PlatformConfig): Promise<string> => config.control.token ?? loadToken(config.data);

function remoteControl({ control }: PlatformConfig): ControlAddress {
  if (control.url !== undefined && control.token !== undefined) return { url: control.url, token: control.token };
  throw new Error('control.url and control.token must name the control plane, because this machine does not run it');
}

/** Of the machines that run what this one does not; names are resolved by nobody here, so only addresses count. */
function socketsOf({ control, pop }: PlatformConfig): { host: string; port: number }[] {
  return [control.url, pop.global]
    .filter((url) => url !== undefined)
    .map((url) => new URL(url))
    .map(({ hostname, port, protocol }) => ({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port || (protocol === 'https:' ? 443 : 80)),
    }))
    .filter(({ host }) => isIP(host) !== 0);
}

async function stopParts({ edges, global, control }: Parts, config: PlatformConfig, graceMs: number): Promise<void> {
  if (control) await removeControlAddress(config.data);
  // Edges first: what they still have may need the global POP.
  await Promise.all(edges.map((edge) => edge.stop(graceMs)));
  await global?.stop(graceMs);
  await control?.close();
}

const hostForUrl = (host: string): string =>
  host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
