/** Processes that die while clients are there, and a control plane that is gone. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { descendants, type Platform, startPlatform } from '../actors/platform.ts';
import { isAlive } from '../actors/project-bundle.ts';
import { until } from '../actors/until.ts';

const shop = (version: string) => ({
  'selvedge.config.js': `export default { name: 'shop' };`,
  'page.txt': `page ${version}`,
  'routes.js': `import { Router } from 'selvedge/router';
    export default new Router()
      .get('/fixed', ({ send }) => send('fixed ${version}'))
      .get('/page', ({ serveStatic }) => serveStatic('page.txt'))
      .get('/stored', ({ cache, compute }) => {
        cache({ edge: { maxAgeSeconds: 600 } });
        compute((request, response) => { response.body = 'stored ${version}'; });
      })
      .get('/code', ({ compute }) => compute((request, response) => { response.body = 'code ${version}'; }));`,
});

const commandLine = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
};

/** The global POP is the one that has workers. */
function popsOf(platform: Platform): { global: number; edges: number[] } {
  const pops = descendants(platform.child.pid!).filter((pid) => commandLine(pid).includes('--pop-process'));
  const global = pops.find((pid) => descendants(pid).length > 0)!;
  return { global, edges: pops.filter((pid) => pid !== global) };
}

describe('a process that dies', () => {
  test('as an edge takes only its own clients with it and is replaced on the same port', async () => {
    await using platform = await startPlatform({ args: ['--workers', '2'] });
    const site = await platform.deploy('shop', shop('one'));
    const { edges } = popsOf(platform);
    const headers = { connection: 'close' };
    process.kill(edges[0]!, 'SIGKILL');
    await until('it to be gone', () => !isAlive(edges[0]!));
    for (let count = 0; count < 20; count++) assert.equal((await site.ask('/fixed', { headers })).text, 'fixed one');
    await until('its successor', () => popsOf(platform).edges.length === 2);
    assert.match(platform.stderr, /edge-1 ended \(SIGKILL\); a new one starts in 50 ms/);
    process.kill(edges[1]!, 'SIGKILL');
    await until('the successor to serve alone', async () => {
      const answer = await site.ask('/fixed', { headers }).catch(() => null);
      return answer?.status === 200;
    });
  });

  test('as the global POP leaves the edge with what it has stored, is replaced, and takes its workers along', async () => {
    await using platform = await startPlatform();
    const site = await platform.deploy('shop', shop('one'));
    assert.equal((await site.ask('/stored')).text, 'stored one');
    const { global } = popsOf(platform);
    const workers = descendants(global);
    assert.ok(workers.length > 0);
    process.kill(global, 'SIGKILL');
    const failures = new Set<string | undefined>();
    await until('code to run again', async () => {
      assert.equal((await site.ask('/stored')).text, 'stored one', 'hits go on');
      const answer = await site.ask('/code');
      if (answer.status !== 200) failures.add(answer.get('x-sv-error'));
      return answer.text === 'code one';
    });
    for (const code of failures) assert.ok(code === '547' || code === '545', `attributed to the link: ${code}`);
    await until('the old workers to be gone', () => !workers.some(isAlive));
  });

  test('as a worker costs nobody but its own request', async () => {
    await using platform = await startPlatform();
    const site = await platform.deploy('shop', shop('one'));
    assert.equal((await site.ask('/code')).text, 'code one');
    const workers = () => platform.processes().filter((pid) => commandLine(pid).includes('guest'));
    const [worker] = workers();
    process.kill(worker!, 'SIGKILL');
    await until('its successor', () => workers().some((pid) => pid !== worker));
    assert.equal((await site.ask('/code')).text, 'code one');
  });
});

describe('without the control plane', () => {
  const home = mkdtempSync(join(tmpdir(), 'sv-operations-'));
  after(() => rmSync(home, { recursive: true, force: true }));
  const token = 'control-token-of-a-test';
  const linkToken = 'link-token-of-a-test';
  const newHome = (name: string): string => mkdtempSync(join(home, name));

  test('POPs on other machines serve, start from what they kept, and catch up when it is back', async () => {
    const homes = { control: newHome('control'), global: newHome('global'), edge: newHome('edge') };
    const startControl = (port: string) =>
      startPlatform({
        home: homes.control,
        args: ['--role', 'control', '--control-port', port],
        config: { control: { token } },
      });
    const first = await startControl('0');
    const control = { url: first.control.url, token };
    const config = { control, pop: { linkToken } };
    await using global = await startPlatform({ home: homes.global, args: ['--role', 'global'], config });
    const edgeOptions = {
      home: homes.edge,
      args: ['--role', 'edge'],
      config: { control, pop: { linkToken, global: global.link } },
    };
    const edge = await startPlatform(edgeOptions);
    const site = await first.deploy('shop', shop('one'));
    const ask = async (platform: Platform, path: string, host = site.host) =>
      (await platform.request({ host, path })).text;
    assert.deepEqual(await texts(edge), ['fixed one', 'page one', 'code one']);

    const [only] = descendants(edge.child.pid!);
    process.kill(only!, 'SIGKILL');
    await until('the successor of its only process', async () => {
      const answer = await edge.request({ host: site.host, path: '/fixed' }).catch(() => null);
      return answer?.status === 200;
    });

    first.child.kill('SIGKILL');
    await until('the edge to notice', () => /lost the control plane/.test(edge.stderr));
    assert.deepEqual(await texts(edge), ['fixed one', 'page one', 'code one']);
    await edge.stop();
    await using again = await startPlatform(edgeOptions);
    assert.deepEqual(await texts(again), ['fixed one', 'page one', 'code one']);

    await using second = await startControl(new URL(first.control.url).port);
    await until('the edge to find it', () => /found the control plane again/.test(again.stderr));
    await second.deploy('shop', shop('two'));
    assert.equal(await until('the change', async () => (await ask(again, '/fixed')) === 'fixed two'), true);
    assert.deepEqual(await texts(again), ['fixed two', 'page two', 'code two']);
    assert.equal(await ask(again, '/code', site.permalink), 'code one');

    async function texts(platform: Platform): Promise<string[]> {
      const paths = ['/fixed', '/page', '/code'];
      return Promise.all(paths.map((path) => ask(platform, path)));
    }
  });
});
