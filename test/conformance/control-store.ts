/** What every `ControlStore` must do, as stories. An implementation's test calls this with a way to open one. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Problem } from '../../src/control/problem.ts';
import type { ControlStore } from '../../src/control/store.ts';

export interface StoreUnderTest {
  /** A fresh store under the domain `localhost`. */
  open(): Promise<ControlStore>;
  /** Closes it without ceremony and opens what it left. */
  reopen(store: ControlStore): Promise<ControlStore>;
}

const SHOP = { project: 'shop', environment: 'default' };
const BLOG = { project: 'blog', environment: 'default' };
const MANIFEST = 'a'.repeat(64);

const refusal = (status: number, reason: string, words?: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Problem, String(error));
  assert.equal(error.status, status);
  assert.equal(error.document.reason, reason);
  if (words) assert.match(error.message, words);
  return true;
};

export function controlStoreContract(name: string, subject: StoreUnderTest): void {
  const story = (claim: string, tell: (store: ControlStore) => Promise<void>) =>
    test(claim, async () => {
      const store = await subject.open();
      await tell(store).finally(() => store.close());
    });

  describe(`${name} as a control store`, () => {
    story('an empty store has an empty snapshot', async (store) => {
      assert.deepEqual(await store.snapshot(), { version: 0, environments: [], hosts: {}, deployments: [] });
    });

    story('deployments count from 1 in their environment', async (store) => {
      assert.equal((await store.addDeployment(SHOP, MANIFEST)).number, 1);
      assert.equal((await store.addDeployment(SHOP, MANIFEST)).number, 2);
      assert.equal((await store.addDeployment(BLOG, MANIFEST)).number, 1);
      assert.deepEqual(
        (await store.deployments(SHOP)).map((it) => it.number),
        [2, 1],
      );
    });

    story('a deployment that was never activated answers on its permalink only', async (store) => {
      await store.addDeployment(SHOP, MANIFEST);
      const { hosts } = await store.snapshot();
      assert.deepEqual(hosts, {
        'shop-default-1.localhost': { environment: 'shop-default', deployment: 1, permalink: true, generated: true },
      });
    });

    story('an activation moves the hosts of the environment and leaves permalinks alone', async (store) => {
      await store.addDeployment(SHOP, MANIFEST);
      await store.activate(SHOP, 1, 'deploy');
      await store.addDeployment(SHOP, MANIFEST);
      await store.addDomain(SHOP, 'www.shop.example');
      await store.activate(SHOP, 2, 'deploy');
      const { hosts } = await store.snapshot();
      assert.equal(hosts['shop-default.localhost']?.deployment, 2);
      assert.deepEqual(hosts['www.shop.example'], {
        environment: 'shop-default',
        deployment: 2,
        permalink: false,
        generated: false,
      });
      assert.equal(hosts['shop-default-1.localhost']?.deployment, 1);
    });

    story('every change makes a new snapshot version', async (store) => {
      const versions = [(await store.snapshot()).version];
      const changes = [
        () => store.addDeployment(SHOP, MANIFEST),
        () => store.activate(SHOP, 1, 'deploy'),
        () => store.addDomain(SHOP, 'shop.example'),
        () => store.setVariable(SHOP, { name: 'A', value: '1', secret: false }),
        () => store.removeVariable(SHOP, 'A'),
        () => store.removeDomain(SHOP, 'shop.example'),
        () => store.configure(SHOP, { production: true }),
        () => store.touch(),
      ];
      for (const change of changes) {
        await change();
        versions.push((await store.snapshot()).version);
      }
      assert.deepEqual(versions, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    });

    story('purges are kept in order for whoever has not heard of them', async (store) => {
      await store.addDeployment(SHOP, MANIFEST);
      const { cacheSpace: space } = await store.environment(SHOP);
      const one = await store.purge(SHOP, { all: false, paths: ['/a', '/b/*'], keys: [], soft: false });
      const two = await store.purge(SHOP, { all: false, paths: [], keys: ['red'], soft: true });
      assert.ok(two > one);
      assert.equal(await store.lastPurge(), two);
      assert.deepEqual(
        (await store.purgesAfter(0)).map(({ kind, value }) => [kind, value]),
        [
          ['path', '/a'],
          ['path', '/b/*'],
          ['key', 'red'],
        ],
      );
      assert.deepEqual(await store.purgesAfter(one), [{ sequence: two, space, kind: 'key', value: 'red', soft: true }]);
      assert.deepEqual(await store.purgesAfter(two), []);
      await assert.rejects(
        store.purge(BLOG, { all: true, paths: [], keys: [], soft: false }),
        refusal(404, 'not-found'),
      );
    });

    story('of purges of the same target only the last is kept, and the hard one beside the soft', async (store) => {
      await store.addDeployment(SHOP, MANIFEST);
      const red = { all: false, paths: [], keys: ['red'] };
      await store.purge(SHOP, { ...red, soft: false });
      const hard = await store.purge(SHOP, { ...red, soft: false });
      const soft = await store.purge(SHOP, { ...red, soft: true });
      assert.deepEqual(
        (await store.purgesAfter(0)).map((it) => [it.sequence, it.soft]),
        [
          [hard, false],
          [soft, true],
        ],
      );
      const all = await store.purge(SHOP, { all: true, paths: [], keys: [], soft: false });
      assert.deepEqual(
        (await store.purgesAfter(0)).map((it) => [it.sequence, it.kind]),
        [[all, 'all']],
      );
    });

    story('a new cache space has nothing to purge', async (store) => {
      await store.addDeployment(SHOP, MANIFEST);
      const purged = await store.purge(SHOP, { all: true, paths: [], keys: [], soft: false });
      await store.activate(SHOP, 1, 'deploy');
      assert.deepEqual(await store.purgesAfter(0), []);
      assert.equal(await store.lastPurge(), purged);
    });

    story('more purges than are kept become one of everything before', async (store) => {
      await store.addDeployment(SHOP, MANIFEST);
      const keys = Array.from({ length: 5_000 }, (_, n) => `k${n}`);
      const sequences: number[] = [];
      for (let n = 0; n < 5; n++) {
        const order = { all: false, paths: [], keys: keys.map((key) => `${key}.${n}`), soft: false };
        sequences.push(await store.purge(SHOP, order));
      }
      const kept = await store.purgesAfter(0);
      assert.ok(kept.length <= 20_000, `${kept.length} kept`);
      assert.equal(kept[0]!.kind, 'all');
      assert.ok(kept[0]!.sequence >= sequences[1]!, 'what was let go of is covered');
      assert.ok(kept.some(({ value }) => value === 'k7.4'));
    });

    story('a refused change leaves everything as it was', async (store) => {
      await store.addDeployment(SHOP, MANIFEST);
      const before = await store.snapshot();
      await assert.rejects(store.activate(SHOP, 9, 'promote'), refusal(404, 'not-found'));
      await assert.rejects(store.addDomain(BLOG, 'shop-default.localhost'), refusal(409, 'host-taken'));
      await assert.rejects(store.removeVariable(SHOP, 'NONE'), refusal(404, 'not-found'));
      assert.deepEqual(await store.snapshot(), before);
      assert.deepEqual(
        (await store.environments()).map((it) => it.id),
        ['shop-default'],
      );
    });

    story('each activation and each new variable starts a new cache space', async (store) => {
      const spaces = new Set<string>();
      const note = async () => spaces.add((await store.environment(SHOP)).cacheSpace);
      await store.addDeployment(SHOP, MANIFEST);
      await note();
      await store.activate(SHOP, 1, 'deploy');
      await note();
      await store.activate(SHOP, 1, 'promote');
      await note();
      await store.setVariable(SHOP, { name: 'A', value: '1', secret: false });
      await note();
      assert.equal(spaces.size, 4);
      await store.addDomain(SHOP, 'shop.example');
      await note();
      assert.equal(spaces.size, 4, 'a domain changes nothing that is cached');
    });

    story('an environment that preserves its cache keeps its space', async (store) => {
      await store.configure(SHOP, { preserveCache: true });
      await store.addDeployment(SHOP, MANIFEST);
      const { cacheSpace } = await store.environment(SHOP);
      await store.activate(SHOP, 1, 'deploy');
      assert.equal((await store.environment(SHOP)).cacheSpace, cacheSpace);
    });

    story('rollback goes back step by step, over what was rolled back from', async (store) => {
      for (const number of [1, 2, 3]) {
        await store.addDeployment(SHOP, MANIFEST);
        await store.activate(SHOP, number, 'deploy');
      }
      assert.equal(await store.rollbackTarget(SHOP), 2);
      await store.activate(SHOP, 2, 'rollback');
      assert.equal(await store.rollbackTarget(SHOP), 1);
      await store.activate(SHOP, 1, 'rollback');
      await assert.rejects(store.rollbackTarget(SHOP), refusal(409, 'nothing-before'));
      assert.deepEqual(
        (await store.activations(SHOP)).map(({ number, previous, reason }) => [number, previous, reason]),
        [
          [1, 2, 'rollback'],
          [2, 3, 'rollback'],
          [3, 2, 'deploy'],
          [2, 1, 'deploy'],
          [1, 0, 'deploy'],
        ],
      );
    });

    story('a host has one owner, and who asks for it is told who', async (store) => {
      await store.addDomain(SHOP, 'www.shop.example');
      await store.addDomain(SHOP, 'WWW.shop.example.');
      assert.equal((await store.domains(SHOP)).length, 1);
      const words = /'www\.shop\.example' belongs to environment 'default' of project 'shop'/;
      await assert.rejects(store.addDomain(BLOG, 'www.shop.example'), refusal(409, 'host-taken', words));
    });

    story('names that would share a generated host are refused', async (store) => {
      await store.addDeployment({ project: 'a-b', environment: 'c' }, MANIFEST);
      await assert.rejects(
        store.addDeployment({ project: 'a', environment: 'b-c' }, MANIFEST),
        refusal(409, 'host-taken'),
      );
      await assert.rejects(
        store.addDeployment({ project: 'a-b', environment: 'c-7' }, MANIFEST),
        refusal(409, 'host-taken'),
      );
      await store.addDomain({ project: 'x', environment: 'y' }, 'late-default-3.localhost');
      await assert.rejects(
        store.addDeployment({ project: 'late', environment: 'default' }, MANIFEST),
        refusal(409, 'host-taken', /belongs to environment 'y' of project 'x'/),
      );
    });

    story('names that are no DNS labels are refused with the rule', async (store) => {
      for (const project of ['', 'Shop', 'a_b', '-a', 'a-', 'a.b', 'ä']) {
        await assert.rejects(
          store.addDeployment({ ...SHOP, project }, MANIFEST),
          refusal(422, 'invalid', /^project: /),
        );
      }
      const project = 'p'.repeat(60);
      await assert.rejects(store.addDeployment({ ...SHOP, project }, MANIFEST), refusal(422, 'invalid', /at most 56/));
    });

    story('any host can be a domain, in one spelling', async (store) => {
      const spellings = [
        ['localhost', 'localhost'],
        ['127.0.0.1', '127.0.0.1'],
        ['::1', '[::1]'],
        ['[2001:DB8:0:0::1]', '[2001:db8::1]'],
        ['Bücher.example', 'xn--bcher-kva.example'],
      ];
      for (const [given, kept] of spellings) assert.equal((await store.addDomain(SHOP, given!)).host, kept);
      for (const wrong of [
        '',
        'a b',
        '*.example.com',
        'http://x.example',
        'x.example:80',
        '1.2.3',
        '[::1]:80',
        'a..b',
      ]) {
        await assert.rejects(store.addDomain(SHOP, wrong), refusal(422, 'invalid', /^host: /), wrong);
      }
    });

    story('secrets are in the snapshot for workers and masked for people', async (store) => {
      await store.addDeployment(SHOP, MANIFEST);
      await store.setVariable(SHOP, { name: 'KEY', value: 'hidden', secret: true });
      await store.setVariable(SHOP, { name: 'MODE', value: 'test', secret: false });
      assert.deepEqual((await store.snapshot()).environments[0]?.variables, { KEY: 'hidden', MODE: 'test' });
      const masked = await store.snapshot({ maskSecrets: true });
      assert.deepEqual(masked.environments[0]?.variables, { KEY: '********', MODE: 'test' });
    });

    test('what was answered is there after the store is opened again', async () => {
      const first = await subject.open();
      await first.addDeployment(SHOP, MANIFEST);
      await first.activate(SHOP, 1, 'deploy');
      await first.addDomain(SHOP, 'shop.example');
      await first.setVariable(SHOP, { name: 'A', value: '1', secret: true });
      const before = await first.snapshot();
      const second = await subject.reopen(first);
      assert.deepEqual(await second.snapshot(), before);
      await second.close();
    });
  });
}
