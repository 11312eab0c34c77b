/** What the tests of the cache share: a POP's side of the seam and an origin that a test answers by hand. */
import { PassThrough } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { setImmediate as immediate } from 'node:timers/promises';
import { createCache } from '../../src/cache/cache.ts';
import { joinKey } from '../../src/cache/key-text.ts';
import type { CacheOptions } from '../../src/cache/options.ts';
import type { CacheAnswer, CacheRequest, FetchPlan } from '../../src/cache/types.ts';
import { Fields } from '../../src/http/fields.ts';
import type { Body, HttpResponse } from '../../src/http/message.ts';
import { ManualClock } from './manual-clock.ts';

/** One fetch that reached the origin and waits for its answer. */
export interface Call {
  readonly plan: FetchPlan;
  readonly signal: AbortSignal;
  readonly requestId: string;
  answer(
    body: Body | string,
    fields?: Record<string, string>,
    status?: number,
    more?: Pick<HttpResponse, 'purgeSequence'>,
  ): void;
  fail(error: Error): void;
}

export type Ask = Partial<Omit<CacheRequest, 'fields'>> & {
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly signal?: AbortSignal;
};

export const FRESH = { 'cache-control': 'max-age=60' };

export function bench(options: Partial<CacheOptions> = {}) {
  const clock = new ManualClock();
  const cache = createCache({
    ...{ clock, hop: 'edge', headerPrefix: 'x-ab', memoryBytes: 10_000_000, maxObjectBytes: 100_000 },
    ...options,
  });
  const calls: Call[] = [];
  let requests = 0;

  function ask({ path = '/', headers = {}, signal, ...rest }: Ask = {}): Promise<CacheAnswer | null> {
    const requestId = `r${++requests}`;
    const request: CacheRequest = {
      ...{ key: joinKey(['shop', path]), method: 'GET', requestId, settings: undefined, bodyKey: false },
      ...{ surrogateKeyName: 'x-ab-surrogate-key', fields: Fields.from(Object.entries(headers)) },
      ...rest,
    };
    const fetch = (fetchSignal: AbortSignal, plan: FetchPlan) =>
      new Promise<HttpResponse>((resolve, reject) => {
        fetchSignal.addEventListener('abort', () => reject(fetchSignal.reason));
        calls.push({
          ...{ plan, signal: fetchSignal, requestId, fail: reject },
          answer: (body, fields = FRESH, status = 200, more = {}) =>
            resolve({
              ...more,
              status,
              fields: Fields.from(Object.entries(fields)),
              body: typeof body === 'string' ? Buffer.from(body) : body,
            }),
        });
      });
    return cache.answer(request, fetch, signal ?? new AbortController().signal);
  }

  /** A request whose fetch is answered at once, if there is one. */
  async function exchange(request: Ask, ...answer: Parameters<Call['answer']>): Promise<CacheAnswer> {
    const before = calls.length;
    const answered = ask(request);
    answered.catch(() => {});
    await settle();
    if (calls.length > before) calls.at(-1)!.answer(...answer);
    return (await answered)!;
  }
  return { cache, clock, calls, ask, exchange };
}

/** Lets everything that can happen without outside help happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await immediate();
}

export async function textOf(answer: CacheAnswer | null): Promise<string> {
  const { body } = answer!.response;
  if (body === null) return '';
  return (Buffer.isBuffer(body) ? body : await buffer(body)).toString();
}

export const stream = () => new PassThrough();
