import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import {
  type ControlPlane,
  callApi,
  controlPlane,
  manifestOf,
  newDataDir,
  SHOP_PATH,
  shaOf,
  TEST_TOKEN,
} from '../../test/actors/control-plane.ts';
import type { Snapshot } from '../artifact/snapshot.ts';
import type { ControlServerOptions } from './server.ts';

const open: ControlPlane[] = [];
after(() => Promise.all(open.map((it) => it.server.close())));

async function plane(options: Partial<ControlServerOptions> = {}): Promise<ControlPlane> {
  const started = await controlPlane(options);
  open.push(started);
  return started;
}

/** fetch does not let a test choose Host. */
function statusWithHost(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { host, authorization: `Bearer ${TEST_TOKEN}` };
    request({ port, host: '127.0.0.1', path: '/v1/status', headers }, (response) => {
      response.resume();
      resolve(response.statusCode!);
    })
      .on('error', reject)
      .end();
  });
}

describe('who may ask', () => {
  test('nobody without the token', async () => {
    const { server } = await plane();
    for (const authorization of ['', 'Bearer wrong', `Basic ${TEST_TOKEN}`]) {
      const answer = await callApi(server.url, 'GET', '/v1/status', undefined, { authorization });
      assert.equal(answer.status, 401);
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
      assert.equal(answer.headers.get('content-type'), 'application/problem+json');
    }
  });

  test('nobody who came by a name that is not this machine', async () => {
    const { server } = await plane({ allowedHosts: ['control.example'] });
    assert.equal(await statusWithHost(server.port, 'evil.example'), 421);
    assert.equal(await statusWithHost(server.port, `localhost:${server.port}`), 200);
    assert.equal(await statusWithHost(server.port, '[::1]:8079'), 200);
    assert.equal(await statusWithHost(server.port, 'control.example'), 200);
  });
});

describe('what is answered to bad requests', () => {
  test('an unknown path, a wrong method, no JSON, a wrong member', async () => {
    const { call } = await plane();
    assert.equal((await call('GET', '/v1/requests/abc')).status, 404);
    const wrongMethod = await call('DELETE', '/v1/status');
    assert.equal(wrongMethod.status, 405);
    assert.equal(wrongMethod.headers.get('allow'), 'GET');
    assert.equal((await call('POST', '/v1/blobs/missing', '{')).status, 400);
    assert.equal((await call('POST', '/v1/blobs/missing', '[]')).status, 422);
    const member = await call('POST', '/v1/blobs/missing', { blobs: ['a', 3] });
    assert.deepEqual(member.body.errors, [{ field: 'blobs.1', detail: 'must be a string' }]);
    assert.equal((await call('GET', '/v1/projects/%zz/environments/x')).status, 400);
  });

  test('a project that cannot be a host name', async () => {
    const { call } = await plane();
    const { status, body } = await call('PUT', '/v1/projects/My%20Shop/environments/default/domains/x.example');
    assert.equal(status, 422);
    assert.equal(body.errors[0].field, 'project');
  });
});

describe('blobs', () => {
  test('are sent, found and read back', async () => {
    const { call, send } = await plane();
    const sha = await send('hello');
    assert.deepEqual((await call('POST', '/v1/blobs/missing', { blobs: [sha, shaOf('no')] })).body, {
      missing: [shaOf('no')],
    });
    assert.equal((await call('GET', `/v1/blobs/${sha}`)).body, 'hello');
    assert.equal((await call('PUT', `/v1/blobs/${sha}`, 'hello')).status, 200);
  });

  test('are refused when content and name differ, or when too long', async () => {
    const { call } = await plane();
    const wrong = await call('PUT', `/v1/blobs/${shaOf('a')}`, 'b');
    assert.equal(wrong.status, 422);
    assert.equal(wrong.body.errors[0].field, 'sha256');
    const long = 'x'.repeat(1_000_001);
    const { status, body } = await call('PUT', `/v1/blobs/${shaOf(long)}`, long);
    assert.equal(status, 413);
    assert.equal(body.reason, 'static.bodyBytes');
  });
});

describe('a deployment', () => {
  test('gets a number, addresses and becomes active', async () => {
    const { call, deploy } = await plane();
    assert.deepEqual((await deploy()).body, {
      deployment: 1,
      url: 'http://shop-default.localhost:8080',
      permalink: 'http://shop-default-1.localhost:8080',
      warnings: [],
    });
    await deploy({ 'index.html': 'second' });
    const { deployments } = (await call('GET', `${SHOP_PATH}/deployments`)).body;
    assert.deepEqual(
      deployments.map((it: { number: number; active: boolean }) => [it.number, it.active]),
      [
        [2, true],
        [1, false],
      ],
    );
  });

  test('is refused with every problem of its manifest at once', async () => {
    const { call, send } = await plane();
    const manifest = manifestOf(
      { 'a.html': 'never sent' },
      { server: { files: [{ path: '../out.js', sha256: 'x', bytes: -1 }], routes: 'routes.js' }, name: 3 },
    );
    const { status, body } = await call('POST', `${SHOP_PATH}/deployments`, {
      manifest: await send(JSON.stringify(manifest)),
    });
    assert.equal(status, 422);
    assert.deepEqual(
      body.errors.map((it: { field: string }) => it.field),
      ['name', 'server.files.0.sha256', 'server.files.0.bytes', 'server.files.0.path', 'server.routes'],
    );
    assert.equal((await call('GET', `${SHOP_PATH}/deployments`)).status, 404, 'nothing was made');
  });

  test('is refused when a blob is missing or a format unknown', async () => {
    const { call, send } = await plane();
    const post = async (manifest: unknown) =>
      (await call('POST', `${SHOP_PATH}/deployments`, { manifest: await send(JSON.stringify(manifest)) })).body.errors;
    assert.match((await post(manifestOf({ 'a.html': 'never sent' })))[0].detail, /is missing: send it first/);
    assert.match((await post({ format: 9 }))[0].detail, /is 9; this control plane reads format 1/);
    assert.match((await post([]))[0].detail, /not a JSON object/);
    const { body } = await call('POST', `${SHOP_PATH}/deployments`, { manifest: shaOf('absent') });
    assert.match(body.detail, /send it first/);
  });

  test('beyond a limit is refused with both figures', async () => {
    const limits = { 'static.bodyBytes': 1e6, 'bundle.compressedBytes': 100, 'bundle.uncompressedBytes': 1000 };
    const { call, send } = await plane({ limits });
    const bundle = async (content: string) => {
      const files = [{ path: 'routes.js', sha256: await send(content), bytes: content.length }];
      const manifest = await send(JSON.stringify(manifestOf({}, { server: { files, routes: 'routes.js' } })));
      return (await call('POST', `${SHOP_PATH}/deployments`, { manifest })).body;
    };
    assert.match((await bundle('x'.repeat(1001))).detail, /has 1001 bytes; the limit bundle.uncompressedBytes is 1000/);
    assert.equal((await bundle('x'.repeat(1000))).deployment, 1, 'compresses well');
    const dense = Array.from({ length: 500 }, (_, at) => String.fromCharCode(33 + ((at * at * 7919) % 90))).join('');
    assert.match((await bundle(dense)).detail, /compressed, has \d+ bytes; the limit bundle.compressedBytes is 100/);
  });

  test('that a POP cannot make ready stays inactive, and the answer says why', async () => {
    const broken = new Set<string>();
    const served: number[] = [];
    const staged: (readonly string[])[] = [];
    const activate = async (snapshot: Snapshot) => {
      served.push(snapshot.environments[0]?.deployment ?? 0);
      staged.push(snapshot.staged ?? []);
      const failed = (snapshot.staged ?? []).filter((it) => broken.has(it));
      return failed.length === 0
        ? {}
        : { failed: failed.map((deployment) => ({ deployment, message: 'boom at load' })) };
    };
    const { call, deploy } = await plane({ activate });
    await deploy({ 'index.html': 'first' });
    broken.add('shop-default-2');
    const { status, body } = await deploy({ 'index.html': 'second' });
    assert.equal(status, 422);
    assert.equal(body.reason, 'activation-refused');
    assert.equal(body.detail, 'deployment 2 was not activated, deployment 1 stays active: boom at load');
    assert.deepEqual(body.pops, [{ pop: 'local', error: 'boom at load' }]);
    const { deployments } = (await call('GET', `${SHOP_PATH}/deployments`)).body;
    assert.equal(deployments.find((it: { active: boolean }) => it.active).number, 1);
    assert.ok(!served.includes(2), 'no snapshot ever led the environment to it');
    assert.deepEqual(staged.at(-1), [], 'and POPs were told to let go of it');
    assert.equal((await deploy({ 'index.html': 'third' })).body.deployment, 3);
  });

  test('is taken back when a POP refuses the snapshot that activates it', async () => {
    const activate = async ({ environments }: Snapshot) => {
      if (environments[0]?.deployment === 2) throw new Error('no room');
      return {};
    };
    const { call, deploy } = await plane({ activate });
    await deploy({ 'index.html': 'first' });
    assert.match((await deploy({ 'index.html': 'second' })).body.detail, /deployment 1 stays active: no room/);
    assert.equal((await call('GET', SHOP_PATH)).body.deployment, 1);
  });

  test('does not suffer from what another deployment fails at', async () => {
    const failed = [{ deployment: 'blog-default-1', message: 'boom' }];
    const { deploy } = await plane({ activate: async () => ({ failed }) });
    const { status, body } = await deploy();
    assert.equal(status, 201);
    assert.deepEqual(body.warnings, ['POP local: blog-default-1: boom']);
  });

  test('goes live without POPs that say nothing, and says so', async () => {
    const { deploy } = await plane({ activate: () => new Promise(() => {}), ackTimeoutMs: 20 });
    const { status, body } = await deploy();
    assert.equal(status, 201);
    assert.deepEqual(body.warnings, ['POP local has not confirmed the change yet']);
  });

  test('many at once all succeed and the last number is active', async () => {
    const { call, deploy } = await plane({ activate: async () => ({}) });
    const answers = await Promise.all(Array.from({ length: 8 }, (_, at) => deploy({ 'index.html': `page ${at}` })));
    assert.deepEqual(answers.map((it) => it.body.deployment).sort(), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert.equal((await call('GET', SHOP_PATH)).body.deployment, 8);
  });
});

describe('going back and forth', () => {
  test('rollback and promote change the active deployment', async () => {
    const { call, deploy } = await plane();
    for (const page of ['one', 'two', 'three']) await deploy({ 'index.html': page });
    assert.equal((await call('POST', `${SHOP_PATH}/rollback`)).body.deployment, 2);
    assert.equal((await call('POST', `${SHOP_PATH}/rollback`)).body.deployment, 1);
    assert.equal((await call('POST', `${SHOP_PATH}/rollback`)).body.reason, 'nothing-before');
    assert.equal((await call('POST', `${SHOP_PATH}/promote`, { deployment: 3 })).body.deployment, 3);
    assert.equal((await call('POST', `${SHOP_PATH}/promote`, { deployment: 9 })).status, 404);
    assert.equal((await call('POST', `${SHOP_PATH}/promote`, { deployment: '3' })).body.errors[0].field, 'deployment');
  });

  test('a deployment of another environment is promoted under a new number', async () => {
    const { call, deploy } = await plane();
    await deploy({}, '/v1/projects/shop/environments/staging');
    const { body } = await call('POST', `${SHOP_PATH}/promote`, { deployment: 1, from: 'staging' });
    assert.equal(body.permalink, 'http://shop-default-1.localhost:8080');
  });
});

describe('domains and variables', () => {
  test('a domain is added, listed, refused to others and removed', async () => {
    const { call } = await plane();
    assert.equal((await call('PUT', `${SHOP_PATH}/domains/www.shop.example`)).status, 200);
    const { domains } = (await call('GET', `${SHOP_PATH}/domains`)).body;
    assert.deepEqual(
      domains.map((it: { host: string; url: string }) => [it.host, it.url]),
      [['www.shop.example', 'http://www.shop.example:8080']],
    );
    const taken = await call('PUT', '/v1/projects/blog/environments/default/domains/www.shop.example');
    assert.equal(taken.status, 409);
    assert.deepEqual(taken.body.owner, { project: 'shop', environment: 'default' });
    assert.equal((await call('DELETE', `${SHOP_PATH}/domains/www.shop.example`)).status, 200);
    assert.equal((await call('DELETE', `${SHOP_PATH}/domains/www.shop.example`)).status, 404);
  });

  test('a secret is never shown again', async () => {
    const { call, deploy } = await plane();
    await deploy();
    await call('PUT', `${SHOP_PATH}/variables/KEY`, { value: 'hidden', secret: true });
    await call('PUT', `${SHOP_PATH}/variables/MODE`, { value: '' });
    const answers = [await call('GET', `${SHOP_PATH}/variables`), await call('GET', '/v1/snapshot')];
    assert.deepEqual(
      answers[0]!.body.variables.map((it: { name: string; value: unknown }) => [it.name, it.value]),
      [
        ['KEY', null],
        ['MODE', ''],
      ],
    );
    assert.ok(!JSON.stringify(answers.map((it) => it.body)).includes('hidden'));
  });
});

describe('logs', () => {
  test('come from the injected source, one JSON text per line', async () => {
    const { call } = await plane({
      async *logs({ follow, kinds, last, filter: { environments } }) {
        yield { follow, kinds, last, environments };
        yield { n: 2 };
      },
    });
    const { body } = await call('GET', '/v1/logs?follow=1&kind=access&lines=5&environment=shop-default');
    assert.equal(body, '{"follow":true,"kinds":["access"],"last":5,"environments":["shop-default"]}\n{"n":2}\n');
  });

  test('refuse a question that cannot be answered', async () => {
    const { call } = await plane({
      logs: () => {
        throw new Error('no such expression');
      },
    });
    assert.equal((await call('GET', '/v1/logs?kind=other')).body.errors[0].field, 'kind');
    assert.equal((await call('GET', '/v1/logs?lines=x')).body.errors[0].field, 'lines');
    assert.match((await call('GET', '/v1/logs?match=(')).body.detail, /no such expression/);
    assert.equal((await (await plane()).call('GET', '/v1/logs')).status, 404);
  });
});

describe('the data directory', () => {
  test('has it all again after a restart', async () => {
    const first = await controlPlane();
    await first.deploy();
    const before = (await first.call('GET', '/v1/snapshot')).body;
    await first.server.close();
    const second = await plane({ dataDir: first.dataDir });
    assert.deepEqual((await second.call('GET', '/v1/snapshot')).body, before);
    assert.equal((await second.deploy()).body.deployment, 2);
  });

  test('that cannot be used is named', async () => {
    const file = join(newDataDir(), 'file');
    writeFileSync(file, '');
    await assert.rejects(controlPlane({ dataDir: file }), /data directory .* cannot be used \(it is a file\)/);
    await assert.rejects(
      controlPlane({ dataDir: join(file, 'sub') }),
      /cannot be used \(a part of the path is a file\)/,
    );
  });

  test('is not locked by a start that failed on its port', async () => {
    const { server } = await plane();
    const dataDir = newDataDir();
    await assert.rejects(controlPlane({ dataDir, port: server.port }), /control port .* is in use/);
    await plane({ dataDir });
  });
});
