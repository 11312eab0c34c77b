/** What a refusal is made of: what is known of the request, and what the pipeline answers it with. */
import type { IncomingMessage } from 'node:http';
import { Fields } from './fields.ts';
import type { Delivery } from './send.ts';

/** What is known of a request that is refused; of a malformed one that is little. */
export interface FaultContext {
  readonly method: string | undefined;
  /** Request target as received. */
  readonly target: string | undefined;
  readonly httpVersion: string | undefined;
  readonly fields: Fields;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly receivedAtMs: number;
}

export interface FaultAnswer {
  readonly status: number;
  readonly reason?: string;
  readonly fields: Fields;
  readonly body: Buffer | null;
  /** Told when the answer has been sent, or could not be. */
  readonly sent?: (delivery: Delivery) => void;
}

export function faultContext(
  { remoteAddress, remotePort }: Pick<FaultContext, 'remoteAddress' | 'remotePort'>,
  incoming: IncomingMessage | null,
  receivedAtMs: number,
): FaultContext {
  const { method, url: target, httpVersion, rawHeaders } = incoming ?? {};
  return { method, target, httpVersion, fields: new Fields(rawHeaders), remoteAddress, remotePort, receivedAtMs };
}
