/** The fast path of a POP process: the table that the pipeline fills, and the listener in front that answers from it. */
import { randomInt } from 'node:crypto';
import { systemClock } from '../../base/clock.ts';
import type { Cache } from '../../cache/types.ts';
import { createFront } from '../../http/fast/front.ts';
import { Scanner } from '../../http/fast/scan.ts';
import { AnswerTable } from '../../http/fast/table.ts';
import { isTrusted, networkList, plainIp } from '../../http/forwarded.ts';
import type { Listener } from '../../http/listener.ts';
import { describeAgent, Hot, type HotOptions, REFUSED_FIELDS } from '../../pop/hot.ts';
import type { AccessLog } from '../../telemetry/access-log.ts';
import type { PopSpec } from './spec.ts';

export interface FastPath {
  readonly hot: Hot;
  /** Puts the fast path in front of a listener, which then does not listen itself. */
  readonly infront: (ordinary: Listener) => Listener;
}

const HEAD_BYTES = 16 * 1024;
const HEAD_LINES = 100;

/** Null where every request takes the ordinary way. */
export function composeFastPath(
  { config, role }: PopSpec,
  { log, cache: store, meterOf }: { readonly log: AccessLog; readonly cache: Cache } & Pick<HotOptions, 'meterOf'>,
): FastPath | null {
  const { limits, cache, listen } = config;
  if (!listen.fastPath || role !== 'edge') return null;
  const scanner = new Scanner({
    // Whatever a head of this size has, it is below every limit that is measured on the ordinary way.
    headBytes: Math.min(HEAD_BYTES, limits['request.headerBytes'] / 2, limits['request.cookieBytes']),
    targetBytes: limits['url.pathQueryBytes'],
    lines: Math.min(HEAD_LINES, limits['request.headerCount']),
    refused: REFUSED_FIELDS,
    seed: randomInt(2 ** 31),
  });
  const table = new AnswerTable({ maxBytes: cache.preparedBytes, maxEntries: cache.maxEntries });
  const trusted = networkList(config.trustedProxies);
  const infront = (ordinary: Listener): Listener =>
    createFront({
      ...{ ordinary, table, scanner, describeAgent, clock: systemClock, flushMs: config.log.flushMs },
      limits: { headMs: limits['client.headMs'], idleMs: limits['client.idleMs'] },
      catchUp: () => store.catchUp(),
      takeLines: (lines, count) => log.append(lines, count),
      isTrusted: (address) => isTrusted(plainIp(address), trusted),
    });
  return { hot: new Hot({ table, scanner, meterOf }), infront };
}
