/** A crowd for one URL is one request at the origin: over the processes of one POP, and over POPs that are apart. */
import assert from 'node:assert/strict';
import type { ServerResponse } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const TOKEN = 'a-token-that-both-sides-know';
const CROWD = 1_000;

describe('a crowd for one URL', () => {
  let platform: Platform;
  let far: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    const config = { pop: { name: 'near', linkToken: TOKEN }, control: { token: TOKEN } };
    [platform, origin] = await Promise.all([startPlatform({ config, args: ['--workers', '2'] }), pathOrigin()]);
    const routes = `
      .match('/kept/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60, staleWhileRevalidateSeconds: 60 } }); proxy('o'); })
      .match('/:path*', ({ proxy }) => proxy('o'))`;
    site = await platform.deploy('crowd', projectFiles({ o: origin.backend }, routes));
    far = await startPlatform({
      config: {
        pop: { name: 'far', role: 'edge', global: platform.link, linkToken: TOKEN },
        control: { url: platform.control.url, token: TOKEN },
      },
    });
  });
  after(async () => {
    await far?.stop();
    await platform?.stop();
    await origin?.close();
  });

  /** Answers nobody before the test says so. */
  function heldBack(path: string): { release: (answer: (response: ServerResponse) => void) => void } {
    const held: ServerResponse[] = [];
    let answer: ((response: ServerResponse) => void) | undefined;
    origin.on(path, (_request, response) => {
      if (answer) answer(response);
      else held.push(response);
    });
    return {
      release(how) {
        answer = how;
        for (const response of held) how(response);
      },
    };
  }

  const crowd = (path: string, pops: readonly Platform[], size = CROWD) =>
    Promise.all(Array.from({ length: size }, (_, at) => pops[at % pops.length]!.request({ host: site.host, path })));

  test('over two processes of one POP', async () => {
    const { release } = heldBack('/kept/processes');
    const answers = crowd('/kept/processes', [platform]);
    await until('the origin to be asked', () => origin.count('/kept/processes') > 0);
    release((response) => void response.end('cloth'));
    for (const { status, text } of await answers) assert.deepEqual([status, text], [200, 'cloth']);
    assert.equal(origin.count('/kept/processes'), 1);
  });

  test('over two edge POPs on one global POP', async () => {
    const { release } = heldBack('/kept/pops');
    const answers = crowd('/kept/pops', [platform, far]);
    await until('the origin to be asked', () => origin.count('/kept/pops') > 0);
    release((response) => void response.end('cloth'));
    const all = await answers;
    for (const { status, text } of all) assert.deepEqual([status, text], [200, 'cloth']);
    assert.equal(origin.count('/kept/pops'), 1);
    const waited = all.filter((answer) => /[eg]cwt=/.test(answer.get('x-sv-t')!));
    assert.ok(waited.length > 0);
    assert.ok(all.some((answer) => answer.get('x-sv-components')!.includes('e=edge-far')));
    assert.ok(all.some((answer) => answer.get('x-sv-components')!.includes('e=edge-near')));
  });

  test('what one POP has fetched, another finds at the global POP', async () => {
    await platform.request({ host: site.host, path: '/kept/shared' });
    const answer = await far.request({ host: site.host, path: '/kept/shared' });
    assert.match(answer.get('cache-status')!, /^"global-near"; hit; ttl=\d+, "edge-far"; fwd=uri-miss/);
    assert.match(answer.get('server-timing')!, /^selvedge-cache;desc="HIT-L2"/);
    assert.match(answer.get('x-sv-t')!, /ecc=cached.*gcc=hit/);
    assert.equal(origin.count('/kept/shared'), 1);
    const line = await until('the record of the far POP', () => {
      const [record] = far.records(answer.get('x-sv-request-id')!);
      return record;
    });
    assert.deepEqual([line.clv, line.sh], [2, 1]);
  });

  test('an answer that may be personal is given to nobody else', async () => {
    let at = 0;
    const { release } = heldBack('/kept/personal');
    const answers = crowd('/kept/personal', [platform, far], 40);
    await until('the origin to be asked', () => origin.count('/kept/personal') > 0);
    release((response) => void response.setHeader('set-cookie', `id=${++at}`).end('yours'));
    const cookies = (await answers).map((answer) => answer.get('set-cookie'));
    assert.equal(new Set(cookies).size, 40);
  });

  test("a failure of the platform's is shared by everybody who waited, each with an id of its own", async () => {
    const { release } = heldBack('/kept/failing');
    const answers = crowd('/kept/failing', [platform, far], 40);
    await until('the origin to be asked', () => origin.count('/kept/failing') > 0);
    release((response) => response.destroy());
    const all = await answers;
    assert.deepEqual([...new Set(all.map(({ status }) => status))], [536]);
    assert.equal(new Set(all.map((answer) => answer.get('x-sv-request-id'))).size, 40);
    // Whoever waited tells of the same hop as the one who asked.
    for (const answer of all) {
      assert.match(answer.get('proxy-status')!, /^"global-near";error=connection_terminated/);
      assert.match(answer.get('x-sv-status')!, /gh=536,gd=536/);
    }
    assert.ok(origin.count('/kept/failing') < 20, `${origin.count('/kept/failing')} requests`);
  });

  test('the leader may leave, the others get their answer', async () => {
    const { release } = heldBack('/kept/leader');
    const leaving = new AbortController();
    const leader = site.ask('/kept/leader', { signal: leaving.signal });
    leader.catch(() => {});
    await until('the origin to be asked', () => origin.count('/kept/leader') > 0);
    const others = crowd('/kept/leader', [far], 5);
    leaving.abort();
    await assert.rejects(leader);
    release((response) => void response.end('cloth'));
    for (const { text } of await others) assert.equal(text, 'cloth');
    assert.ok(origin.count('/kept/leader') <= 2);
  });

  test('a link token that is wrong opens nothing', async () => {
    const port = Number(new URL(platform.link!).port);
    const { status } = await fetch(`http://127.0.0.1:${port}/kept/x`, { headers: { 'selvedge-link': 'guess' } });
    assert.equal(status, 403);
  });
});
