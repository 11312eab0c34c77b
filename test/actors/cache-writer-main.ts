/**
 * A process that stores and reads for as long as it lives, in a store that it shares with others of its kind. Each
 * body carries its own digest; the process tells what it has seen, and at once when a body is not what was stored.
 */
import { createHash, randomBytes } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { systemClock } from '../../src/base/clock.ts';
import { createCache } from '../../src/cache/cache.ts';
import { DiskTier } from '../../src/cache/disk/disk-tier.ts';
import { joinKey } from '../../src/cache/key-text.ts';
import { Fields } from '../../src/http/fields.ts';
import type { HttpResponse } from '../../src/http/message.ts';

export interface Seen {
  readonly answers: number;
  readonly hits: number;
  /** A sentence when something is wrong. */
  readonly wrong?: string;
}

const [folder = '', keys = '100'] = process.argv.slice(2);
const DIGEST_BYTES = 32;

const disk = new DiskTier({
  ...{ clock: systemClock, folder, maxBytes: 40 * 1024 * 1024 },
  report: (message) => process.send!({ answers: 0, hits: 0, wrong: message } satisfies Seen),
});
const cache = createCache({
  ...{ clock: systemClock, hop: 'edge', headerPrefix: 'x-sv', disk, memoryBytes: 2_000_000, maxObjectBytes: 4_000_000 },
});

/** Mostly small; some lie in files, some of those have several blocks. */
function newBody(): Buffer {
  const dice = Math.random();
  const content = randomBytes(Math.floor(Math.random() * (dice < 0.9 ? 5_000 : dice < 0.98 ? 200_000 : 1_500_000)));
  return Buffer.concat([createHash('sha256').update(content).digest(), content]);
}

const isWhole = (body: Buffer): boolean =>
  createHash('sha256').update(body.subarray(DIGEST_BYTES)).digest().equals(body.subarray(0, DIGEST_BYTES));

async function visit(number: number): Promise<boolean> {
  const key = joinKey(['crash', 'https', 'shop.example', `/${number}`, '', '', 'default']);
  const request = { key, method: 'GET', fields: new Fields(), requestId: String(number), settings: undefined };
  const more = { bodyKey: false, surrogateKeyName: 'x-sv-surrogate-key' };
  const fetch = async (): Promise<HttpResponse> => {
    const body = newBody();
    const fields = Fields.from([
      ['cache-control', `max-age=${Math.ceil(Math.random() * 3)}`],
      ['content-length', String(body.length)],
      ['x-number', String(number)],
    ]);
    return { status: 200, fields, body };
  };
  const answer = (await cache.answer({ ...request, ...more }, fetch, new AbortController().signal))!;
  const { response, metric } = answer;
  const body = Buffer.isBuffer(response.body) ? response.body : await buffer(response.body!);
  if (!isWhole(body)) throw new Error(`/${number} (${metric}): ${body.length} bytes that are not what was stored`);
  if (response.fields.get('x-number') !== String(number)) throw new Error(`/${number} is answered with another page`);
  return metric === 'hit';
}

for (;;) {
  const outcomes = await Promise.allSettled(
    Array.from({ length: 16 }, () => visit(Math.floor(Math.random() * Number(keys)))),
  );
  const wrong = outcomes.find((outcome) => outcome.status === 'rejected');
  const hits = outcomes.filter((outcome) => outcome.status === 'fulfilled' && outcome.value).length;
  const seen: Seen = { answers: outcomes.length, hits, ...(wrong ? { wrong: String(wrong.reason) } : {}) };
  process.send!(seen);
  await new Promise((resolve) => setImmediate(resolve));
}
