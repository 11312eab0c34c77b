/**
 * The platform's configuration as every room sees it: complete, checked, frozen. `load.ts` makes it from a file,
 * command line and defaults; `options.ts` says of each member what it is and what it may be.
 */
import type { Branding } from '../status/branding.ts';
import type { StatusStyle } from '../status/error-page.ts';
import type { Limits } from './limits.ts';

/** What a process does. `all` is everything on one machine. */
export type Role = 'all' | 'edge' | 'global' | 'compute' | 'control';
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface PlatformConfig {
  readonly branding: Branding;
  /** Base directory of everything that is kept: control state, blobs, cache, logs. */
  readonly data: string;
  readonly pop: {
    /** Identity in Proxy-Status, Cache-Status, Via and the components header. */
    readonly name: string;
    readonly role: Role;
    /** Link address of the global POP, e.g. `https://global.example:8443`; undefined: this POP is the global one. */
    readonly global: string | undefined;
    /** Shared secret of edges and global POP; undefined: made at the first start and kept in the data directory. */
    readonly linkToken: string | undefined;
    /** Edge processes on this machine; they share the client port. */
    readonly processes: number;
    /** PEM files of the mutual TLS between POPs; all undefined: the link is plain (one machine, private network). */
    readonly certFile: string | undefined;
    readonly keyFile: string | undefined;
    readonly caFile: string | undefined;
  };
  readonly listen: {
    readonly host: string;
    /** Plain HTTP; 0 picks a free one. */
    readonly port: number;
    /** Cache hits are answered where they are read. */
    readonly fastPath: boolean;
    /** HTTPS (HTTP/2 and HTTP/1.1); undefined: no TLS listener. */
    readonly tlsPort: number | undefined;
    readonly certFile: string | undefined;
    readonly keyFile: string | undefined;
    /** Where a global POP takes requests of edge POPs. */
    readonly linkHost: string;
    readonly linkPort: number;
  };
  /** Generated hosts are `<project>-<environment>[-<number>].<domain>`. */
  readonly domain: string;
  readonly dns: {
    /** `ip` or `ip:port`; empty: the servers that the system is configured with. */
    readonly servers: readonly string[];
  };
  readonly limits: Limits;
  readonly compute: {
    /** Worker processes at the same time, all deployments together. */
    readonly workers: number;
    /** Workers started ahead of traffic for each active deployment that has project code. */
    readonly prewarm: number;
    /** A worker without a request for this long is ended; the prewarmed ones stay. */
    readonly idleMs: number;
    /** A worker is replaced after this many requests. */
    readonly requestsPerWorker: number;
    readonly isolation: 'auto' | 'none';
  };
  readonly cache: {
    /** False: nothing is stored, neither at the edge nor at the global POP. */
    readonly enabled: boolean;
    /** Memory tier of one POP process. */
    readonly memoryBytes: number;
    /** Prepared answers of the fast path of one POP process, beside the memory tier. */
    readonly preparedBytes: number;
    /** Larger bodies are passed on without being stored. */
    readonly maxObjectBytes: number;
    /** Entries of the memory tier, whatever their size. */
    readonly maxEntries: number;
    /** What is stored is kept on the disk as well: shared by the processes of a role, and there after a restart. */
    readonly disk: boolean;
    /** Disk tier of one role on this machine, files and index. */
    readonly diskBytes: number;
  };
  readonly control: {
    readonly host: string;
    /** 0 picks a free one. */
    readonly port: number;
    /** Address of the control plane for a machine that does not run it itself. */
    readonly url: string | undefined;
    /** Bearer token; undefined: made at the first start and kept in the data directory. */
    readonly token: string | undefined;
  };
  /** CIDR ranges whose `X-Forwarded-*` and `Forwarded` are believed. */
  readonly trustedProxies: readonly string[];
  readonly upstream: {
    /** CIDR ranges that no backend may be on (531). The platform's own sockets are added by itself. */
    readonly prohibited: readonly string[];
    /** PEM file with further certificate authorities for backends. */
    readonly caFile: string | undefined;
  };
  readonly codes: {
    /** Code of a worker process that ended by itself (spec page status-codes, 549). */
    readonly projectCrashed: 534 | 549;
    readonly style: StatusStyle;
  };
  readonly log: {
    /** Of the platform's own messages on stderr. */
    readonly level: LogLevel;
    /** An access or server log file is rotated when it is larger. */
    readonly fileBytes: number;
    /** … or older. */
    readonly fileMinutes: number;
    /** Longest time a line waits in memory. */
    readonly flushMs: number;
    /** Lines that wait for a slow disk; what does not fit is dropped and counted. */
    readonly bufferBytes: number;
  };
}
