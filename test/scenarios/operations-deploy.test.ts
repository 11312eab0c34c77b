/** Changing what is served while it is served: deployments that fail, that are cut off, and many of them. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type CliResult, cliHere } from '../actors/cli.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const home = mkdtempSync(join(tmpdir(), 'sv-operations-'));
after(() => rmSync(home, { recursive: true, force: true }));

/** `load` is code that runs when a worker loads the project, and when it is built. */
const shop = (version: string, load = '') => ({
  'selvedge.config.js': `export default { name: 'shop' };`,
  'routes.js': `import { Router } from 'selvedge/router';
    ${load}
    export default new Router()
      .get('/fixed', ({ send }) => send('fixed ${version}'))
      .get('/stored', ({ cache, compute }) => {
        cache({ edge: { maxAgeSeconds: 600 } });
        compute((request, response) => { response.body = 'stored ${version}'; });
      })
      .get('/code', ({ compute }) => compute((request, response) => {
        response.body = 'code ${version} ' + process.env.COLOR;
      }));`,
});

let folders = 0;
function folderOf(files: Readonly<Record<string, string>>): string {
  const dir = join(home, `project-${++folders}`);
  mkdirSync(dir);
  for (const [name, content] of Object.entries(files)) writeFileSync(join(dir, name), content);
  return dir;
}

/** A command about the shop; fails the test unless it ends as expected. */
async function run(platform: Platform, args: readonly string[], expected = 0): Promise<CliResult> {
  const place = ['--data', platform.data, '--project', 'shop'];
  const result = await cliHere([...args, ...place]);
  assert.equal(result.code, expected, `${args.join(' ')}: ${result.stderr}`);
  assert.doesNotMatch(result.stderr, /^\s+at /m);
  return result;
}

const HIT = 'selvedge-cache;desc="HIT-L1"';

const textOf = async (site: Site, path: string): Promise<string> => (await site.ask(path)).text;

describe('what is served changes', () => {
  test('not at all when a deployment is broken, with file, line and remedy', async () => {
    await using platform = await startPlatform();
    const site = await platform.deploy('shop', shop('one'));
    const router = `import { Router } from 'selvedge/router';\n`;
    const broken: readonly (readonly [string, RegExp])[] = [
      [`${router}export default new Router(\n  .get(`, /routes\.js:3: Unexpected/],
      [`${router}throw new Error('bang');`, /routes\.js:2: .*bang/],
      [`${router}new Router();`, /routes\.js: .*exports no Router.*export default new Router\(\)/],
      [`${router}export default new Router().get('/', ({ proxy }) => proxy('api'));`, /:2: .*'api'.*Declare it/],
      [`${router}export default new Router().get('/:(a', ({ send }) => send(''));`, /:2: .*'\/:\(a' .*Write/],
      [`${router}export default new Router().get('/', ({ sends }) => sends(''));`, /:2: .*no member 'sends'/],
    ];
    for (const [routes, expected] of broken) {
      const { stderr } = await run(platform, ['deploy', folderOf({ 'routes.js': routes })], 1);
      assert.match(stderr, expected);
    }
    await run(platform, ['env', 'set', 'LICENSE=expired']);
    const load = `if (process.env.LICENSE === 'expired') throw new Error('no license');`;
    const { stderr } = await run(platform, ['deploy', folderOf(shop('two', load))], 1);
    assert.match(stderr, /deployment 2 was not activated, deployment 1 stays active: .*no license/);
    assert.equal(await textOf(site, '/fixed'), 'fixed one');
    assert.equal(await textOf(site, '/code'), 'code one undefined');
  });

  test('not at all when a variable would keep the code from loading', async () => {
    await using platform = await startPlatform();
    const load = `if (process.env.LICENSE === 'expired') throw new Error('no license');`;
    const site = await platform.deploy('shop', shop('one', load));
    await run(platform, ['env', 'set', 'COLOR=red']);
    assert.equal(await textOf(site, '/stored'), 'stored one');
    const version = (await site.ask('/stored')).get('x-sv-version');
    const { stderr } = await run(platform, ['env', 'set', 'LICENSE=expired'], 1);
    assert.match(stderr, /LICENSE was not set, .*: deployment 1 does not load with the change: .*no license/);
    assert.equal((await run(platform, ['env', 'list'])).stdout.includes('LICENSE'), false);
    const after = await site.ask('/stored');
    assert.deepEqual([after.get('x-sv-version'), after.get('server-timing')?.slice(0, 28)], [version, HIT]);
    assert.equal(await textOf(site, '/code'), 'code one red');
  });

  test('by removing a variable only when the code loads without it', async () => {
    await using platform = await startPlatform();
    await run(platform, ['env', 'set', 'LICENSE=good']);
    const load = `if (process.env.LICENSE === undefined && process.env.SELVEDGE_ENVIRONMENT_NAME) throw new Error('no license');`;
    const site = await platform.deploy('shop', shop('one', load));
    assert.match((await run(platform, ['env', 'unset', 'LICENSE'], 1)).stderr, /LICENSE was not removed, .*no license/);
    assert.equal(await textOf(site, '/code'), 'code one undefined');
    await platform.deploy('shop', shop('two'));
    await run(platform, ['env', 'unset', 'LICENSE']);
  });

  test('not at all when the platform is killed during an activation', async () => {
    const kept = mkdtempSync(join(home, 'killed-'));
    const first = await startPlatform({ home: kept });
    const site = await first.deploy('shop', shop('one'));
    await run(first, ['env', 'set', 'HANG=yes']);
    const load = `if (process.env.HANG === 'yes') await new Promise((resolve) => setTimeout(resolve, 15_000));`;
    const cutOff = run(first, ['deploy', folderOf(shop('two', load))], 1);
    await until('the activation', async () => (await run(first, ['deployments'])).stdout.includes('-2.localhost'));
    first.child.kill('SIGKILL');
    assert.match((await cutOff).stderr, /during the activation[\s\S]*deploying again is safe/);

    await using second = await startPlatform({ home: kept });
    assert.equal((await second.request({ host: site.host, path: '/code' })).text, 'code one undefined');
    const again = await second.deploy('shop', shop('three'));
    assert.equal(again.deployment, 3);
    assert.equal(await textOf(again, '/code'), 'code three undefined');
  });

  test('fifty times under constant load, and nobody notices', async () => {
    await using platform = await startPlatform();
    const site = await platform.deploy('shop', shop('one'));
    await platform.deploy('shop', shop('two'));
    const failures: string[] = [];
    let answers = 0;
    let over = false;
    const clients = ['/fixed', '/stored', '/code'].map(async (path) => {
      while (!over) {
        const { status, text } = await site.ask(path);
        answers++;
        if (status !== 200) failures.push(`${path}: ${text}`);
        // Leaves the machine to the activations.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    });
    for (let count = 0; count < 50; count++) await promote(platform, 1 + (count % 2));
    over = true;
    await Promise.all(clients);
    assert.deepEqual(failures, []);
    assert.ok(answers > 50);
    assert.equal(await textOf(site, '/stored'), 'stored two');
    await run(platform, ['rollback']);
    assert.equal(await textOf(site, '/stored'), 'stored one');
  });

  test('before the command returns: variables, domains, promotions; and permalinks stay', async () => {
    await using platform = await startPlatform();
    const site = await platform.deploy('shop', shop('one'));
    const stranger = await platform.deploy('other', shop('other'));
    for (const color of ['red', 'blue']) {
      await run(platform, ['env', 'set', `COLOR=${color}`]);
      assert.equal(await textOf(site, '/code'), `code one ${color}`);
    }
    assert.equal(await textOf(stranger, '/code'), 'code other undefined');
    for (const domain of ['www.shop.example', 'localhost', '127.0.0.1', '[::1]']) {
      await run(platform, ['domains', 'add', domain]);
      assert.equal((await platform.request({ host: domain, path: '/fixed' })).text, 'fixed one');
      await run(platform, ['domains', 'remove', domain]);
      assert.equal((await platform.request({ host: domain, path: '/fixed' })).status, 535);
    }
    const all = await Promise.all(['two', 'three', 'four'].map((it) => platform.deploy('shop', shop(it))));
    assert.deepEqual(all.map(({ deployment }) => deployment).sort(), [2, 3, 4]);
    for (const [at, version] of ['two', 'three', 'four'].entries()) {
      const { permalink } = all[at]!;
      assert.equal((await platform.request({ host: permalink, path: '/code' })).text, `code ${version} blue`);
    }
    assert.equal((await platform.request({ host: site.permalink, path: '/code' })).text, 'code one blue');
  });
});

/** Over the API itself: fifty command lines would only heat the machine. */
async function promote({ control }: Platform, deployment: number): Promise<void> {
  const answer = await fetch(`${control.url}/v1/projects/shop/environments/default/promote`, {
    method: 'POST',
    headers: { authorization: `Bearer ${control.token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ deployment }),
  });
  assert.equal(answer.status, 200, await answer.text());
}
