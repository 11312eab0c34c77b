import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { cli, cliHere, finished, startCli } from '../../test/actors/cli.ts';
import { callApi, newDataDir, TEST_TOKEN } from '../../test/actors/control-plane.ts';
import { type ControlProcess, controlProcess } from '../../test/actors/control-process.ts';
import { newFolder } from '../../test/actors/folder.ts';
import type { DeploymentList } from '../control/contract.ts';

const running: ControlProcess[] = [];
after(() => Promise.all(running.map((it) => it.kill('SIGKILL'))));

async function platform(dataDir = newDataDir(), port = 0, slowMs = 0): Promise<ControlProcess> {
  const started = await controlProcess(dataDir, port, slowMs);
  running.push(started);
  return started;
}

/** A small project as `init` makes it. */
async function project(): Promise<string> {
  const dir = join(newFolder('project'), 'shop');
  assert.equal((await cliHere(['init', dir])).code, 0);
  return dir;
}

const write = (dir: string, text: string) => writeFileSync(join(dir, 'public', 'style.css'), text);
const deployArgs = (dir: string, { url }: ControlProcess) => [
  'deploy',
  dir,
  '--to',
  url,
  '--token',
  TEST_TOKEN,
  '--json',
];

async function numbers({ url }: ControlProcess): Promise<{ all: number[]; active: number | undefined }> {
  const { body } = await callApi(url, 'GET', '/v1/projects/shop/environments/default/deployments');
  const { deployments } = body as DeploymentList;
  return { all: deployments.map((it) => it.number), active: deployments.find((it) => it.active)?.number };
}

/** Resolves when the command has said this on standard error. */
function says(child: ChildProcess, words: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let text = '';
    child.stderr!.on('data', (chunk: Buffer) => {
      text += chunk;
      if (text.includes(words)) resolve();
    });
    child.once('close', () => reject(new Error(`ended without saying '${words}': ${text}`)));
  });
}

describe('selvedge deploy', () => {
  test('prints exactly what programs need, and sends only what is new the second time', async () => {
    const control = await platform();
    const dir = await project();
    const first = await cli(deployArgs(dir, control));
    assert.equal(first.code, 0, first.stderr);
    assert.deepEqual(JSON.parse(first.stdout), {
      deployment: 1,
      url: 'http://shop-default.localhost:8080',
      permalink: 'http://shop-default-1.localhost:8080',
    });
    write(dir, 'body { color: red }');
    const second = await cli(deployArgs(dir, control));
    assert.equal(JSON.parse(second.stdout).deployment, 2);
    assert.match(second.stderr, /sent: 2 new blobs \([\d.]+ KB\), \d+ already there/, 'the file and the manifest');
    const third = await cli([...deployArgs(dir, control), '--skip-build']);
    assert.match(third.stderr, /sent: 0 new blobs/);
    assert.doesNotMatch(third.stderr, /build:/);
  });

  test('takes project and environment by new and by historic names', async () => {
    const control = await platform();
    const dir = await project();
    const named = await cliHere([...deployArgs(dir, control), '--site', 'acme', '--branch', 'staging']);
    assert.equal(JSON.parse(named.stdout).url, 'http://acme-staging.localhost:8080');
    const args = [...deployArgs(dir, control), '--skip-build', '--project', 'acme', '--environment', 'staging'];
    assert.equal(JSON.parse((await cliHere(args)).stdout).deployment, 2);
  });

  test('tells every problem of the project and changes nothing', async () => {
    const control = await platform();
    const dir = await project();
    writeFileSync(join(dir, 'routes.ts'), 'export default new Rooter()\n');
    const { code, stdout, stderr } = await cli(deployArgs(dir, control));
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /the project cannot be built: 1 problem\n {2}routes\.ts:1: /);
    const none = await cli(deployArgs(join(dir, 'nowhere'), control));
    assert.equal(none.code, 1);
    assert.match(none.stderr, /is not a directory/);
    const unbuilt = await cliHere([...deployArgs(dir, control), '--skip-build']);
    assert.match(unbuilt.stderr, /has not been built/);
  });

  test('asks for address and token before it builds', async () => {
    const dir = await project();
    const { code, stderr } = await cliHere(['deploy', dir, '--to', 'http://127.0.0.1:1', '--token', 't']);
    assert.equal(code, 1);
    assert.doesNotMatch(stderr, /build:/);
  });

  test('of one folder by several at once gives each a deployment', async () => {
    const control = await platform();
    const dir = await project();
    const results = await Promise.all([1, 2, 3].map(() => cli(deployArgs(dir, control))));
    assert.deepEqual(
      results.map((it) => it.code),
      [0, 0, 0],
      results.map((it) => it.stderr).join(),
    );
    assert.deepEqual(results.map((it) => JSON.parse(it.stdout).deployment).sort(), [1, 2, 3]);
    assert.deepEqual(await numbers(control), { all: [3, 2, 1], active: 3 });
  });
});

describe('a deploy that is killed', () => {
  test('on the client, at any step: something whole stays active and the next deploy succeeds', async () => {
    const control = await platform(newDataDir(), 0, 50);
    const dir = await project();
    assert.equal((await cli(deployArgs(dir, control))).code, 0);
    for (const step of ['build:', 'send:', 'activate:']) {
      write(dir, `/* ${step} */`);
      const before = await numbers(control);
      const child = startCli(deployArgs(dir, control));
      await says(child, step);
      child.kill('SIGKILL');
      await finished(child);
      if (step === 'build:') assert.deepEqual(await numbers(control), before, 'nothing had been asked for yet');
      assert.ok((await numbers(control)).active! >= before.active!, step);
    }
    const next = await cli(deployArgs(dir, control));
    assert.equal(next.code, 0, next.stderr);
    assert.equal((await numbers(control)).active, JSON.parse(next.stdout).deployment);
  });

  test('on the control plane while it activates: the old deployment stays and the next deploy succeeds', async () => {
    const dataDir = newDataDir();
    const dir = await project();
    const first = await platform(dataDir);
    assert.equal((await cli(deployArgs(dir, first))).code, 0);
    await first.kill('SIGTERM');
    const slow = await platform(dataDir, 0, 20_000);
    const child = startCli(deployArgs(dir, slow));
    const result = finished(child);
    await says(child, 'activate:');
    await slow.kill('SIGKILL');
    const { code, stderr } = await result;
    assert.equal(code, 1);
    assert.match(stderr, /during the activation\n {2}Whether the deployment became active|no control plane answers/);
    const third = await platform(dataDir);
    assert.equal((await numbers(third)).active, 1);
    const next = await cli(deployArgs(dir, third));
    assert.equal(next.code, 0, next.stderr);
    assert.equal((await numbers(third)).active, JSON.parse(next.stdout).deployment);
  });
});
