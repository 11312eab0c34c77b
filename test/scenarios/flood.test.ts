/** Thousands of requests that fail at once: each gets its own true answer, and a good one in between is served. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { closedPort } from '../actors/origin.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, residentMb, type Site, startPlatform } from '../actors/platform.ts';
import { RawClient } from '../actors/raw-client.ts';

/** Connections at a time; each is used again and again. */
const AT_ONCE = 400;
const ROUNDS = 8;

describe('a flood of failing requests', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    [platform, origin] = await Promise.all([startPlatform(), pathOrigin()]);
    const closed = { domainOrIp: '127.0.0.1', port: await closedPort(), scheme: 'http' };
    const routes = `
      .match('/kept', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 600 } }); proxy('o'); })
      .match('/fresh/:id', ({ proxy }) => proxy('o'))
      .match('/refused/:id', ({ proxy }) => proxy('closed'))`;
    site = await platform.deploy('flood', projectFiles({ o: origin.backend, closed }, routes));
    await site.ask('/kept');
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  const FAILING: readonly (readonly [path: string, host: string | null, code: number])[] = [
    ['/nowhere', null, 404],
    ['/refused/x', null, 531],
    ['/x', 'nobody.example', 535],
    ['/x', 'a..b', 544],
    [`/${'x'.repeat(8_192)}`, null, 400],
  ];

  const failOnce = async (at: number): Promise<void> => {
    const [path, host, code] = FAILING[at % FAILING.length]!;
    const accept = ['text/html', 'application/json', '*/*'][at % 3]!;
    const head = `GET ${path} HTTP/1.1\r\nhost: ${host ?? site.host}\r\naccept: ${accept}\r\nconnection: close\r\n\r\n`;
    const answer = await RawClient.ask(platform.port, head);
    assert.deepEqual([answer.status, answer.get('x-sv-error')], [code, String(code)], answer.text.slice(0, 300));
  };

  test('answers every one with its own code, serves good ones in between, and does not grow', async () => {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, at) => failOnce(at)));
    const memory = (): number => platform.processes().reduce((sum, pid) => sum + residentMb(pid), 0);
    const before = memory();
    for (let round = 0; round < ROUNDS; round++) {
      const flood = Promise.all(Array.from({ length: AT_ONCE }, (_, at) => failOnce(at + round)));
      // While all of them are on their way.
      const [kept, fresh] = await Promise.all([site.ask('/kept'), site.ask(`/fresh/${round}`)]);
      assert.deepEqual([kept.status, fresh.status], [200, 200]);
      assert.match(kept.get('cache-status')!, /; hit/);
      await flood;
    }
    const grown = memory() - before;
    // Pages that stayed would be well over 20 MB; garbage that waits to be collected is not told apart from them.
    assert.ok(grown < 250, `${grown} MB more after ${AT_ONCE * ROUNDS} failures`);
    assert.equal((await site.ask('/kept')).status, 200);
  });
});
