/**
 * A real edge POP in this process with two doors to the same pipeline and the same store: one with the fast path in
 * front, one without. What the two answer has to be the same.
 */
import { randomInt } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { MANIFEST_FORMAT } from '../../src/artifact/manifest.ts';
import type { Snapshot } from '../../src/artifact/snapshot.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { createCache } from '../../src/cache/cache.ts';
import { DEFAULT_LIMITS, type Limits } from '../../src/config/limits.ts';
import { createFront, type FrontOptions } from '../../src/http/fast/front.ts';
import { Scanner } from '../../src/http/fast/scan.ts';
import { AnswerTable } from '../../src/http/fast/table.ts';
import { createListener, type Listener, type ListenerOptions } from '../../src/http/listener.ts';
import { type AccessRecord, encodeAccess } from '../../src/observe/log-fields.ts';
import { describeAgent, Hot, REFUSED_FIELDS } from '../../src/pop/hot.ts';
import { createPop, type Pop } from '../../src/pop/pop.ts';
import type { Router } from '../../src/router/authoring/index.ts';
import { ROUTER_PROTOCOL } from '../../src/router/protocol.ts';
import { DEFAULT_BRANDING } from '../../src/status/branding.ts';
import { Traffic } from '../../src/telemetry/traffic.ts';
import { createResolver } from '../../src/upstream/dns.ts';
import { Prohibited } from '../../src/upstream/prohibited.ts';
import { createUpstream } from '../../src/upstream/upstream.ts';
import { type HttpOrigin, httpOrigin } from './origin.ts';

export interface TwoDoors extends AsyncDisposable {
  /** With the fast path. */
  readonly fastPort: number;
  /** Without. */
  readonly plainPort: number;
  readonly fast: Listener;
  readonly pop: Pop;
  readonly origin: HttpOrigin;
  readonly table: AnswerTable;
  /** Counts what goes through both doors. */
  readonly traffic: Traffic;
  /** Ids of the requests that the fast path answered. */
  readonly fastIds: ReadonlySet<string>;
  /** Requests that took the ordinary way, through either door. */
  readonly ordinary: number;
  /** Lines of the access log by request id, whoever wrote them. */
  readonly lines: Map<string, string>;
  /** Another deployment of the same project. */
  deploy(router: Router): Promise<void>;
  purge(path: string): Promise<void>;
  readonly host: string;
}

export interface TwoDoorsOptions {
  readonly router: Router;
  /** What the only backend, `origin`, does. */
  readonly origin?: RequestListener;
  readonly clock?: Clock;
  readonly limits?: Partial<Limits>;
  readonly listener?: Partial<ListenerOptions['limits']>;
  readonly front?: Partial<FrontOptions>;
  readonly table?: { readonly maxBytes: number; readonly maxEntries: number };
  readonly memoryBytes?: number;
}

export const HOST = 'shop-default.localhost';

export async function openTwoDoors(options: TwoDoorsOptions): Promise<TwoDoors> {
  const { clock = systemClock } = options;
  const origin = await httpOrigin(options.origin);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const seed = randomInt(2 ** 31);
  const scanner = new Scanner({ headBytes: 16_384, targetBytes: 8_192, lines: 70, refused: REFUSED_FIELDS, seed });
  const table = new AnswerTable(options.table ?? { maxBytes: 64_000_000, maxEntries: 10_000 });
  const lines = new Map<string, string>();
  const fastIds = new Set<string>();
  const log = (line: string): void => void lines.set((JSON.parse(line) as AccessRecord).rid, line);
  const traffic = new Traffic();
  let router = options.router;
  let version = 0;
  const cache = createCache({
    ...{ clock, hop: 'edge', headerPrefix: 'x-sv', memoryBytes: options.memoryBytes ?? 64_000_000 },
    maxObjectBytes: 32_000_000,
  });
  const pop = createPop({
    ...{ role: 'edge', name: 'here', version: '0.0.0', branding: DEFAULT_BRANDING, limits, style: 'native', clock },
    ...{
      cache,
      stores: true,
      compute: null,
      link: null,
      linkToken: 'a-token-of-the-link',
      tlsPort: () => undefined,
      story: null,
    },
    upstream: createUpstream({
      clock,
      resolver: createResolver({ clock }),
      prohibited: { upstream: new Prohibited({}) },
    }),
    blobFile: () => Promise.reject(new Error('no files here')),
    record: (record) => {
      log(encodeAccess(record));
      traffic.observe(record, 0);
    },
    report: (message, error) => console.error(message, error),
    hot: new Hot({ table, scanner, meterOf: (record) => traffic.meter(record) }),
    trustedProxies: [],
    source: {
      manifest: async () => ({
        ...{ format: MANIFEST_FORMAT, builder: 'test', name: 'shop', assets: {}, server: null, warnings: [] },
        routes: await tableOf(router, origin.port),
      }),
      unpack: () => Promise.reject(new Error('no bundles here')),
    },
  });
  const deploy = async (next: Router): Promise<void> => {
    router = next;
    await pop.apply(snapshotOf(++version));
  };
  await deploy(router);
  let ordinary = 0;
  const inner = (): Listener =>
    createListener({
      handle: (exchange) => {
        ordinary++;
        return pop.handle(exchange);
      },
      onFault: (fault, context) => {
        ordinary++;
        return pop.onFault(fault, context);
      },
      clock,
      limits: {
        pathQueryBytes: 8_192,
        cookieBytes: 32_768,
        headerBytes: 65_536,
        headMs: 60_000,
        idleMs: 5_000,
        ...options.listener,
      },
    });
  const plain = inner();
  const fast = createFront({
    ...{ ordinary: inner(), table, scanner, describeAgent, flushMs: 10, isTrusted: () => false, clock },
    limits: { headMs: 60_000, idleMs: 5_000, ...options.listener },
    takeLines(chunk, count) {
      const written = chunk.toString().split('\n').slice(0, -1);
      if (written.length !== count) throw new Error(`${written.length} lines instead of ${count}`);
      for (const line of written) {
        log(line);
        fastIds.add((JSON.parse(line) as AccessRecord).rid);
      }
    },
    ...options.front,
  });
  const [{ port: fastPort }, { port: plainPort }] = (await Promise.all(
    [fast, plain].map((listener) => listener.listen({ host: '127.0.0.1', port: 0 })),
  )) as [{ port: number }, { port: number }];
  let purges = 0;
  return {
    ...{ traffic, fastPort, plainPort, fast, pop, origin, table, lines, fastIds, deploy, host: HOST },
    get ordinary() {
      return ordinary;
    },
    purge: (path) =>
      cache.purge([{ sequence: ++purges, space: 'space-1', kind: 'path', value: path, soft: false }], purges),
    async [Symbol.asyncDispose]() {
      await Promise.all([fast.close(), plain.close()]);
      cache.close();
      await origin.close();
    },
  };
}

async function tableOf(router: Router, port: number) {
  const backends = { origin: { domainOrIp: '127.0.0.1', port, scheme: 'http' } } as const;
  return (await router[ROUTER_PROTOCOL].record({ projectDir: import.meta.dirname, backends })).table;
}

function snapshotOf(version: number): Snapshot {
  const place = { project: 'shop', environment: 'default', number: version };
  const environment = { id: 'shop-default', project: 'shop', name: 'default', deployment: version, production: false };
  const binding = { environment: 'shop-default', deployment: version, permalink: false, generated: false };
  return {
    version,
    environments: [{ ...environment, version, cacheSpace: 'space-1', variables: {} }],
    hosts: {
      [HOST]: { ...binding, generated: true },
      ...Object.fromEntries(Array.from({ length: 32 }, (_, at) => [`shop-${at}.example`, binding])),
    },
    deployments: [{ ...place, manifest: `manifest-${version}`, createdAt: '2026-01-01T00:00:00Z' }],
  };
}
