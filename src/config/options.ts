/**
 * The option table: what may stand in the configuration, mirrored member by member from `PlatformConfig` (the type
 * check fails when one of the two has a member that the other has not). The loader, `selvedge config --help` and
 * docs/configuration.md are derived from it.
 */

import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { type BrandingOverrides, PRESET_NAMES, type Preset } from '../status/branding.ts';
import type { Kind } from './kinds.ts';
import * as kind from './kinds.ts';
import { LIMIT_KEYS, type LimitKey, type LimitRow, type LimitScope, LONGEST_TIMER_MS, limitRow } from './limits.ts';
import type { PlatformConfig } from './platform.ts';

export interface Option<T = unknown> {
  readonly kind: Kind<T>;
  /** Depends on the machine in a few places, so it is asked for when a configuration is made. */
  readonly default: () => T;
  /** For people, where the value itself does not say it. */
  readonly defaultText?: string;
  readonly doc: string;
  /** Never shown again, neither in problems nor in dumps. */
  readonly secret?: boolean;
}

type BrandingFile = { readonly preset: Preset } & Readonly<Record<keyof BrandingOverrides, string | undefined>>;
/** What a file can say; `branding` and `limits` are completed from presets and the limit table. */
export type FileConfig = Omit<PlatformConfig, 'branding' | 'limits'> & { readonly branding: BrandingFile };

type Leaf = string | number | boolean | undefined | readonly unknown[];
type OptionTree<T> = { readonly [K in keyof T]: [T[K]] extends [Leaf] ? Option<T[K]> : OptionTree<T[K]> };

function option<T>(ofKind: Kind<T>, value: T | (() => T), doc: string, more: Partial<Option<T>> = {}): Option<T> {
  return { kind: ofKind, default: typeof value === 'function' ? (value as () => T) : () => value, doc, ...more };
}
const none = <T>(ofKind: Kind<T>, doc: string, more: Partial<Option<T | undefined>> = {}): Option<T | undefined> =>
  option<T | undefined>(kind.optional(ofKind), undefined, doc, { defaultText: 'none', ...more });

const MB = 1024 * 1024;
const visible = kind.text('a short text', /^[\x20-\x7e]{1,100}$/);

const TREE: OptionTree<FileConfig> = {
  branding: {
    preset: option(
      kind.oneOf(...PRESET_NAMES),
      'selvedge',
      'Names on the wire: native, or those of the system that a project was written for.',
    ),
    productName: none(visible, 'What pages and messages call the platform.', { defaultText: 'Selvedge' }),
    headerPrefix: none(kind.token, "Start of the platform's own header names.", { defaultText: "the preset's" }),
    cookiePrefix: none(kind.token, "Start of the platform's own cookies and query parameters.", {
      defaultText: "the preset's",
    }),
    builtInPath: none(
      kind.text('a path with a slash at both ends', /^\/(?:[\w.-]+\/)+$/),
      'Path of files that the platform itself serves.',
      { defaultText: "the preset's" },
    ),
    helpUrl: none(kind.url('https', 'http'), 'Page that explains the status codes; error pages link to it.'),
  },
  data: option(
    kind.folder,
    () => resolve('.selvedge/data'),
    'Base directory of everything that is kept: control state, blobs, cache, logs.',
    { defaultText: '.selvedge/data' },
  ),
  pop: {
    name: option(
      kind.text('letters, digits, dots, underscores and hyphens', /^[A-Za-z0-9][\w.-]{0,62}$/),
      'local',
      'Identity of this POP in headers and logs.',
    ),
    role: option(kind.oneOf('all', 'edge', 'global', 'compute', 'control'), 'all', 'What this machine does.'),
    global: none(kind.url('https', 'http'), 'Link address of the global POP. Needed with role edge.'),
    processes: option(
      kind.number({ min: 1, max: 1_024 }),
      () => availableParallelism(),
      'Edge processes that share the client port and the disk tier of the cache.',
      { defaultText: 'one per core' },
    ),
    linkToken: none(
      kind.text('at least 16 visible ASCII characters', /^[\x21-\x7e]{16,512}$/),
      'Secret that edges prove themselves to the global POP with. The same on both sides.',
      { defaultText: 'made at the first start, kept in the data directory' },
    ),
    certFile: none(
      kind.certificateFile,
      'Certificate of this POP for the link (PEM); with it the link uses mutual TLS.',
    ),
    keyFile: none(kind.keyFile, 'Private key to `pop.certFile` (PEM).'),
    caFile: none(kind.certificateFile, 'Authority that signed the certificates of all POPs (PEM).'),
  },
  listen: {
    host: option(kind.bindHost, '0.0.0.0', 'Address for clients.'),
    port: option(kind.port, 8080, 'HTTP port for clients.'),
    fastPath: option(kind.flag, false, 'Answer cache hits where they are read, without the ordinary pipeline.'),
    tlsPort: none(kind.port, 'HTTPS port for clients (HTTP/2 and HTTP/1.1).'),
    certFile: none(kind.certificateFile, 'Certificate chain for clients (PEM). Needed with `listen.tlsPort`.'),
    keyFile: none(kind.keyFile, 'Private key to `listen.certFile` (PEM).'),
    linkHost: option(kind.bindHost, '127.0.0.1', 'Address on which a global POP takes requests of edge POPs.'),
    linkPort: option(kind.port, 0, 'Port on which a global POP takes requests of edge POPs.'),
  },
  domain: option(kind.domain, 'localhost', 'Generated hosts are `<project>-<environment>[-<number>].<domain>`.'),
  dns: {
    servers: option(kind.listOf(kind.nameServer), [], 'Name servers for backends and the global POP.', {
      defaultText: "the system's",
    }),
  },
  compute: {
    workers: option(
      kind.number({ min: 1, max: 10_000 }),
      () => Math.max(4, 2 * availableParallelism()),
      'Worker processes at the same time, all deployments together.',
      { defaultText: 'two per core, at least 4' },
    ),
    prewarm: option(kind.number({ max: 1_000 }), 1, 'Workers started ahead of traffic for each active deployment.'),
    idleMs: option(kind.milliseconds(), 300_000, 'A worker without a request for this long is ended.'),
    isolation: option(
      kind.oneOf('auto', 'none'),
      'auto',
      'Namespaces for each worker, where the system lets its users make them: read-only bundle, bounded temporary files, no sight of the data directory.',
    ),
    requestsPerWorker: option(
      kind.number({ min: 1, off: Number.POSITIVE_INFINITY }),
      Number.POSITIVE_INFINITY,
      'A worker is replaced after this many requests.',
      { defaultText: 'off' },
    ),
  },
  cache: {
    enabled: option(kind.flag, true, 'Whether responses are stored; without, every caching status is `disabled`.'),
    memoryBytes: option(kind.number({ unit: 'bytes' }), 256 * MB, 'Memory tier of one POP process.'),
    preparedBytes: option(
      kind.number({ unit: 'bytes' }),
      64 * MB,
      'Heads and log lines of the fast path in one POP process, beside `cache.memoryBytes`.',
    ),
    maxObjectBytes: option(kind.number({ unit: 'bytes' }), 64 * MB, 'Larger bodies are not stored.'),
    maxEntries: option(kind.number({ min: 1 }), 200_000, 'Entries of the memory tier of one POP process.'),
    disk: option(
      kind.flag,
      true,
      'Whether responses are kept on the disk as well, shared by the processes of a role, and there after a restart.',
    ),
    diskBytes: option(
      kind.number({ min: MB, unit: 'bytes' }),
      4096 * MB,
      'Disk tier of the edge, and that of the global POP, under `data`; the oldest that nobody uses leave first.',
    ),
  },
  control: {
    host: option(kind.bindHost, '127.0.0.1', 'Address of the control API.'),
    port: option(kind.port, 8079, 'Port of the control API.'),
    url: none(kind.url('https', 'http'), 'Control plane to follow when this machine does not run it.'),
    token: none(
      kind.text('at least 16 visible characters', /^[\x21-\x7e]{16,512}$/),
      'Bearer token of the control API.',
      {
        defaultText: 'made at the first start and kept in the data directory',
        secret: true,
      },
    ),
  },
  trustedProxies: option(
    kind.listOf(kind.cidr),
    [],
    'Proxies in front whose `X-Forwarded-*` and `Forwarded` fields are believed.',
  ),
  upstream: {
    prohibited: option(
      kind.listOf(kind.cidr),
      ['169.254.169.254/32', 'fd00:ec2::254/128'],
      "Networks that no backend may be on. The platform's own sockets are always prohibited.",
    ),
    caFile: none(kind.certificateFile, 'Further certificate authorities for backends (PEM).'),
  },
  codes: {
    projectCrashed: option(kind.oneOf(534, 549), 534, 'Code for a worker process that ended by itself.'),
    style: option(
      kind.oneOf('native', 'standard'),
      'native',
      'Send our own codes, or the statuses that RFC 9209 recommends; the error header keeps the code.',
    ),
  },
  log: {
    level: option(kind.oneOf('debug', 'info', 'warn', 'error'), 'info', 'Messages on stderr, from this level up.'),
    fileBytes: option(kind.number({ min: 1_024, unit: 'bytes' }), 64 * MB, 'A log file is rotated when it is larger.'),
    fileMinutes: option(kind.number({ min: 1, max: 35_000 }), 60, 'A log file is rotated when it is older (minutes).'),
    flushMs: option(kind.milliseconds(), 200, 'Longest time a log line waits in memory.'),
    bufferBytes: option(
      kind.number({ min: 65_536, unit: 'bytes' }),
      8 * MB,
      'Log lines that wait for a slow disk; what does not fit is dropped and counted.',
    ),
  },
};

/** Every option and limit by dotted path, in the order of the documentation. */
export const OPTIONS: ReadonlyMap<string, Option> = new Map([...flatten(TREE, ''), ...LIMIT_KEYS.map(limitOption)]);

/** One row for help and documentation; everything as text. */
export interface OptionDescription {
  readonly path: string;
  readonly doc: string;
  readonly allowed: string;
  readonly default: string;
  /** Of limits only. */
  readonly limit?: { readonly unit: string; readonly scope: LimitScope; readonly at: string; readonly breach: string };
}

export const describeOptions = (): readonly OptionDescription[] =>
  [...OPTIONS].map(
    ([
      path,
      {
        kind: { allowed },
        doc,
        defaultText,
        default: value,
      },
    ]) => ({
      path,
      doc,
      allowed,
      default: defaultText ?? inWords(value()),
      ...(path.startsWith('limits.') ? { limit: describeLimit(limitRow(path.slice(7) as LimitKey)) } : {}),
    }),
  );

/** Text of `selvedge config --help`. */
export function optionsHelp(): string {
  const blocks = describeOptions().map(
    ({ path, doc, allowed, default: value }) => `${path}\n    ${doc}\n    ${allowed}; default: ${value}\n`,
  );
  return blocks.join('');
}

function* flatten(tree: object, prefix: string): Generator<readonly [string, Option]> {
  for (const [name, node] of Object.entries(tree) as [string, Option | object][]) {
    if ('kind' in node) yield [prefix + name, node];
    else yield* flatten(node, `${prefix}${name}.`);
  }
}

function limitOption(key: LimitKey): readonly [string, Option] {
  const row = limitRow(key);
  const off = row.unit === 'ms' ? LONGEST_TIMER_MS : Number.POSITIVE_INFINITY;
  const ofKind = kind.number({
    min: row.min ?? 0,
    ...(row.unit === 'ms' ? { max: LONGEST_TIMER_MS } : {}),
    unit: row.unit,
    // A worker's memory always has a bound: the sandbox is made of it.
    ...(row.unit === 'MiB' ? {} : { off }),
    fraction: row.unit === 'hours' || row.unit === 'seconds',
  });
  return [`limits.${key}`, { kind: ofKind, default: () => row.default, doc: row.doc }];
}

const describeLimit = ({ unit, scope, at, code, breach }: LimitRow): NonNullable<OptionDescription['limit']> => ({
  unit,
  scope,
  at,
  breach: [code, breach].filter((part) => part !== undefined).join('; ') || '-',
});

function inWords(value: unknown): string {
  if (value === Number.POSITIVE_INFINITY) return 'off';
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(', ');
  return String(value);
}
