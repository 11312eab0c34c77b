/** What single values cannot show: members that only make sense together, and defaults that follow another member. */
import type { PlatformConfig } from './platform.ts';

/** Who lowers one of these (in a test, say) need not know what depends on it. */
const FOLLOWERS: readonly { readonly path: string; readonly follows: string; readonly share: number }[] = [
  { path: 'limits.pop.heartbeatMs', follows: 'limits.pop.silenceMs', share: 0.25 },
  { path: 'limits.compute.reservedMs', follows: 'limits.compute.responseMs', share: 0.25 },
  { path: 'limits.compute.reservedMemoryMiB', follows: 'limits.compute.memoryMiB', share: 0.25 },
  { path: 'cache.maxObjectBytes', follows: 'cache.memoryBytes', share: 1 },
];

/** Defaults that are cut to a share of another member's value; what is given stays as it is and is checked instead. */
export function* followers(
  values: ReadonlyMap<string, unknown>,
  isGiven: (path: string) => boolean,
): Generator<{ path: string; value: number }> {
  for (const { path, follows, share } of FOLLOWERS) {
    if (isGiven(path)) continue;
    yield { path, value: Math.min(values.get(path) as number, Math.floor((values.get(follows) as number) * share)) };
  }
}

interface Rule {
  /** The member that is named in the problem. */
  readonly path: string;
  readonly broken: (config: PlatformConfig) => boolean;
  readonly message: string;
}

const RULES: readonly Rule[] = [
  {
    path: 'pop.global',
    broken: ({ pop }) => pop.role === 'edge' && pop.global === undefined,
    message: 'is needed with pop.role edge: an edge POP forwards to its global POP',
  },
  {
    path: 'pop.linkToken',
    broken: ({ pop }) => pop.role === 'edge' && pop.linkToken === undefined,
    message: 'is needed with pop.role edge: an edge POP proves itself to its global POP with it',
  },
  ...(['url', 'token'] as const).map((member) => ({
    path: `control.${member}`,
    broken: ({ pop, control }: PlatformConfig) => hasNoControl(pop.role) && control[member] === undefined,
    message: 'is needed on a machine that does not run the control plane itself',
  })),
  {
    path: 'listen.tlsPort',
    broken: ({ listen }) => listen.tlsPort !== undefined && (!listen.certFile || !listen.keyFile),
    message: 'needs listen.certFile and listen.keyFile',
  },
  {
    path: 'listen.certFile',
    broken: ({ listen }) => (listen.certFile === undefined) !== (listen.keyFile === undefined),
    message: 'and listen.keyFile belong together: one of them is missing',
  },
  {
    path: 'pop.certFile',
    broken: ({ pop }) => new Set([pop.certFile, pop.keyFile, pop.caFile].map((file) => file === undefined)).size > 1,
    message: 'pop.keyFile and pop.caFile belong together: one of them is missing',
  },
  {
    path: 'limits.pop.silenceMs',
    broken: ({ limits }) => limits['pop.silenceMs'] <= limits['pop.heartbeatMs'],
    message: 'must be longer than limits.pop.heartbeatMs, or every slow answer would be taken for a silent POP',
  },
  {
    path: 'limits.compute.reservedMs',
    broken: ({ limits }) => limits['compute.reservedMs'] >= limits['compute.responseMs'],
    message: 'must be shorter than limits.compute.responseMs, of which it is a part',
  },
  {
    path: 'limits.compute.reservedMemoryMiB',
    broken: ({ limits }) => limits['compute.reservedMemoryMiB'] >= limits['compute.memoryMiB'],
    message: 'must be smaller than limits.compute.memoryMiB, of which it is a part',
  },
  {
    path: 'cache.maxObjectBytes',
    broken: ({ cache }) => cache.maxObjectBytes > cache.memoryBytes,
    message: 'must not be larger than cache.memoryBytes',
  },
];

const hasNoControl = (role: PlatformConfig['pop']['role']): boolean => role === 'edge' || role === 'global';

export function* crossProblems(config: PlatformConfig): Generator<{ path: string; message: string }> {
  for (const { path, broken, message } of RULES) if (broken(config)) yield { path, message };
}
