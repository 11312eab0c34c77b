import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { callApi, controlPlane, newDataDir, SHOP_PATH, shaOf, TEST_TOKEN } from '../../test/actors/control-plane.ts';
import { controlProcess } from '../../test/actors/control-process.ts';
import type { Snapshot } from '../artifact/snapshot.ts';
import { createBlobSource } from './blob-source.ts';
import { openBlobStore } from './blobs.ts';
import { type FeedClient, type FeedClientOptions, startFeedClient } from './feed-client.ts';

const closers: (() => Promise<unknown>)[] = [];
after(async () => {
  for (const close of closers.reverse()) await close();
});

/** A POP that remembers what it was given and what happened to it. */
class Pop {
  readonly applied: Snapshot[] = [];
  readonly events: string[] = [];
  readonly dataDir: string;
  readonly client: FeedClient;
  #waiting: (() => void)[] = [];

  constructor(url: string, { apply = async () => ({}), ...options }: Partial<FeedClientOptions> = {}) {
    this.dataDir = options.dataDir ?? newDataDir();
    this.client = startFeedClient({
      address: async () => ({ url, token: TEST_TOKEN }),
      pop: 'edge-1',
      ...options,
      dataDir: this.dataDir,
      apply: (snapshot) => {
        this.applied.push(snapshot);
        this.#wake();
        return apply(snapshot);
      },
      onEvent: ({ kind }) => {
        this.events.push(kind);
        this.#wake();
      },
    });
    closers.push(() => this.client.close());
  }

  async until(holds: (pop: Pop) => boolean): Promise<void> {
    while (!holds(this)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

describe('a POP on the feed', () => {
  test('gets the current snapshot at once and confirms every change before the deploy is answered', async () => {
    const { server, deploy, call } = await controlPlane();
    closers.push(() => server.close());
    const pop = new Pop(server.url);
    const { applied } = pop;
    assert.equal((await pop.client.ready).version, 0);
    await deploy();
    assert.equal(applied.at(-1)?.environments[0]?.deployment, 1, 'active here before the answer came');
    assert.deepEqual(applied.find((it) => it.staged !== undefined)?.staged, ['shop-default-1']);
    const status = (await call('GET', '/v1/status')).body;
    assert.deepEqual(
      status.pops.map((it: { name: string; version: number }) => [it.name, it.version]),
      [['edge-1', status.version]],
    );
  });

  test('that cannot make a deployment ready keeps the old one everywhere', async () => {
    const { server, deploy, call } = await controlPlane();
    closers.push(() => server.close());
    const good = new Pop(server.url, { pop: 'edge-1' });
    const bad = new Pop(server.url, {
      pop: 'edge-2',
      apply: async ({ staged = [] }) => ({ failed: staged.map((deployment) => ({ deployment, message: 'boom' })) }),
    });
    await Promise.all([good.client.ready, bad.client.ready]);
    const { status, body } = await deploy();
    assert.equal(status, 422);
    assert.equal(body.detail, 'deployment 1 was not activated, nothing was active before: boom');
    assert.deepEqual(body.pops, [{ pop: 'edge-2', error: 'boom' }]);
    assert.equal((await call('GET', SHOP_PATH)).body.deployment, 0);
  });

  test('serves from its disk while the control plane is down', async () => {
    const { server, deploy } = await controlPlane();
    const first = new Pop(server.url);
    await first.client.ready;
    await deploy();
    await first.client.close();
    await server.close();
    const kept = join(first.dataDir, 'pop-edge-1', 'snapshot.json');
    assert.equal(statSync(kept).mode & 0o077, 0, 'variables are nobody else to read');
    const second = new Pop(server.url, { dataDir: first.dataDir });
    const snapshot = await second.client.ready;
    assert.equal(snapshot.environments[0]?.deployment, 1);
    assert.equal(snapshot.version, JSON.parse(readFileSync(kept, 'utf8')).version);
    await second.until(({ events }) => events.includes('lost'));
  });

  test('finds a control plane again that was killed and restarted', async () => {
    const dataDir = newDataDir();
    const first = await controlProcess(dataDir);
    const pop = new Pop(first.url);
    await pop.client.ready;
    await first.kill('SIGKILL');
    await pop.until(({ events }) => events.includes('lost'));
    const second = await controlProcess(dataDir, first.port);
    closers.push(() => second.kill('SIGKILL'));
    await callApi(second.url, 'PUT', `${SHOP_PATH}/variables/A`, { value: '1' });
    await pop.until(({ applied }) => applied.at(-1)?.version === 1);
    assert.equal(pop.events.filter((it) => it === 'connected').length, 2);
  });
});

describe('a blob source', () => {
  test('takes from its own store first, then from the control plane, once', async () => {
    const { server, send } = await controlPlane();
    const sha = await send('hello');
    const blobs = await openBlobStore(join(newDataDir(), 'blobs'));
    const source = createBlobSource({ blobs, address: async () => ({ url: server.url, token: TEST_TOKEN }) });
    closers.push(() => source.close());
    const contents = await Promise.all([source.read(sha), source.read(sha), source.read(sha)]);
    assert.deepEqual(contents.map(String), ['hello', 'hello', 'hello']);
    await assert.rejects(source.read(shaOf('absent')), /answered 404/);
    await server.close();
    assert.equal(String(await source.read(sha)), 'hello', 'kept when the control plane is gone');
  });
});
