/** Name → TCP → TLS → connection: three phases with a deadline each, told apart in attempts and faults. */
import type { Clock } from '../base/clock.ts';
import type { Leg } from '../status/causes.ts';
import { connectFirst } from './connect.ts';
import { Connection } from './connection.ts';
import type { Address, Resolver } from './dns.ts';
import { StageFailure, type Trail } from './failure.ts';
import type { Prohibited } from './prohibited.ts';
import { secure, type Trust } from './tls.ts';
import type { Attempt, UpstreamCall } from './types.ts';
import { Wire } from './wire.ts';

export interface DialOptions {
  readonly resolver: Resolver;
  readonly clock: Clock;
  readonly trust: Trust;
  readonly prohibited: Partial<Record<Leg, Prohibited>>;
}

export interface Dialled {
  readonly connection: Connection;
  readonly attempt: Attempt;
}

/** Rejects with a `StageFailure`, with the signal's reason, or with what is our own trouble. */
export async function dial(call: UpstreamCall, trail: Trail, options: DialOptions): Promise<Dialled> {
  const { origin, signal } = call;
  const { clock } = options;
  const from = trail.attempts.length;
  const startedMs = clock.monotonicMs();
  const { addresses, dnsMs } = await resolve(call, trail, options);
  const { connectMs } = origin.limits;
  const prohibited = options.prohibited[origin.leg];
  const connecting = connectFirst(addresses, { port: origin.port, clock, connectMs, signal, prohibited, trail });
  const { socket, attempt } = await connecting.finally(() => {
    const first = trail.attempts[from];
    if (first !== undefined) Object.assign(first, { startedMs, dnsMs });
  });
  const wire = origin.scheme === 'http' ? new Wire(socket) : await handshake(socket, attempt, call, trail, options);
  // The parser's own limit is a last resort, far above ours: it gives up without counting (trap T14).
  const maxHeaderBytes = Math.max(4 * origin.limits.headerBytes, 256 * 1024);
  return { connection: new Connection(wire, { address: attempt.address!, maxHeaderBytes }), attempt };
}

async function resolve(
  call: UpstreamCall,
  trail: Trail,
  { resolver, clock }: DialOptions,
): Promise<{ addresses: readonly Address[]; dnsMs: number }> {
  const startedMs = clock.monotonicMs();
  try {
    const limits = { timeoutMs: call.origin.limits.dnsMs, signal: call.signal };
    const addresses = await resolver.lookup(call.origin.host, limits);
    return { addresses, dnsMs: clock.monotonicMs() - startedMs };
  } catch (error) {
    const attempt = trail.begin({ reusedConnection: false, startedMs, dnsMs: clock.monotonicMs() - startedMs });
    if (error instanceof StageFailure) attempt.fault = trail.fault(error);
    throw error;
  }
}

async function handshake(
  socket: Parameters<typeof secure>[0],
  attempt: Attempt,
  call: UpstreamCall,
  trail: Trail,
  { trust, clock }: DialOptions,
): Promise<Wire> {
  const startedMs = clock.monotonicMs();
  try {
    return await secure(socket, { origin: call.origin, trust, clock, signal: call.signal });
  } catch (error) {
    if (error instanceof StageFailure) attempt.fault = trail.fault(error);
    throw error;
  } finally {
    attempt.tlsMs = clock.monotonicMs() - startedMs;
  }
}
