/** What a POP is made of: its identity, its numbers, and the engines that the composition root hands to it. */
import type { Clock } from '../base/clock.ts';
import type { Cache } from '../cache/types.ts';
import type { Compute } from '../compute/types.ts';
import type { Limits } from '../config/limits.ts';
import type { AccessRecord } from '../observe/log-fields.ts';
import type { Story } from '../observe/story.ts';
import type { Branding } from '../status/branding.ts';
import type { StatusStyle } from '../status/error-page.ts';
import type { Origin, Upstream } from '../upstream/types.ts';
import type { BlobFile } from './assets.ts';
import type { Directory } from './directory.ts';
import type { Hot } from './hot.ts';
import type { PermanentFiles } from './permanent.ts';
import type { PopRole } from './telemetry.ts';

export interface PopSettings {
  readonly role: PopRole;
  /** Identity in Proxy-Status, Cache-Status, Via, CDN-Loop and the components header. */
  readonly name: string;
  readonly version: string;
  readonly branding: Branding;
  readonly limits: Limits;
  readonly style: StatusStyle;
  readonly clock: Clock;
  readonly upstream: Upstream;
  readonly cache: Cache;
  /** False: nothing is stored (`cache.enabled`). */
  readonly stores: boolean;
  /** Null where another POP runs the project's code. */
  readonly compute: Compute | null;
  /** Where the global POP listens; null when this POP dials upstreams for everything itself. */
  readonly link: { readonly origin: Origin } | null;
  /** What the platform's processes prove themselves to each other with. */
  readonly linkToken: string;
  /** Null until a first configuration was loaded. */
  readonly directory: () => Directory | null;
  /** Resolves with the next configuration, or when it would take too long to wait for one. */
  readonly caughtUp: () => Promise<void>;
  readonly blobFile: BlobFile;
  readonly permanentFiles: PermanentFiles;
  readonly record: (record: Partial<AccessRecord>) => void;
  /** Takes the story of every exchange that is not a plain hit; null: none are kept. */
  readonly story: ((story: Story) => void) | null;
  /** Told about failures that are nobody's but ours (530), with everything known. */
  readonly report: (message: string, error: unknown) => void;
  /** Takes answers that can be given again without asking anybody; null: there is no fast path. */
  readonly hot: Hot | null;
  readonly trustedProxies: readonly string[];
  /** Port of the TLS listener; undefined: clients cannot choose between HTTP and HTTPS here. */
  readonly tlsPort: () => number | undefined;
  /** Fires when the POP drains: new requests are answered 545, endless answers end. */
  readonly drained: AbortSignal;
}

/** The letter of the hop that a fault raised here is attributed to. */
export const hopOf = (settings: PopSettings): 'edge' | 'global' => settings.role;
