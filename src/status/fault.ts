import { type Actor, CAUSES, type Cause, type Phase, type ProxyError } from './causes.ts';

/** The hop that saw a failure first-hand. Outer hops pass a fault on and never reclassify it. */
export type Hop = 'client' | 'edge' | 'global' | 'compute';

export interface FaultInit {
  readonly cause: Cause;
  readonly hop: Hop;
  /** Public, coarse token; overrides the cause's own, e.g. `CERT_HAS_EXPIRED` or `exit code=3`. */
  readonly details?: string;
  /** Replaces the acting party of the cause where evidence is better (539: an upstream was slow). */
  readonly acts?: Actor;
  /** Further RFC 9209 parameters, e.g. `{ rcode: 'NXDOMAIN' }` or `{ 'alert-id': 70 }`. */
  readonly parameters?: Readonly<Record<string, string | number>>;
  /** For operators only (log, `why`): addresses, limits with value and what was seen, stack. Never public. */
  readonly evidence?: Readonly<Record<string, unknown>>;
  /** The low-level error, if there was one. */
  readonly error?: unknown;
  readonly raisedBy?: RaisedBy;
}

/** The POP behind the link that saw a failure first-hand, for everybody who waits for the answer that it was. */
export interface RaisedBy {
  /** Its identity. */
  readonly pop: string;
  /** What it told of the hops behind it. */
  readonly statuses: string;
  readonly components: string;
}

/**
 * An attributed failure: what happened, on which hop, in which phase, who must act. Everything that a failed
 * request shows (status, headers, page, log) derives from this one record.
 */
export class Fault extends Error {
  readonly code: number;
  readonly why: Cause;
  readonly hop: Hop;
  readonly phase: Phase;
  readonly acts: Actor;
  readonly proxyError: ProxyError;
  readonly details: string | undefined;
  readonly parameters: Readonly<Record<string, string | number>>;
  readonly evidence: Readonly<Record<string, unknown>>;
  /** Undefined when it was raised here. */
  readonly raisedBy: RaisedBy | undefined;

  constructor(init: FaultInit) {
    const row = CAUSES[init.cause];
    super(`${row.code} ${init.cause}${init.details ? ` (${init.details})` : ''}`, { cause: init.error });
    this.name = 'Fault';
    this.code = row.code;
    this.why = init.cause;
    this.hop = init.hop;
    this.phase = row.phase;
    this.acts = init.acts ?? row.acts;
    this.proxyError = row.error;
    this.details = init.details ?? row.details;
    this.parameters = {
      ...(row.statusCode === undefined ? {} : { 'status-code': row.statusCode }),
      ...init.parameters,
    };
    this.evidence = init.evidence ?? {};
    this.raisedBy = init.raisedBy;
  }
}

/** Any thrown value as a fault: what is not one already is a hole in our own code, so 530. */
export function asFault(error: unknown, hop: Hop): Fault {
  return error instanceof Fault ? error : new Fault({ cause: 'platform.internal', hop, error });
}
