/** Prerendering: what a routes file lists is in the store before the first visitor asks, and nobody else can do that. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cliHere } from '../actors/cli.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const BROWSER = { headers: { 'accept-encoding': 'gzip, deflate, br' } };

describe('prerender', () => {
  let platform: Platform;
  let origin: PathOrigin;
  before(async () => {
    const config = { limits: { prerender: { requestsPerDeployment: 4, concurrency: 2 } } };
    [platform, origin] = await Promise.all([startPlatform({ config }), pathOrigin()]);
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  test('fills the store after a deployment, so that the first visitor gets a hit', async () => {
    const site = await platform.deploy(
      'pre',
      projectFiles(
        { o: origin.backend },
        `
        .prerender(['/pages/a', { path: '/pages/b' }])
        .prerender(async () => [{ path: '/pages/c' }])
        .match('/pages/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('o'); })`,
      ),
    );
    await until('three URLs are rendered', () => /prerendered 3 URLs of pre-default-1, 0 failed/.test(platform.stderr));
    // As a browser does that has the printed address: the port is part of the key.
    const host = `${site.host}:${platform.port}`;
    const visit = (path: string) => platform.request({ host, path, ...BROWSER });
    for (const path of ['/pages/a', '/pages/b', '/pages/c']) {
      const answer = await visit(path);
      assert.match(answer.get('x-sv-t')!, /ecc=hit/, path);
      assert.equal(origin.count(path), 1);
    }
    const record = await platform.log((await visit('/pages/a')).get('x-sv-hit-request-id')!);
    assert.equal(record.prl, 1);

    await cliHere(['purge', '--all', '--project', 'pre', '--data', platform.data]);
    await until('they are rendered anew after a full purge', () => origin.count('/pages/c') === 2);
  });

  test('stops at its limits: so many at once, so many after one deployment, and says what it left out', async () => {
    let open = 0;
    let most = 0;
    const paths = ['/1', '/2', '/3', '/4', '/5', '/6'];
    for (const path of paths)
      origin.on(path, (_, response) => {
        most = Math.max(most, ++open);
        setImmediate(() => {
          open--;
          response.end('made');
        });
      });
    const routes = `.prerender(${JSON.stringify(paths)}).match('/:path*', ({ cache, proxy }) => {
      cache({ edge: { maxAgeSeconds: 60 } }); proxy('o'); })`;
    await platform.deploy('many', projectFiles({ o: origin.backend }, routes));
    await until('four are rendered', () => /prerendered 4 URLs of many-default-1, 0 failed/.test(platform.stderr));
    assert.match(
      platform.stderr,
      /2 URLs of many-default-1 are not prerendered: .*prerender\.requestsPerDeployment is 4/,
    );
    assert.deepEqual(
      paths.map((path) => origin.count(path)),
      [1, 1, 1, 1, 0, 0],
    );
    assert.ok(most <= 2, `${most} at once`);
  });

  test('tells what failed', async () => {
    await platform.deploy('broken', projectFiles({ o: origin.backend }, `.prerender(['/nowhere'])`));
    await until('the failure is told', () => /\/nowhere: 404 \(platform\)/.test(platform.stderr));
  });
});
