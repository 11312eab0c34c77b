/**
 * The upstream room: one call becomes a lease of the origin's pool, a dial where no kept connection is free, an
 * exchange, and at most one retry (rule R6 of the status-code page): a kept connection that had died before any
 * byte of a response says nothing about the upstream.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import type { Leg } from '../status/causes.ts';
import type { Connection } from './connection.ts';
import { type Dialled, dial } from './dial.ts';
import type { Resolver } from './dns.ts';
import { ExchangeFailure, exchange } from './exchange.ts';
import { StageFailure, Trail } from './failure.ts';
import { Pool } from './pool.ts';
import type { Prohibited } from './prohibited.ts';
import { Trust } from './tls.ts';
import type { Origin, Upstream, UpstreamAnswer, UpstreamCall } from './types.ts';

export interface UpstreamOptions {
  readonly resolver: Resolver;
  readonly clock?: Clock;
  /** Where each leg may not dial; a leg that is not named may dial anywhere. */
  readonly prohibited?: Partial<Record<Leg, Prohibited>>;
  /** Further certificate authorities, PEM file. */
  readonly caFile?: string;
  /** Response fields (lower-case name) that no header limit counts: the platform's own. Default: none. */
  readonly exemptField?: (lowerName: string) => boolean;
  /** How long an unused connection is kept, unless the peer's Keep-Alive says less. Default 30,000. */
  readonly idleMs?: number;
}

/** Throws when `caFile` cannot be read. */
export function createUpstream(options: UpstreamOptions): Upstream {
  return new PooledUpstream(options);
}

class PooledUpstream implements Upstream {
  readonly #options: UpstreamOptions;
  readonly #clock: Clock;
  readonly #trust: Trust;
  readonly #pools = new Map<string, Pool>();
  #closed = false;

  constructor(options: UpstreamOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#trust = new Trust(options.caFile);
  }

  async send(call: UpstreamCall): Promise<UpstreamAnswer> {
    const trail = new Trail(call.origin.leg, call.hop, this.#clock, call.attempts);
    try {
      return await this.#sendWithRetry(call, trail);
    } catch (error) {
      // Nobody waits any more: no fault is invented.
      if (call.signal.aborted) throw call.signal.reason;
      throw trail.finalFault(error instanceof ExchangeFailure ? error.reason : error);
    }
  }

  /** Everything still open is torn down. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const pool of this.#pools.values()) pool.close();
    this.#options.resolver.close();
  }

  async #sendWithRetry(call: UpstreamCall, trail: Trail): Promise<UpstreamAnswer> {
    try {
      return await this.#attempt(call, trail, false);
    } catch (error) {
      if (!(error instanceof ExchangeFailure) || !error.replayable) throw error;
      return await this.#attempt(call, trail, true);
    }
  }

  async #attempt(call: UpstreamCall, trail: Trail, fresh: boolean): Promise<UpstreamAnswer> {
    const pool = this.#poolOf(call.origin);
    const { connection, attempt } = await this.#connect(pool, call, trail, fresh);
    const answer = await exchange(connection, call, {
      clock: this.#clock,
      trail,
      attempt,
      exempt: this.#options.exemptField ?? (() => false),
      release: (used) => pool.release(used),
      detach: (used) => pool.detach(used),
    });
    return { ...answer, attempts: trail.attempts };
  }

  async #connect(pool: Pool, call: UpstreamCall, trail: Trail, fresh: boolean): Promise<Dialled> {
    const kept = await this.#lease(pool, call, trail, fresh);
    if (kept !== null) {
      const attempt = trail.begin({ reusedConnection: true, address: kept.address });
      return { connection: kept, attempt };
    }
    try {
      const { resolver, prohibited = {} } = this.#options;
      const dialled = await dial(call, trail, { resolver, clock: this.#clock, trust: this.#trust, prohibited });
      pool.occupy(dialled.connection);
      if (this.#closed) dialled.connection.close();
      return dialled;
    } catch (error) {
      pool.giveUp();
      throw error;
    }
  }

  async #lease(pool: Pool, call: UpstreamCall, trail: Trail, fresh: boolean): Promise<Connection | null> {
    try {
      return (await pool.lease(call.origin.limits, call.signal, fresh)).connection;
    } catch (error) {
      if (error instanceof StageFailure) trail.begin({ reusedConnection: false, fault: trail.fault(error) });
      throw error;
    }
  }

  #poolOf(origin: Origin): Pool {
    if (this.#closed) throw new Error('the upstream room is closed');
    const key = keyOf(origin);
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      pool = new Pool(this.#clock, this.#options.idleMs ?? 30_000, () => this.#pools.delete(key));
      this.#pools.set(key, pool);
    }
    return pool;
  }
}

/** Connections are shared only where everything that was checked about the peer would be the same. */
function keyOf(origin: Origin): string {
  const { leg, scheme, host, port, servername = '', verifyCertificate, clientCertificate, authorities = '' } = origin;
  const client = clientCertificate === undefined ? '' : `${clientCertificate.cert}${clientCertificate.key}`;
  return [leg, scheme, host.toLowerCase(), port, servername, verifyCertificate, client, authorities].join('\n');
}
