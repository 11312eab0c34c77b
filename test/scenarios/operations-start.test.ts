/** Starting and ending a platform: what an operator gets wrong, and what stays behind. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { cliHere } from '../actors/cli.ts';
import { httpOrigin } from '../actors/origin.ts';
import { selvedge, startPlatform } from '../actors/platform.ts';
import { isAlive } from '../actors/project-bundle.ts';
import { until } from '../actors/until.ts';

const home = mkdtempSync(join(tmpdir(), 'sv-operations-'));
after(() => rmSync(home, { recursive: true, force: true }));
let folders = 0;
const newHome = (): string => mkdtempSync(join(home, `${++folders}-`));

const SLOW = {
  'selvedge.config.js': `export default { name: 'shop' };`,
  'routes.js': `import { Router } from 'selvedge/router';
    export default new Router()
      .get('/fixed', ({ send }) => send('fixed'))
      .get('/code', ({ compute }) => compute((request, response) => { response.body = 'code'; }))
      .get('/slow', ({ compute }) => compute(async (request, response) => {
        await new Promise((resolve) => setTimeout(resolve, 400));
        response.body = 'in the end';
      }));`,
};

describe('a start that cannot be', () => {
  const ports = ['--http-port', '0', '--control-port', '0'];

  test('tells every mistake of the configuration at once and makes nothing', async () => {
    const file = join(newHome(), 'platform.yaml');
    writeFileSync(file, 'pop: { role: edge, nmae: x }\nlisten: { port: 99999999 }\nfoo: 1\n');
    const data = join(newHome(), 'data');
    const { code, stdout, stderr } = await selvedge('start', '--config', file, '--data', data, '--json');
    assert.equal(code, 2);
    assert.equal(stdout, '');
    for (const path of ['pop.nmae', 'listen.port', 'foo', 'pop.global', 'pop.linkToken', 'control.url']) {
      assert.ok(stderr.includes(`${path}: `), `${path} in ${stderr}`);
    }
    assert.doesNotMatch(stderr, /^\s+at /m);
    assert.throws(() => statSync(data), /ENOENT/);
  });

  test('is refused with a sentence for roles that are none of a machine of its own', async () => {
    const { code, stderr } = await selvedge('start', '--role', 'compute', ...ports);
    assert.equal(code, 2);
    assert.match(stderr, /project code runs with the global POP/);
  });

  for (const [what, path, reason] of [
    ['a file', () => join(newHome(), 'file'), /it is a file/],
    ['below a file', () => join(newHome(), 'file', 'data'), /a part of the path is a file/],
    ['where nobody may make anything', () => '/proc/selvedge', /cannot be used/],
  ] as const) {
    test(`names a data directory that is ${what}`, async () => {
      const data = path();
      if (what !== 'where nobody may make anything') writeFileSync(data.replace(/\/data$/, ''), '');
      const { code, stderr } = await selvedge('start', '--data', data, ...ports);
      assert.equal(code, 1);
      assert.match(stderr, /^selvedge: the data directory .* cannot be used/);
      assert.match(stderr, reason);
    });
  }

  test('names the port that is taken and the option that chooses another', async () => {
    await using taken = await httpOrigin();
    const port = String(taken.port);
    const start = (...args: string[]) => selvedge('start', '--data', join(newHome(), 'data'), ...args);
    const [http, control, link] = await Promise.all([
      start('--control-port', '0', '--http-port', port, '--set', 'listen.host=127.0.0.1'),
      start('--http-port', '0', '--control-port', port),
      start(...ports, '--set', `listen.linkPort=${port}`),
    ]);
    assert.match(http.stderr, new RegExp(`client port 127\\.0\\.0\\.1:${port} is in use; .*--http-port`));
    assert.match(control.stderr, new RegExp(`control port 127\\.0\\.0\\.1:${port} is in use; .*--control-port`));
    assert.match(link.stderr, new RegExp(`link port 127\\.0\\.0\\.1:${port} is in use; .*listen\\.linkPort`));
    for (const { code, stdout } of [http, control, link]) assert.deepEqual({ code, stdout }, { code: 1, stdout: '' });
  });
});

describe('a running platform', () => {
  test('keeps its data directory to itself', async () => {
    await using platform = await startPlatform();
    const { code, stderr } = await selvedge(
      'start',
      '--data',
      platform.data,
      '--http-port',
      '0',
      '--control-port',
      '0',
    );
    assert.equal(code, 1);
    assert.match(stderr, /another platform already runs with the data directory/);
  });

  test('serves a new project at once, found through the folder that it was started in', async () => {
    const cwd = newHome();
    await using platform = await startPlatform({ cwd });
    for (const args of [
      ['init', 'my-site'],
      ['deploy', 'my-site'],
    ]) {
      const { code, stderr } = await cliHere(args, { cwd });
      assert.equal(code, 0, stderr);
    }
    assert.equal((await platform.request({ host: 'my-site-default.localhost', path: '/' })).status, 200);
  });

  test('finishes what it has when it is told to stop, takes nothing new, and leaves nothing behind', async () => {
    const platform = await startPlatform();
    const site = await platform.deploy('shop', SLOW);
    await site.ask('/code');
    const slow = site.ask('/slow');
    const { stderr } = platform;
    await until('the request to be at work', async () => (await site.ask('/fixed')).status === 200);
    const stopped = platform.stop();
    const late = await until('the drain', async () => {
      const answer = await site.ask('/fixed', { headers: { connection: 'close' } }).catch(() => ({ status: 0 }));
      return answer.status === 200 ? null : { status: answer.status };
    });
    assert.ok(late.status === 0 || late.status === 545, `${late.status} ${stderr}`);
    assert.equal((await slow).text, 'in the end');
    await stopped;
  });

  test('ends in order on Ctrl-C, which every process of a terminal hears', async () => {
    const platform = await startPlatform();
    const site = await platform.deploy('shop', SLOW);
    await site.ask('/code');
    const tree = platform.processes();
    const ended = once(platform.child, 'exit');
    for (const pid of [platform.child.pid!, ...tree]) process.kill(pid, 'SIGINT');
    assert.deepEqual(await ended, [0, null]);
    await until('every process to be gone', () => !tree.some(isAlive));
    await platform.stop();
  });

  test('leaves no process behind when it is killed, and its successor finds everything', async () => {
    const kept = newHome();
    const first = await startPlatform({ home: kept });
    const site = await first.deploy('shop', SLOW);
    assert.equal((await site.ask('/code')).text, 'code');
    const tree = first.processes();
    first.child.kill('SIGKILL');
    await until('every process to be gone', () => !tree.some(isAlive));

    await using second = await startPlatform({ home: kept });
    for (const host of [site.host, site.permalink]) {
      assert.equal((await second.request({ host, path: '/code' })).text, 'code');
    }
    assert.equal((await second.deploy('shop', SLOW)).deployment, 2);
  });
});
