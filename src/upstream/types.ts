/** The seam of the upstream room: one dialled exchange, on either leg. Strategies live beside it. */
import type { Duplex } from 'node:stream';
import type { Fields } from '../http/fields.ts';
import type { Body, HttpResponse } from '../http/message.ts';
import type { Leg } from '../status/causes.ts';
import type { Fault, Hop } from '../status/fault.ts';

/** Where to dial and how long each phase may take. */
export interface Origin {
  readonly leg: Leg;
  readonly scheme: 'http' | 'https';
  /** Host name or IP literal to dial. */
  readonly host: string;
  readonly port: number;
  /** SNI and the name that the certificate must cover; default `host`. */
  readonly servername?: string;
  /** Certificates are checked unless false. */
  readonly verifyCertificate: boolean;
  /** A transfer coding that is not known is taken for noise: the body is passed on as it comes. */
  readonly passUnknownTransferCoding?: boolean;
  /** Client certificate of the platform (link with mutual TLS), PEM. */
  readonly clientCertificate?: { readonly cert: string; readonly key: string };
  /** Authorities that are trusted for it alone, PEM; default: whom the platform trusts for backends. */
  readonly authorities?: string;
  readonly limits: OriginLimits;
}

/** Keys and defaults: `limits.upstream.*` for leg `upstream`, `limits.pop.*` for leg `link`. */
export interface OriginLimits {
  readonly dnsMs: number;
  readonly connectMs: number;
  readonly tlsMs: number;
  readonly writeIdleMs: number;
  /** Request sent → response head complete. On the link: silence; interim responses restart it. */
  readonly responseMs: number;
  readonly bodyIdleMs: number;
  readonly bodyBytes: number;
  readonly poolSize: number;
  readonly poolWaitMs: number;
  readonly headerCount: number;
  readonly headerBytes: number;
  readonly cookieBytes: number;
  /** One line; Infinity: off. */
  readonly headerFieldBytes: number;
}

export interface UpstreamCall {
  readonly origin: Origin;
  /** Who dials; names the hop of a fault. */
  readonly hop: Hop;
  readonly method: string;
  /** Path with query. */
  readonly path: string;
  /** Complete end-to-end fields including Host; hop-by-hop fields are already gone (see `forwardableFields`). */
  readonly fields: Fields;
  readonly body: Body;
  /** Protocol to upgrade to, e.g. `websocket`. */
  readonly upgrade?: string;
  /** Aborted when nobody waits any more: the attempt is torn down and no fault is invented. */
  readonly signal: AbortSignal;
  /** 1xx responses other than 100 and 101 (103 Early Hints, the link's 102 heartbeat). */
  readonly onInformation?: (status: number, fields: Fields) => void;
  /** Filled with every attempt as it is made, for callers that want to know however the call ends. */
  readonly attempts?: Attempt[];
}

/** One try at one address or connection, successful or not; all of them are in the log. */
export interface Attempt {
  readonly reusedConnection: boolean;
  /** Monotonic ms at which the first phase of it began. */
  startedMs: number;
  /** `ip:port`, once known. Operators only. */
  address?: string;
  /** Milliseconds per phase; absent when the phase did not happen. */
  dnsMs?: number;
  connectMs?: number;
  tlsMs?: number;
  /** Request handed over → its last byte written. */
  sendMs?: number;
  /** Request written → response head. */
  headMs?: number;
  /** Response head → end of the body, bytes of which have come. Told after the call has resolved. */
  bodyMs?: number;
  bodyBytes?: number;
  fault?: Fault;
}

export interface UpstreamAnswer {
  /** Body errors arrive as `Fault` on the stream. */
  readonly response: HttpResponse;
  readonly attempts: readonly Attempt[];
  /** After a 101: the raw connection, bytes already read included. */
  readonly socket?: Duplex;
}

export interface Upstream {
  /** Resolves with a complete response head, or throws a `Fault` (its `attempts` in `evidence.attempts`). */
  send(call: UpstreamCall): Promise<UpstreamAnswer>;
  close(): Promise<void>;
}
