/** One edge process for each core: one port, one store, and for clients one POP. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, selvedge, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const ROUTES = `
  .match('/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 3600 } }); proxy('o'); })`;

/** As it starts when nobody says how many processes, with a project. */
async function platformAndOrigin(config: Readonly<Record<string, unknown>> = {}) {
  const [platform, origin]: [Platform, PathOrigin] = await Promise.all([
    startPlatform({ config: { pop: { processes: undefined }, ...config } }),
    pathOrigin(),
  ]);
  const site = await platform.deploy('many', projectFiles({ o: origin.backend }, ROUTES));
  const end = async (): Promise<void> => {
    await platform.stop();
    await origin.close();
  };
  return { platform, origin, site, [Symbol.asyncDispose]: end };
}

test('there are as many as cores, and what one has stored is a hit in all', async () => {
  await using started = await platformAndOrigin();
  const { platform, origin, site } = started;
  const status = await fetch(`${platform.control.url}/v1/status`, {
    headers: { authorization: `Bearer ${platform.control.token}` },
  });
  const { pops } = (await status.json()) as { pops: { name: string }[] };
  const edges = pops.filter(({ name }) => name.includes('edge'));
  assert.equal(edges.length, availableParallelism());

  const first = await site.ask('/page');
  assert.match(first.get('x-sv-t')!, /ecc=cached/);
  // a connection each, so that the kernel spreads them
  const ask = () => site.ask('/page', { headers: { connection: 'close' } });
  await until('it to be committed', async () => {
    const answers = await Promise.all(Array.from({ length: 24 }, ask));
    return answers.every((answer) => /ecc=hit/.test(answer.get('x-sv-t')!));
  });
  assert.equal(origin.count('/page'), 1);
  // Two may have fetched it from the global POP; what the last one has committed is soon everybody's.
  await until('all to have the same one', async () => {
    const answers = await Promise.all(Array.from({ length: 24 }, ask));
    return new Set(answers.map((answer) => answer.get('x-sv-hit-request-id'))).size === 1;
  });
});

test('a port that somebody has is refused, although the kernel would let both have it', async () => {
  await using started = await platformAndOrigin();
  const home = mkdtempSync(join(tmpdir(), 'sv-port-'));
  try {
    const port = String(started.platform.port);
    const where = ['--set', 'listen.host=127.0.0.1', '--data', join(home, 'data'), '--control-port', '0'];
    const { code, stderr } = await selvedge('start', '--http-port', port, '--workers', '2', ...where);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`client port 127\\.0\\.0\\.1:${port} is in use`));
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
});
