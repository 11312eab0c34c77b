/** What `selvedge why` tells of answers from a cache, and of requests whose cache had nothing for them. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cliHere } from '../actors/cli.ts';
import { closedPort } from '../actors/origin.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

describe('the story of a cached answer', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    [platform, origin] = await Promise.all([startPlatform(), pathOrigin()]);
    const refused = { domainOrIp: '127.0.0.1', port: await closedPort(), scheme: 'http' };
    const routes = `
      .match('/kept/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 600 } }); proxy('origin'); })
      .match('/stale', ({ cache, proxy }) => {
        cache({ edge: { maxAgeSeconds: 1, staleWhileRevalidateSeconds: 600 } });
        proxy('origin');
      })
      .match('/refused', ({ proxy }) => proxy('refused'))
      .catch(/531/, ({ send }) => send('sorry', 200))`;
    site = await platform.deploy('why', projectFiles({ origin: origin.backend, refused }, routes));
  });
  after(async () => {
    await platform.stop();
    await origin[Symbol.asyncDispose]();
  });

  test('a plain hit writes nothing beside the access log, and its story leads to the request that filled the entry', async () => {
    const first = await site.ask('/kept/a?token=abcdef');
    const filler = first.get('x-sv-request-id')!;
    await platform.why(filler, ({ source }) => source === 'story');
    const hit = await site.ask('/kept/a?token=abcdef');
    const id = hit.get('x-sv-request-id')!;
    const view = await platform.why(id);
    assert.equal(view.source, 'access-log');
    assert.deepEqual([view.story.status, view.story.cache?.metric, view.story.cache?.level], [200, 'hit', 1]);
    assert.equal(view.story.cache?.filledBy, filler);
    assert.equal(view.routes[0]?.label, '/kept/:path*');
    assert.equal(view.filledBy?.story.requestId, filler);
    assert.equal(view.filledBy?.inner[0]?.calls?.[0]?.status, 200);
    assert.doesNotMatch(JSON.stringify(view), /abcdef/);
    const told = await cliHere(['why', id, '--data', platform.data]);
    assert.match(told.stdout, /^200: answered from the cache of level 1\./);
    assert.match(told.stdout, new RegExp(`filled by  ${filler}`));
  });

  test('a stale answer and the refresh behind it are one story', async () => {
    await site.ask('/stale');
    const stale = await until('a stale answer', async () => {
      const answer = await site.ask('/stale');
      return /hit; ttl=-/.test(answer.get('cache-status')!) ? answer : undefined;
    });
    const id = stale.get('x-sv-request-id')!;
    const view = await platform.why(id, ({ source }) => source === 'story');
    assert.deepEqual([view.story.cache?.metric, view.story.cache?.stale], ['hit', true]);
    const refreshed = await platform.why(id, ({ afterwards, inner }) => afterwards.length + inner.length > 0);
    assert.equal(refreshed.story.cache?.metric, 'hit');
  });

  test('requests that shared a fetch name the one that made it', async () => {
    const gate = Promise.withResolvers<void>();
    origin.on('/kept/shared', (_request, response) => void gate.promise.then(() => response.end('x')));
    const leading = site.ask('/kept/shared');
    await until('the origin to be asked', () => origin.count('/kept/shared') === 1);
    const following = site.ask('/kept/shared', { headers: { 'x-request-id': 'the-follower' } });
    // A request that came later has been answered, so the follower waits by now.
    await site.ask('/kept/other');
    gate.resolve();
    const leader = (await leading).get('x-sv-request-id');
    await following;
    const view = await platform.why('the-follower');
    assert.equal(view.story.cache?.filledBy, leader);
    assert.equal(view.filledBy?.story.requestId, leader);
  });

  test('a prefetch that no cache has an answer for: 412, looked for on both levels, no upstream', async () => {
    const answer = await site.ask('/kept/never?selvedge_prefetch=1');
    assert.equal(answer.status, 412);
    const { story, inner, explanation } = await platform.why(
      answer.get('x-sv-request-id')!,
      (view) => view.inner.length === 1,
    );
    assert.deepEqual([explanation?.cause, explanation?.acts], ['cache.prefetch-miss', 'nobody']);
    for (const { cache } of [story, inner[0]!]) {
      assert.deepEqual(
        [cache?.metric, cache?.reason],
        ['miss', 'nothing is stored, and the request allows nothing else'],
      );
    }
    assert.equal(inner[0]!.calls, undefined);
  });

  test('a failure that an error route covered is still told, with the routes before and after', async () => {
    const answer = await site.ask('/refused');
    assert.deepEqual([answer.status, answer.text], [200, 'sorry']);
    const view = await platform.why(answer.get('x-sv-request-id')!, ({ inner }) => inner.length === 1);
    assert.deepEqual([view.story.status, view.explanation?.cause], [200, 'upstream.connect.refused']);
    assert.deepEqual(
      view.routes.map(({ label, caught }) => [label, caught]),
      [
        ['/refused', false],
        ['catch /531/', true],
      ],
    );
    const told = await cliHere(['why', answer.get('x-sv-request-id')!, '--data', platform.data]);
    assert.match(told.stdout, /took over after the failure/);
  });

  test('an id that nobody knows, one that is none and one that is too old are told apart', async () => {
    const refusal = async (id: string) => {
      const result = await cliHere(['why', id, '--data', platform.data]);
      assert.equal(result.code, 1);
      return result.stderr;
    };
    assert.match(await refusal('never-seen'), /no request with the id never-seen is known .*stories reach back to 20/);
    assert.match(await refusal('two words'), /a request id is 1 to 128 visible ASCII characters/);
    assert.match(await refusal('01900000-0000-7000-8000-000000000000'), /made at 2024-.*kept for 24 h/);
  });

  test('an id that a client uses again has a telling for each use', async () => {
    const headers = { 'x-request-id': 'always/the:same' };
    for (const path of ['/kept/one', '/kept/two']) await site.ask(path, { headers });
    await platform.why(
      'always/the:same',
      ({ story, inner }) => story.request.url === '/kept/two' && inner.length === 1,
    );
    const all = await cliHere(['why', 'always/the:same', '--json', '--data', platform.data]);
    const { tellings } = JSON.parse(all.stdout);
    assert.deepEqual(
      tellings.map((it: { story: { request: { url: string } }; inner: { request: { url: string } }[] }) => [
        it.story.request.url,
        it.inner.map(({ request }) => request.url),
      ]),
      [
        ['/kept/two', ['/kept/two']],
        ['/kept/one', ['/kept/one']],
      ],
    );
    const told = await cliHere(['why', 'always/the:same', '--data', platform.data]);
    assert.match(told.stdout, /The newest of 2 requests with this id/);
  });

  test('a request id in the platform’s own field is never believed', async () => {
    const answer = await site.ask('/kept/spoofed', { headers: { 'x-sv-request-id': 'spoofed-by-a-client' } });
    assert.notEqual(answer.get('x-sv-request-id'), 'spoofed-by-a-client');
    await platform.why(answer.get('x-sv-request-id')!);
    assert.equal((await cliHere(['why', 'spoofed-by-a-client', '--data', platform.data])).code, 1);
  });
});
