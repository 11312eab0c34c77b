/** The control plane as one value: opened on a data directory, serving the Control API, closed in order. */

import { access, constants, mkdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Branding } from '../status/branding.ts';
import { type BlobStore, openBlobStore } from './blobs.ts';
import { Control } from './control.ts';
import { endpoints } from './endpoints.ts';
import type { LabSource } from './lab.ts';
import { listen, type Pages } from './listener.ts';
import type { LogSource } from './logs.ts';
import type { DeployLimits } from './manifest-check.ts';
import { isDiskFull } from './problem.ts';
import { type ApplySnapshot, Publisher } from './publisher.ts';
import type { StorySource } from './requests.ts';
import { RouteBook } from './route-book.ts';
import { SqliteStore } from './sqlite-store.ts';
import type { ControlStore } from './store.ts';

export interface ControlServerOptions {
  /** Holds `control.db` and `blobs/`; made when it is not there. */
  readonly dataDir: string;
  /** Bearer token of every request; see `loadToken`. */
  readonly token: string;
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Under which generated hosts lie. */
  readonly domain: string;
  readonly limits: DeployLimits & { readonly environments?: number };
  /** Address at which clients reach a host; called when an answer needs it, so a port may become known later. */
  readonly publicUrl: (host: string) => string;
  readonly logs?: LogSource;
  readonly stories?: StorySource;
  readonly lab?: LabSource;
  /** The web console: what is asked for outside `/v1` and `/metrics`, without a token. */
  readonly pages?: Pages;
  /** Names in explanations; default: the product's own. */
  readonly branding?: Branding;
  /** Text of `GET /metrics` in the Prometheus exposition format. */
  readonly metrics?: () => string;
  /** A POP in this process: serves from the snapshot, or rejects. What it answers is confirmed as POP `local`. */
  readonly activate?: ApplySnapshot;
  /** How long an activation waits for POPs that say nothing. Default 30,000. */
  readonly ackTimeoutMs?: number;
  /** Longest silence on a feed. Default 5,000. */
  readonly heartbeatMs?: number;
  /** Names accepted in `Host` beside IP literals, `localhost` and `host`. */
  readonly allowedHosts?: readonly string[];
  readonly clock?: Clock;
  /** Failures of the control plane itself. Default: standard error. */
  readonly onError?: (error: unknown) => void;
}

export interface ControlServer {
  /** `http://127.0.0.1:8079` */
  readonly url: string;
  readonly port: number;
  readonly store: ControlStore;
  readonly blobs: BlobStore;
  readonly control: Control;
  /** Lets activations finish, ends feeds, closes the store. */
  close(graceMs?: number): Promise<void>;
}

const CLOSE_GRACE_MS = 5_000;

/** Rejects with a sentence for people when the data directory or the port cannot be used; nothing is left open. */
export async function startControl(options: ControlServerOptions): Promise<ControlServer> {
  const { dataDir, domain, clock = systemClock, host = '127.0.0.1' } = options;
  await makeDataDir(dataDir);
  const blobs = await openBlobStore(join(dataDir, 'blobs'), clock).catch((error) => {
    throw dataDirError(dataDir, error);
  });
  const store = openStore(dataDir, domain, clock, options.limits.environments);
  try {
    const publisher = new Publisher(
      clock,
      options.ackTimeoutMs ?? 30_000,
      await store.snapshot(),
      await store.lastPurge(),
    );
    const { limits, publicUrl } = options;
    const control = new Control({ store, blobs, publisher, limits, domain, publicUrl });
    const requests = {
      source: options.stories,
      routes: new RouteBook({ store, blobs }),
      store,
      nowMs: () => clock.nowMs(),
      ...(options.branding ? { branding: options.branding } : {}),
    };
    const rows = endpoints({
      control,
      logs: options.logs,
      lab: options.lab,
      requests,
      metrics: options.metrics,
      heartbeatMs: options.heartbeatMs ?? 5_000,
    });
    const onError = options.onError ?? ((error) => console.error('control:', error));
    const allowedHosts = [host, ...(options.allowedHosts ?? [])].map((it) => it.toLowerCase());
    const { token, pages } = options;
    const listener = await listen({ endpoints: rows, token, pages, allowedHosts, onError }, host, options.port);
    if (options.activate) attachLocal(publisher, options.activate);
    return {
      url: `http://${host.includes(':') ? `[${host}]` : host}:${listener.port}`,
      port: listener.port,
      store,
      blobs,
      control,
      async close(graceMs = CLOSE_GRACE_MS) {
        publisher.close();
        await listener.close(graceMs);
        await control.idle();
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    throw listenError(error, host, options.port);
  }
}

/** Makes the directory, readable by its owner only: environment variables lie in it. */
export async function makeDataDir(dataDir: string): Promise<void> {
  try {
    await makeFolders(dataDir);
    if (!(await stat(dataDir)).isDirectory()) throw Object.assign(new Error(), { code: 'it is a file' });
    await access(dataDir, constants.W_OK | constants.X_OK);
  } catch (error) {
    throw dataDirError(dataDir, error);
  }
}

/** Not Node's own `recursive`: where the kernel lets nobody create anything (`/proc`), that never returns. */
async function makeFolders(path: string): Promise<void> {
  const make = (): Promise<void> => mkdir(path, { mode: 0o700 });
  try {
    await make();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolders(dirname(path));
    await make();
  }
}

function openStore(dataDir: string, domain: string, clock: Clock, mostEnvironments?: number): ControlStore {
  try {
    return new SqliteStore({
      path: join(dataDir, 'control.db'),
      domain,
      clock,
      ...(mostEnvironments === undefined ? {} : { mostEnvironments }),
    });
  } catch (error) {
    throw /unable to open|readonly/.test(String(error)) || isDiskFull(error) ? dataDirError(dataDir, error) : error;
  }
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'no permission to write there',
  EPERM: 'no permission to write there',
  ENOENT: 'it cannot be made there',
  ENOTDIR: 'a part of the path is a file',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
};

function dataDirError(dataDir: string, cause: unknown): Error {
  const { code: own, message } = cause as NodeJS.ErrnoException;
  const code = isDiskFull(cause) ? 'ENOSPC' : own;
  const why = code === undefined || code === 'ERR_SQLITE_ERROR' ? message : (REASONS[code] ?? code);
  return new Error(`the data directory ${dataDir} cannot be used (${why}); choose another with --data`, { cause });
}

function listenError(error: unknown, host: string, port: number): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') {
    return new Error(`the control port ${host}:${port} is in use; choose another with --control-port`, {
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EADDRNOTAVAIL') {
    return new Error(`the control plane cannot listen on ${host}:${port} (${code})`, { cause: error });
  }
  return error;
}

/** One snapshot after the other, as a POP behind a feed would take them. */
function attachLocal(publisher: Publisher, activate: ApplySnapshot): void {
  const pop = 'local';
  let last: Promise<unknown> = Promise.resolve();
  publisher.connect(pop, {
    replaced: () => {},
    purged: () => {},
    send: (snapshot) => {
      const { version } = snapshot;
      last = last
        .then(() => activate(snapshot))
        .then(
          (answer) => publisher.ack({ pop, version, ...answer }),
          (error: unknown) =>
            publisher.ack({ pop, version, error: error instanceof Error ? error.message : String(error) }),
        );
    },
  });
}
