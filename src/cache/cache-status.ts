/** The parameters of our Cache-Status member (RFC 9211 section 2); the POP puts its identity in front. */
import { serializeItem, Token } from 'structured-headers';
import type { StoreVerdict } from './types.ts';

/** Why a request went forward (RFC 9211 section 2.2). */
export type ForwardReason = 'bypass' | 'method' | 'uri-miss' | 'vary-miss' | 'stale' | 'request';

export interface Forwarding {
  readonly reason: ForwardReason;
  /** Status of the next hop's answer. */
  readonly status: number;
  readonly stored: boolean;
  /** The answer to somebody else's request. */
  readonly collapsed: boolean;
  readonly verdict: StoreVerdict;
}

/** `hit; ttl=57`; negative when a stale response was used. */
export const hitParameters = (ttlSeconds: number): string => `hit; ttl=${ttlSeconds}`;

/** `fwd=stale; fwd-status=503; ttl=-4; detail=stale-if-error`: it was stored, but not enough to say `hit`. */
export const bridgedParameters = (status: number, ttlSeconds: number): string =>
  `fwd=stale; fwd-status=${status}; ttl=${ttlSeconds}; detail=stale-if-error`;

/** `fwd=uri-miss; fwd-status=200; stored; ttl=60`, or with the reason for not storing as `detail`. */
export function forwardParameters({ reason, status, stored, collapsed, verdict }: Forwarding): string {
  const parameters = [`fwd=${reason}`, `fwd-status=${status}`];
  if (stored) parameters.push('stored', `ttl=${Math.floor(verdict.ttlMs / 1000)}`);
  if (collapsed) parameters.push('collapsed');
  if (!stored) parameters.push(`detail=${detail(verdict)}`);
  return parameters.join('; ');
}

/** The public word where it says everything, the sentence where it does not. */
function detail({ status, reason }: StoreVerdict): string {
  if (status !== 'pass' && status !== 'ok') return serializeItem(new Token(status));
  return serializeItem(reason.replace(/[^\x20-\x7e]/g, '?'));
}
