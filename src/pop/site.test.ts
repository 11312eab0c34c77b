import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Asset, DeploymentManifest } from '../artifact/manifest.ts';
import type { Environment, Snapshot } from '../artifact/snapshot.ts';
import { DEFAULT_LIMITS } from '../config/limits.ts';
import { buildDirectory } from './directory.ts';
import { PermanentFiles } from './permanent.ts';
import { type Site, Sites } from './site.ts';

const environment = (version: number, deployment: number): Environment => ({
  id: 'shop-default',
  project: 'shop',
  name: 'default',
  version,
  deployment,
  cacheSpace: 'space',
  production: false,
  variables: {},
});

function snapshotOf(count: number, active: number, version = 1): Snapshot {
  const numbers = Array.from({ length: count }, (_, at) => at + 1);
  const deployments = numbers.map((number) => ({
    project: 'shop',
    environment: 'default',
    number,
    manifest: `manifest-${number}`,
    createdAt: '2026-01-01T00:00:00Z',
  }));
  const hosts = numbers.map((number) => [
    `shop-default-${number}.localhost`,
    { environment: 'shop-default', deployment: number, permalink: true, generated: true },
  ]);
  return { version, environments: [environment(version, active)], hosts: Object.fromEntries(hosts), deployments };
}

const asset: Asset = { sha256: 'a', bytes: 1, type: 'text/css', permanent: true };

function manifestOf(assets: DeploymentManifest['assets'] = {}): DeploymentManifest {
  return {
    format: 1,
    builder: 'test',
    name: 'shop',
    routes: {
      format: 1,
      backends: {},
      main: { routes: [], catches: [] },
      destinations: {},
      flags: { indexPermalink: false, allowReqQueryDuplicates: false, excludeBuiltInRoutes: false },
      prerender: [],
    },
    assets,
    server: null,
    warnings: [],
  };
}

/** Counts the manifests that were asked for. */
function shelf(assets: (number: number) => DeploymentManifest['assets'] = () => ({})) {
  const read: string[] = [];
  const dropped: string[] = [];
  const unpinned: string[] = [];
  const source = {
    manifest: async (sha256: string) => {
      read.push(sha256);
      return manifestOf(assets(Number(sha256.slice('manifest-'.length))));
    },
    unpack: () => Promise.reject(new Error('there is no code here')),
  };
  const sites = new Sites({
    source,
    runsCompute: false,
    limits: DEFAULT_LIMITS,
    onUnpinned: ({ id }) => unpinned.push(id),
    onDropped: ({ id }) => dropped.push(id),
  });
  return { read, dropped, unpinned, source, sites };
}

const always = (_site: Site): boolean => true;
const hostOf = (number: number): string => `shop-default-${number}.localhost`;

describe('of many deployments', () => {
  test('only the active one is loaded ahead of its requests, and a permalink by its first one, once', async () => {
    const { read, sites } = shelf();
    const { directory } = await buildDirectory(snapshotOf(300, 300), sites);
    sites.keep(directory.pinned, always);
    assert.deepEqual(read, ['manifest-300']);
    assert.ok(!('then' in directory.at(hostOf(300))!), 'what is active is there at once');
    const both = await Promise.all([directory.at(hostOf(7)), directory.at(hostOf(7))]);
    assert.deepEqual(new Set(both.map((found) => found?.site.ref.number)), new Set([7]));
    assert.deepEqual(read, ['manifest-300', 'manifest-7']);
    assert.equal(directory.at('elsewhere.localhost'), undefined);
    assert.equal(directory.find('shop-default', 301), undefined);
  });

  test('a bounded number is kept, the active one always', async () => {
    const { read, dropped, sites } = shelf();
    const { directory } = await buildDirectory(snapshotOf(300, 1), sites);
    sites.keep(directory.pinned, always);
    for (let number = 2; number <= 300; number++) await directory.at(hostOf(number));
    assert.equal(read.length - dropped.length, 1 + 32);
    assert.ok(!dropped.includes('shop-default-1'));
    assert.ok(!('then' in directory.at(hostOf(300))!), 'the latest are still there');
  });

  test('one that was replaced stays at hand, and goes when its environment changes', async () => {
    const { read, dropped, unpinned, sites } = shelf();
    const first = await buildDirectory(snapshotOf(2, 1), sites);
    sites.keep(first.directory.pinned, always);
    const second = await buildDirectory(snapshotOf(2, 2), sites);
    sites.keep(second.directory.pinned, always);
    assert.deepEqual([unpinned, dropped], [['shop-default-1'], []]);
    assert.ok(!('then' in second.directory.at(hostOf(1))!));
    const third = await buildDirectory(snapshotOf(2, 2, 2), sites);
    sites.keep(third.directory.pinned, ({ version }) => version === 2);
    assert.deepEqual(dropped, ['shop-default-2', 'shop-default-1']);
    assert.deepEqual(read, ['manifest-1', 'manifest-2'], 'the manifest itself has not changed');
  });

  test('one that cannot be had is told and tried again by its next request', async () => {
    const { sites, source } = shelf();
    const { manifest } = source;
    source.manifest = () => Promise.reject(new Error('not here'));
    const { directory, failed } = await buildDirectory(snapshotOf(1, 1), sites);
    assert.deepEqual(failed, [{ deployment: 'shop-default-1', message: 'not here' }]);
    await assert.rejects(async () => directory.at(hostOf(1)), /not here/);
    source.manifest = manifest;
    assert.equal((await directory.at(hostOf(1)))?.site.ref.number, 1);
  });
});

describe('permanent files', () => {
  test('of every deployment are found, the newest first, and every manifest is read once', async () => {
    const { read, sites, source } = shelf((number) => ({
      'both.css': { ...asset, sha256: `both-${number}` },
      [`only-${number}.css`]: asset,
      'fleeting.css': { sha256: 'x', bytes: 1, type: 'text/css' },
    }));
    const { directory } = await buildDirectory(snapshotOf(20, 20), sites);
    const files = new PermanentFiles(source, () => {});
    const find = (...names: string[]) => files.find(directory, 'shop-default', names);
    const found = await Promise.all([find('only-3.css'), find('gone', 'both.css'), find('fleeting.css')]);
    assert.deepEqual(
      found.map((it) => it?.sha256),
      ['a', 'both-20', undefined],
    );
    assert.equal(read.length, 1 + 20);
  });
});
