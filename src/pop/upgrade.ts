/**
 * Protocol upgrades (WebSocket, RFC 6455): only to upstreams, dialled straight from the POP that has the client, the
 * two connections joined byte by byte until either side ends.
 */
import type { Duplex } from 'node:stream';
import type { ServerExchange } from '../http/exchange.ts';
import type { HttpResponse } from '../http/message.ts';
import { Fault } from '../status/fault.ts';
import { finish } from './deliver.ts';
import { outboundRequest, sendToBackend } from './dial.ts';
import { whenDrained } from './endless.ts';
import type { Exchange } from './exchange.ts';
import { recordEnd } from './record.ts';
import type { PopSettings } from './settings.ts';
import { tellStory } from './story.ts';

/** Null when the upgrade happened; the upstream's answer when it declined. Throws a `Fault`. */
export async function upgradeExchange(
  exchange: Exchange,
  server: ServerExchange,
  settings: PopSettings,
): Promise<HttpResponse | null> {
  const action = exchange.plan!.action!;
  if (action.kind !== 'proxy')
    throw new Fault({ cause: 'request.upgrade', hop: settings.role, details: 'not-proxied' });
  const request = outboundRequest(exchange, settings, { whole: false }, action.path);
  const call = { signal: server.signal, upgrade: server.upgradeTo! };
  const { response, socket } = await sendToBackend(action.backend, request, exchange, settings, call);
  exchange.telemetry.status('ed', response.status);
  if (!socket) return finish(response, exchange, settings);
  const answer = finish(response, exchange, settings);
  const client = server.upgrade(answer.fields);
  const delivery = { bytes: 0, completed: true };
  // Tunnels stay open for hours; whoever asks meanwhile is told that they are.
  tellStory(exchange, settings, { response: answer, delivery, end: 'tunnel' });
  const stop = whenDrained(settings.drained, () => client.end());
  await join(client, socket);
  stop();
  recordEnd(exchange, settings, { response: answer, delivery, end: 'tunnel-closed' });
  return null;
}

/** Resolves when both directions have ended. */
function join(client: Duplex, upstream: Duplex): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let open = 2;
  const closed = (): void => {
    open -= 1;
    if (open === 0) resolve();
  };
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', () => {
      to.destroy();
      closed();
    });
  }
  return promise;
}
