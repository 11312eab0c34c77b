/** A real listener on a free loopback port with plain-text refusals, for tests of what happens on the wire. */

import { Fields } from '../../src/http/fields.ts';
import { createListener, type Listener, type ListenerOptions, type ServerExchange } from '../../src/http/listener.ts';
import type { Delivery } from '../../src/http/send.ts';
import type { Fault } from '../../src/status/fault.ts';

export interface Served extends AsyncDisposable {
  readonly port: number;
  readonly listener: Listener;
  /** Everything refused or failed, in order. */
  readonly faults: Fault[];
  readonly refusals: Delivery[];
}

export const DEFAULT_TEST_LIMITS = {
  pathQueryBytes: 8_192,
  cookieBytes: 32_768,
  headerBytes: 65_536,
  headMs: 60_000,
  idleMs: 5_000,
};

export type ServedOptions = Partial<Omit<ListenerOptions, 'limits' | 'handle'>> & {
  readonly limits?: Partial<ListenerOptions['limits']>;
  readonly port?: number;
};

export async function serve(
  handle: (exchange: ServerExchange) => Promise<unknown>,
  options: ServedOptions = {},
): Promise<Served> {
  const faults: Fault[] = [];
  const refusals: Delivery[] = [];
  const listener = createListener({
    onFault(fault, context) {
      faults.push(fault);
      const body = Buffer.from(
        `${fault.why} ${context.method ?? '-'} ${context.target ?? '-'}`.slice(0, 200),
        'latin1',
      );
      return {
        status: fault.code,
        fields: Fields.from([['x-cause', fault.why]]),
        body,
        sent: (delivery) => refusals.push(delivery),
      };
    },
    ...options,
    handle: async (exchange) => {
      await handle(exchange);
    },
    limits: { ...DEFAULT_TEST_LIMITS, ...options.limits },
  });
  const { port } = await listener.listen({ host: '127.0.0.1', port: options.port ?? 0 });
  return { port, listener, faults, refusals, [Symbol.asyncDispose]: () => listener.close() };
}

/** Answers with what was received, as JSON, body included. */
export async function echo(exchange: ServerExchange): Promise<void> {
  const { method, host, path, query, fields, protocol, body } = exchange.request;
  const text = body === null ? null : Buffer.isBuffer(body) ? body.toString('latin1') : await read(body);
  const { httpVersion } = exchange;
  const seen = { method, protocol, httpVersion, host, path, query, fields: fields.raw, body: text };
  await exchange.respond({ status: 200, fields: new Fields(), body: Buffer.from(JSON.stringify(seen)) });
}

export async function read(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}
