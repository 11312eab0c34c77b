/** What is stored outlives the processes that stored it, and so does what was purged. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cliHere } from '../actors/cli.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const ROUTES = `
  .match('/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 3600 } }); proxy('o'); })`;

describe('a platform that is started again', () => {
  let home: string;
  let origin: PathOrigin;
  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'sv-restart-'));
    origin = await pathOrigin();
  });
  after(async () => {
    await origin?.close();
    rmSync(home, { recursive: true, force: true });
  });
  const start = (): Promise<Platform> => startPlatform({ home, args: ['--workers', '2'] });
  const host = 'kept-default.localhost';
  const ask = async (platform: Platform, path: string) => (await platform.request({ host, path })).text;

  test('serves what it had stored, but not what was purged, and begins anew when its store is damaged', async () => {
    let edition = 0;
    for (const path of ['/a', '/b', '/large']) {
      origin.on(path, (_request, response) =>
        response.end(`${++edition} `.padEnd(path === '/large' ? 300_000 : 100, '.')),
      );
    }
    {
      await using platform = await start();
      await platform.deploy('kept', projectFiles({ o: origin.backend }, ROUTES));
      for (const path of ['/a', '/b', '/large']) await ask(platform, path);
      const { code } = await cliHere(['purge', '--wait', '--path', '/b', '--project', 'kept', '--data', platform.data]);
      assert.equal(code, 0);
    }
    {
      await using platform = await start();
      assert.match(await ask(platform, '/a'), /^1 /);
      assert.match(await ask(platform, '/large'), /^3 /);
      assert.match(await ask(platform, '/b'), /^4 /);
      assert.equal(origin.count('/a') + origin.count('/large'), 2);
    }
    for (const role of ['edge', 'global']) {
      const file = join(home, 'data', 'cache', role, '1', 'data.mdb');
      truncateSync(file, Math.floor(statSync(file).size / 2 / 8_192) * 8_192);
    }
    await using platform = await start();
    assert.match(await ask(platform, '/a'), /^5 /);
    assert.match(await ask(platform, '/a'), /^5 /);
  });

  test('and whose store is cut off while it serves goes on with a new one', async () => {
    origin.on('/c', (_request, response) => response.end('c'.repeat(500)));
    await using platform = await start();
    await ask(platform, '/c');
    const folder = join(home, 'data', 'cache', 'edge');
    const newest = Math.max(...readdirSync(folder).map(Number).filter(Number.isInteger));
    truncateSync(join(folder, String(newest), 'data.mdb'), 8_192);
    let paths = 0;
    await until('a new store', async () => {
      // each asks the store, and some processes may die of it; whoever is connected to them may ask again
      await ask(platform, `/new/${++paths}`).catch(() => {});
      return readdirSync(folder).includes(String(newest + 1));
    });
    await until('answers as before', () =>
      ask(platform, '/c').then(
        (text) => text === 'c'.repeat(500),
        () => false,
      ),
    );
  });
});
