/** What the supervisor tells a POP process, and what it hears from it. Sent as structured clones over IPC. */
import type { PlatformConfig } from '../../config/platform.ts';
import type { ControlAddress } from '../../control/discovery.ts';
import type { PopRole } from '../../pop/telemetry.ts';
import type { TrafficDelta } from '../../telemetry/traffic.ts';

/** Where a POP process listens; 0 picks a free one. */
export interface Ports {
  readonly port: number;
  /** HTTPS for clients; undefined: none. */
  readonly tlsPort?: number | undefined;
}

export interface PopSpec {
  readonly role: PopRole;
  /** Identity that clients see; the processes of one POP share it. */
  readonly identity: string;
  /** Unique in the platform, also after restarts: names the feed connection and the kept snapshot. */
  readonly processName: string;
  readonly config: PlatformConfig;
  readonly control: ControlAddress;
  /** Global POP of an edge; null: this POP dials everything itself. */
  readonly link: string | null;
  readonly linkToken: string;
  readonly listen: { readonly host: string; readonly reusePort: boolean } & Ports;
  /** Fills the store after a deployment; one process of a POP does. */
  readonly prerenders: boolean;
  /** Set when a predecessor died of a signal that damage of the stored responses explains: they are not used again. */
  readonly brokenBeforeMs?: number;
  /** Runs project code. */
  readonly compute: boolean;
  /** The platform's own sockets, closed to projects. */
  readonly ownSockets: readonly { readonly host: string; readonly port: number }[];
}

export type ToPop = { readonly start: PopSpec } | { readonly drain: number };

export type FromPop =
  | { readonly booted: true }
  | { readonly ready: Ports }
  /** What was served since the last message of this kind. */
  | { readonly traffic: TrafficDelta }
  | { readonly failed: string };

/** First argument of a process that is a POP and not a command line. */
export const POP_PROCESS = '--pop-process';
