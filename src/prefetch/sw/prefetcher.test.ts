import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import * as undici from 'undici';
import type { PrefetchMessage } from '../names.ts';
import { type DeepFetchMatch, DeepFetchPlugin } from './deep-fetch.ts';
import { Prefetcher, type PrefetcherOptions, type WorkerScope } from './prefetcher.ts';

undici.install();

/** An edge with a cache that has only what a test puts into it. */
interface Edge extends AsyncDisposable {
  readonly origin: string;
  readonly seen: string[];
  readonly cached: Map<string, { body: string; type: string; headers?: Record<string, string> }>;
}

async function startEdge(): Promise<Edge> {
  const seen: string[] = [];
  const cached: Edge['cached'] = new Map();
  const server = createServer((request: IncomingMessage, response) => {
    seen.push(request.url!);
    const url = new URL(request.url!, 'http://edge');
    const entry = cached.get(url.pathname);
    if (entry)
      response.writeHead(200, { 'content-type': entry.type, vary: 'user-agent', ...entry.headers }).end(entry.body);
    else response.writeHead(url.searchParams.has('selvedge_prefetch') ? 412 : 200).end('from upstream');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { origin, seen, cached, [Symbol.asyncDispose]: close };
}

/** The events of a service worker, with the Cache Storage of undici. */
function startWorker(edge: Edge, options: PrefetcherOptions = {}) {
  const target = new EventTarget();
  const clock = { now: 1_000_000 };
  const scope = Object.assign(target, {
    caches: undici.caches,
    location: new URL('/service-worker.js', edge.origin),
    clients: { claim: async () => {} },
    skipWaiting: async () => {},
  }) as unknown as WorkerScope;
  const prefetcher = new Prefetcher(options, scope, () => clock.now);
  const dispatch = async (name: string, members: object): Promise<Response | undefined> => {
    const work: Promise<unknown>[] = [];
    let answer: Promise<Response> | undefined;
    const event = Object.assign(new Event(name), {
      waitUntil: (promise: Promise<unknown>) => void work.push(promise),
      respondWith: (promise: Promise<Response>) => {
        answer = promise;
      },
      ...members,
    });
    target.dispatchEvent(event);
    await answer;
    await Promise.all(work);
    return answer;
  };
  return {
    prefetcher,
    clock,
    ask: (path: string, more: Partial<PrefetchMessage> = {}) =>
      dispatch('message', {
        data: { action: 'selvedge:prefetch', url: edge.origin + path, cookiePrefix: 'selvedge', ...more },
      }),
    /** Text that the page gets; undefined when the worker leaves the request to the browser. */
    async visit(path: string, init?: RequestInit): Promise<string | undefined> {
      const response = await dispatch('fetch', { request: new Request(edge.origin + path, init) });
      return response?.text();
    },
    dispatch,
  };
}

const PAGE = { body: '<h1>Linen</h1><img src="/linen.svg"><img src="/wool.svg">', type: 'text/html' };

describe('a service worker that prefetches', () => {
  test('answers the visit from what it fetched, without the network', async () => {
    await using edge = await startEdge();
    const worker = startWorker(edge);
    worker.prefetcher.route();
    edge.cached.set('/linen', PAGE);
    await worker.ask('/linen?w=2#top');
    assert.deepEqual(edge.seen, ['/linen?w=2&selvedge_prefetch=1']);
    assert.equal(await worker.visit('/linen?w=2'), PAGE.body);
    assert.equal(edge.seen.length, 1);
  });

  test('keeps nothing when no cache has it, and says nothing', async () => {
    await using edge = await startEdge();
    const worker = startWorker(edge);
    worker.prefetcher.route();
    await worker.ask('/rare');
    assert.equal(await worker.visit('/rare'), 'from upstream');
    assert.deepEqual(edge.seen, ['/rare?selvedge_prefetch=1', '/rare']);
  });

  test('leaves the parameter out when misses are wanted', async () => {
    await using edge = await startEdge();
    const worker = startWorker(edge);
    worker.prefetcher.route();
    await worker.ask('/rare', { includeCacheMisses: true });
    assert.equal(await worker.visit('/rare'), 'from upstream');
    assert.deepEqual(edge.seen, ['/rare']);
  });

  test('survives an edge that is gone', async () => {
    const edge = await startEdge();
    const worker = startWorker(edge);
    await edge[Symbol.asyncDispose]();
    assert.equal(await worker.prefetcher.prefetch('/x'), false);
  });

  const ages = [
    { name: 'two minutes when nobody says', keptSeconds: 120 },
    { name: 'as long as the route says', header: 'max-age=30', keptSeconds: 30 },
    { name: 'as long as the worker says, over the route', header: 'max-age=30', worker: 50, keptSeconds: 50 },
    { name: 'as long as the call says, over all', header: 'max-age=30', worker: 50, call: 70, keptSeconds: 70 },
  ];
  for (const { name, header, worker: defaultMaxAgeSeconds, call: maxAgeSeconds, keptSeconds } of ages) {
    test(`keeps an answer ${name}`, async () => {
      await using edge = await startEdge();
      const worker = startWorker(edge, { defaultMaxAgeSeconds });
      worker.prefetcher.route();
      edge.cached.set('/page', { ...PAGE, headers: header ? { 'x-sw-cache-control': header } : {} });
      await worker.ask('/page', { maxAgeSeconds });
      worker.clock.now += keptSeconds * 1000 - 1;
      await worker.visit('/page');
      assert.equal(edge.seen.length, 1);
      worker.clock.now += 1;
      await worker.visit('/page');
      assert.equal(edge.seen.length, 2);
    });
  }

  test('lets reloads, ranges and other methods pass', async () => {
    await using edge = await startEdge();
    const worker = startWorker(edge);
    worker.prefetcher.route();
    assert.equal(await worker.visit('/a', { cache: 'reload' }), undefined);
    assert.equal(await worker.visit('/a', { headers: { range: 'bytes=0-1' } }), undefined);
    assert.equal(await worker.visit('/a', { method: 'DELETE' }), undefined);
  });

  test('keeps ordinary answers of the patterns it was given', async () => {
    await using edge = await startEdge();
    const worker = startWorker(edge);
    worker.prefetcher.cache('/api/', 60).route();
    await worker.visit('/api/stock');
    await worker.visit('/api/stock');
    await worker.visit('/other');
    await worker.visit('/other');
    assert.deepEqual(edge.seen, ['/api/stock', '/other', '/other']);
  });

  test('finds a prefetched query again by its body', async () => {
    await using edge = await startEdge();
    const worker = startWorker(edge);
    worker.prefetcher.route();
    edge.cached.set('/graphql', { body: '{"data":1}', type: 'application/json' });
    await worker.ask('/graphql', { method: 'POST', body: '{"q":1}' });
    assert.deepEqual(edge.seen, [
      '/graphql?selvedge_prefetch=1&pref_selvedge_method=POST&pref_selvedge_body=%7B%22q%22%3A1%7D',
    ]);
    const post = (body: string) => ({ method: 'POST', body, headers: { 'content-type': 'application/json' } });
    assert.equal(await worker.visit('/graphql', post('{"q":1}')), '{"data":1}');
    assert.equal(edge.seen.length, 1);
    await worker.visit('/graphql', post('{"q":2}'));
    assert.equal(edge.seen.length, 2);
  });

  test('asks the host of another cache, and answers under the own one', async () => {
    await using edge = await startEdge();
    await using other = await startEdge();
    const worker = startWorker(edge, { cacheHost: new URL(other.origin).host });
    worker.prefetcher.route();
    other.cached.set('/page', { ...PAGE, headers: { 'access-control-allow-origin': '*' } });
    await worker.ask('/page');
    assert.equal(await worker.visit('/page'), PAGE.body);
    assert.deepEqual([edge.seen, other.seen], [[], ['/page?selvedge_prefetch=1']]);
  });

  test('clears what has ended when it becomes active', async () => {
    await using edge = await startEdge();
    const worker = startWorker(edge);
    edge.cached.set('/page', PAGE);
    await worker.ask('/page');
    worker.clock.now += 121_000;
    await worker.dispatch('activate', {});
    const cache = await undici.caches.open('prefetch');
    assert.equal(
      (await cache.keys()).some(({ url }) => url.startsWith(edge.origin)),
      false,
    );
  });
});

describe('deep fetching', () => {
  test('fetches what a page shows, as many as the rule says', async () => {
    await using edge = await startEdge();
    const worker = startWorker(edge, { plugins: [new DeepFetchPlugin([{ selector: 'img', maxMatches: 1 }])] });
    edge.cached.set('/linen', PAGE);
    await worker.ask('/linen');
    assert.deepEqual(edge.seen, ['/linen?selvedge_prefetch=1', '/linen.svg?selvedge_prefetch=1']);
  });

  test('fetches what an API answer names', async () => {
    await using edge = await startEdge();
    const worker = startWorker(edge, { plugins: [new DeepFetchPlugin([{ jsonQuery: 'items.image' }])] });
    edge.cached.set('/api', { body: '{"items":[{"image":"a.png"},{"image":"/b.png"}]}', type: 'application/json' });
    await worker.ask('/api');
    assert.deepEqual(edge.seen.slice(1).sort(), ['/a.png?selvedge_prefetch=1', '/b.png?selvedge_prefetch=1']);
  });

  test('a rule with a callback decides itself', async () => {
    await using edge = await startEdge();
    const rule = {
      selector: 'h1',
      callback: async ({ prefetch }: DeepFetchMatch) => void (await prefetch('/reviews')),
    };
    const worker = startWorker(edge, { plugins: [new DeepFetchPlugin([rule])] });
    edge.cached.set('/linen', PAGE).set('/reviews', PAGE);
    await worker.ask('/linen');
    worker.prefetcher.route();
    assert.equal(edge.seen.includes('/reviews?selvedge_prefetch=1'), true);
  });

  test('a rule that is not understood stops the worker at once', () => {
    assert.throws(() => new DeepFetchPlugin([{ selector: 'img:hover' }]), SyntaxError);
    assert.throws(() => new DeepFetchPlugin([{ jsonQuery: 'a[b=1]' }]), SyntaxError);
  });
});
