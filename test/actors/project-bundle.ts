/** An actor: a project whose bundle lies on disk and whose code runs in real worker processes. */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import type { ComputeLimits, ComputeOptions } from '../../src/compute/options.ts';
import { createCompute } from '../../src/compute/scheduler.ts';
import type { Compute, ComputeCall, Runnable, ServerLogLine } from '../../src/compute/types.ts';
import { Fields } from '../../src/http/fields.ts';
import type { HttpRequest, HttpResponse } from '../../src/http/message.ts';
import { Fault } from '../../src/status/fault.ts';

/** Wraps handlers `{ name: async (options) => response }` into a routes module that speaks the protocol. */
export const routesModule = (handlers: string): string => `
const text = (body, more = {}) => ({ status: 200, reason: '', headers: [], body: Buffer.from(body), ...more });
const handlers = { hello: async () => text('hello'), ${handlers} };
export default { [Symbol.for('selvedge.router.v1')]: { run: (options) => handlers[options.routeId](options) } };
`;

export const SMALL_LIMITS: ComputeLimits = {
  scheduleMs: 20_000,
  queueDepth: 100,
  responseMs: 20_000,
  loadMs: 20_000,
  reservedMs: 250,
  requestBytes: 1_000_000,
  responseBytes: 1_000_000,
  memoryMiB: 512,
  reservedMemoryMiB: 50,
  tmpMiB: 8,
  concurrencyPerWorker: 1,
  headerCount: 70,
  headerBytes: 65_536,
  cookieBytes: 32_768,
  headerFieldBytes: Number.POSITIVE_INFINITY,
};

export type RoomOptions = Partial<Omit<ComputeOptions, 'limits'>> & { readonly limits?: Partial<ComputeLimits> };

export interface ComputeStage extends AsyncDisposable {
  readonly compute: Compute;
  readonly runDir: string;
  readonly logs: ServerLogLine[];
  project(files: Readonly<Record<string, string>>, more?: Partial<Runnable>): Promise<Runnable>;
  /** Resolves with the first line, past or future, that fits. */
  logged(fits: (line: ServerLogLine) => boolean): Promise<ServerLogLine>;
}

export async function computeStage({ limits, ...options }: RoomOptions = {}): Promise<ComputeStage> {
  const home = await mkdtemp(join(tmpdir(), 'sv-'));
  const runDir = await mkdtemp(join(home, 'r-'));
  const logs: ServerLogLine[] = [];
  const watchers = new Set<(line: ServerLogLine) => void>();
  const compute = createCompute({
    clock: systemClock,
    maxWorkers: 4,
    prewarm: 1,
    idleMs: 60_000,
    projectCrashed: 534,
    isPlatformHeader: (name) => name.startsWith('x-sv-'),
    ...options,
    limits: { ...SMALL_LIMITS, ...limits },
    runDir,
    onLog: (line) => {
      logs.push(line);
      for (const watcher of watchers) watcher(line);
    },
  });
  let projects = 0;
  return {
    compute,
    runDir,
    logs,
    async project(files, more) {
      const directory = await mkdtemp(join(home, 'p-'));
      for (const [name, content] of Object.entries(files)) await writeFile(join(directory, name), content);
      const id = `shop-production-${++projects}`;
      const variables = {};
      return {
        id,
        directory,
        routes: 'routes.mjs',
        variables,
        environmentName: 'production',
        production: true,
        ...more,
      };
    },
    logged(fits) {
      const known = logs.find(fits);
      if (known) return Promise.resolve(known);
      return new Promise((resolve) => {
        const watcher = (line: ServerLogLine): void => {
          if (!fits(line)) return;
          watchers.delete(watcher);
          resolve(line);
        };
        watchers.add(watcher);
      });
    },
    async [Symbol.asyncDispose]() {
      await compute.close();
      await rm(home, { recursive: true, force: true });
    },
  };
}

export type CallOptions = Partial<Omit<ComputeCall, 'request' | 'runnable'>> & {
  readonly route?: string;
  readonly request?: Partial<HttpRequest>;
};

const noServices: ComputeCall['services'] = {
  proxy: () => Promise.reject(new Error('this test proxies nothing')),
  asset: () => Promise.resolve(null),
};

/** A call of a route, or of the app's own server when no route is named. */
export function callOf(runnable: Runnable, { route, request, ...more }: CallOptions = {}): ComputeCall {
  return {
    runnable,
    target: route === undefined ? { kind: 'app' } : { kind: 'route', routeId: route },
    params: {},
    requestId: 'request-1',
    clientIp: '192.0.2.7',
    signal: new AbortController().signal,
    services: noServices,
    ...more,
    request: {
      method: 'GET',
      protocol: 'https',
      host: 'shop.example',
      path: '/',
      query: '',
      fields: new Fields(['Host', 'shop.example']),
      body: null,
      ...request,
    },
  };
}

export async function bodyText({ body }: HttpResponse): Promise<string> {
  if (body === null) return '';
  if (Buffer.isBuffer(body)) return body.toString();
  let text = '';
  for await (const chunk of body) text += (chunk as Buffer).toString();
  return text;
}

/** The fault that a run ends with; an answer is an error of the test. */
export async function faultOf(answer: Promise<unknown>): Promise<Fault> {
  try {
    await answer;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('a fault was expected, an answer came');
}

/**
 * Whether a process runs. One that is dead but not yet fetched by its new parent does not; one whose first thread is
 * dead and another is not has its sockets still.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  try {
    if (!/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))) return true;
    return readdirSync(`/proc/${pid}/task`).length > 1;
  } catch {
    // No /proc here, or gone in between.
    return process.platform !== 'linux';
  }
}

/** Resolves when all processes are gone. */
export async function gone(...pids: readonly number[]): Promise<void> {
  while (pids.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 5));
}
