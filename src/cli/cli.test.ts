import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cli, cliHere } from '../../test/actors/cli.ts';
import { type ControlPlane, controlPlane, TEST_TOKEN } from '../../test/actors/control-plane.ts';
import { newFolder } from '../../test/actors/folder.ts';
import { writeControlAddress } from '../control/discovery.ts';

describe('wrong usage ends with exit code 2 and says what is wrong', () => {
  const mistakes: readonly (readonly [line: string, words: RegExp])[] = [
    ['frobnicate', /unknown command 'frobnicate'/],
    ['domains add', /missing required argument 'name'/],
    ['deployments --nonsense', /unknown option '--nonsense'/],
    ['deployments one two', /too many arguments/],
    ['deployments --to nowhere --token t', /--to must be an address/],
    ['deployments --to http://127.0.0.1:1', /needs --token/],
    ['deployments --to http://127.0.0.1:1 --token t --project My_Shop', /--project: 'My_Shop' cannot be part/],
    ['promote two --to http://127.0.0.1:1 --token t', /'two' is no deployment number/],
    ['env set NAME --to http://127.0.0.1:1 --token t', /must be written NAME=VALUE/],
    ['logs --kind other', /--kind must be one of access, server, all/],
    ['codes x', /'x' is no status code/],
    ['', /Usage: selvedge/],
  ];
  for (const [line, words] of mistakes) {
    test(`selvedge ${line}`, async () => {
      const { code, stdout, stderr } = await cliHere(line.split(' ').filter(Boolean), { cwd: newFolder() });
      assert.equal(code, 2, stderr);
      assert.match(stderr, words);
      assert.equal(stdout, '');
      assert.doesNotMatch(stderr, /\n\s+at /, 'no stack trace');
    });
  }
});

test('the process ends with the exit code of the command', async () => {
  assert.equal((await cli(['frobnicate'])).code, 2);
  assert.equal((await cli(['codes', '299'])).code, 1);
  assert.equal((await cli(['codes', '534'])).code, 0);
});

describe('help and catalogue', () => {
  test('help is success', async () => {
    const { code, stdout } = await cli(['--help']);
    assert.equal(code, 0);
    for (const name of ['deploy', 'init', 'domains', 'rollback', 'logs', 'codes'])
      assert.match(stdout, new RegExp(name));
    assert.doesNotMatch((await cliHere(['deploy', '--help'])).stdout, /--site/);
  });

  test('the help of config lists every option', async () => {
    const { code, stdout } = await cliHere(['config', '--help']);
    assert.equal(code, 0);
    assert.match(stdout, /limits\.upstream\.dnsMs/);
  });

  test('codes explains one code or lists all', async () => {
    assert.match((await cli(['codes', '534'])).stdout, /^534 /);
    const all = JSON.parse((await cliHere(['codes', '--json'])).stdout);
    assert.ok(all.codes.length > 20);
    assert.match((await cliHere(['codes', '537', '--json', '--preset', 'layer0'])).stdout, /"code":537/);
    const { causes, remedy } = JSON.parse((await cliHere(['codes', '542', '--json'])).stdout);
    const count = causes.find((it: { cause: string }) => it.cause === 'request.header-count');
    assert.deepEqual(
      [count.acts, count.proxyStatus, count.limit, count.standardStatus],
      ['client', 'http_request_error', 'request.headerCount', 431],
    );
    const page = (await cliHere(['codes', '542'])).stdout;
    for (const words of ['Who acts', remedy.slice(0, 30), 'request.header-count', 'limit request.headerCount'])
      assert.ok(page.includes(words), words);
    assert.equal((await cliHere(['codes', '299'])).code, 1);
  });

  test('config reports all mistakes of a file at once', async () => {
    const file = join(newFolder(), 'platform.yaml');
    writeFileSync(file, 'domian: x\nlisten: { port: many }\n');
    const { code, stderr } = await cliHere(['config', file]);
    assert.equal(code, 2);
    assert.match(stderr, /domian[\s\S]*listen\.port/);
  });
});

describe('a new project', () => {
  test('is written whole, and never over something', async () => {
    const cwd = newFolder();
    const { code, stdout } = await cli(['init', 'My_Site', '--json'], { cwd });
    assert.equal(code, 0);
    const { project, files } = JSON.parse(stdout);
    assert.equal(project, 'my-site');
    for (const file of files) assert.ok(existsSync(join(cwd, 'My_Site', file)), file);
    writeFileSync(join(cwd, 'My_Site', 'routes.ts'), '// mine');
    const again = await cliHere(['init', 'My_Site'], { cwd });
    assert.equal(again.code, 1);
    assert.match(again.stderr, /already has selvedge\.config\.ts, routes\.ts/);
    assert.equal(readFileSync(join(cwd, 'My_Site', 'routes.ts'), 'utf8'), '// mine');
  });
});

describe('finding the control plane', () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await controlPlane();
  });
  after(() => plane.server.close());

  test('through --to and --token, or the variables', async () => {
    const { url } = plane.server;
    assert.equal((await cliHere(['domains', 'list', '--to', url, '--token', TEST_TOKEN])).code, 0);
    assert.equal(
      (await cliHere(['domains', 'list'], { env: { SELVEDGE_CONTROL: url, SELVEDGE_TOKEN: TEST_TOKEN } })).code,
      0,
    );
  });

  test('through the data directory of this folder or one above', async () => {
    const cwd = newFolder();
    mkdirSync(join(cwd, '.selvedge', 'data'), { recursive: true });
    mkdirSync(join(cwd, 'sites', 'shop'), { recursive: true });
    const { url } = plane.server;
    await writeControlAddress(join(cwd, '.selvedge', 'data'), { url, token: TEST_TOKEN });
    assert.equal((await cliHere(['domains', 'list'], { cwd })).code, 0);
    assert.equal((await cliHere(['domains', 'list'], { cwd: join(cwd, 'sites', 'shop') })).code, 0);
    const byOption = await cliHere(['domains', 'list', '--data', join(cwd, '.selvedge', 'data')], { cwd: newFolder() });
    assert.equal(byOption.code, 0);
  });

  test('fails in words when there is none, when it is gone, and when the token is wrong', async () => {
    const none = await cliHere(['deployments'], { cwd: newFolder() });
    assert.equal(none.code, 1);
    assert.match(none.stderr, /no platform has been started/);
    const gone = await cliHere(['deployments', '--to', 'http://127.0.0.1:1', '--token', 't']);
    assert.equal(gone.code, 1);
    assert.match(gone.stderr, /no control plane answers at http:\/\/127\.0\.0\.1:1 \(ECONNREFUSED\)/);
    const wrong = await cliHere(['deployments', '--to', plane.server.url, '--token', 'wrong']);
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /not the token of this control plane/);
  });
});

describe('an environment from the command line', () => {
  let plane: ControlPlane;
  const run = async (...args: string[]) => {
    const place = ['--to', plane.server.url, '--token', TEST_TOKEN, '--project', 'shop'];
    const result = await cliHere([...args, ...place, '--json']);
    return { ...result, value: result.stdout === '' ? undefined : JSON.parse(result.stdout) };
  };
  before(async () => {
    plane = await controlPlane({
      async *logs({ kinds = ['access', 'server'], last }) {
        const record = { timestamp: 0, code: '200', met: 'GET', hh: 'shop.example', url: '/', cs: 'ok', rid: 'r1' };
        if (kinds.includes('access')) yield { ...record, last };
        if (kinds.includes('server'))
          yield { time: 1, level: 50, fn: 'shop-default-1', requestId: 'r1', message: 'oops' };
      },
    });
    await plane.deploy({ 'index.html': 'one' });
    await plane.deploy({ 'index.html': 'two' });
  });
  after(() => plane.server.close());

  test('deployments, rollback, promote', async () => {
    assert.deepEqual((await run('rollback')).value, {
      deployment: 1,
      url: 'http://shop-default.localhost:8080',
      permalink: 'http://shop-default-1.localhost:8080',
    });
    const nothing = await run('rollback');
    assert.equal(nothing.code, 1);
    assert.match(nothing.stderr, /no deployment of shop-default was active before/);
    assert.equal((await run('promote', '2')).value.deployment, 2);
    const { deployments } = (await run('deployments')).value;
    assert.deepEqual(
      deployments.map((it: { number: number; active: boolean }) => [it.number, it.active]),
      [
        [2, true],
        [1, false],
      ],
    );
    assert.equal((await run('promote', '9')).code, 1);
  });

  test('domains', async () => {
    assert.equal((await run('domains', 'add', 'www.shop.example')).value.host, 'www.shop.example');
    assert.equal((await run('domains', 'add', '::1')).value.host, '[::1]');
    assert.equal((await run('domains')).value.domains.length, 2);
    const place = ['--to', plane.server.url, '--token', TEST_TOKEN, '--project', 'blog'];
    const taken = await cliHere(['domains', 'add', 'www.shop.example', ...place]);
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, /belongs to environment 'default' of project 'shop'/);
    assert.equal((await run('domains', 'remove', 'www.shop.example')).code, 0);
    assert.equal((await run('domains', 'remove', 'www.shop.example')).code, 1);
  });

  test('variables', async () => {
    assert.equal((await run('env', 'set', 'KEY=a=b', '--secret')).code, 0);
    assert.equal((await run('env', 'set', 'MODE=x')).code, 0);
    const { variables } = (await run('env', 'list')).value;
    assert.deepEqual(
      variables.map((it: { name: string; value: unknown }) => [it.name, it.value]),
      [
        ['KEY', null],
        ['MODE', 'x'],
      ],
    );
    assert.equal((await run('env', 'unset', 'MODE')).code, 0);
    assert.equal((await run('env', 'set', '1X=y')).code, 1);
  });

  test('logs', async () => {
    assert.deepEqual((await run('logs', '--kind', 'access', '-n', '7')).value.last, 7);
    const place = ['--to', plane.server.url, '--token', TEST_TOKEN];
    const { stdout } = await cliHere(['logs', ...place]);
    assert.equal(stdout, '00:00:00.000 200 GET shop.example/ ok r1\n00:00:00.001 error shop-default-1 r1 oops\n');
  });
});
