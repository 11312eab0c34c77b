import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { build } from 'esbuild';
import { resolvePlatformModule } from './modules.ts';
import type { Recording } from './protocol.ts';

const directory = mkdtempSync(join(tmpdir(), 'router-modules-'));
after(() => rmSync(directory, { recursive: true }));

describe('imports of a project', () => {
  test('the native names and both scopes lead to the same file, and that file exists', () => {
    const paths = [
      'router',
      'router/Router',
      'router/Request',
      'environment',
      'plugins/PluginBase',
      'constants',
      'config',
      'timing',
      'transform',
      'errors/FrameworkBuildError',
      'utils/watch',
    ];
    for (const path of paths) {
      const native = resolvePlatformModule(`selvedge/${path}`);
      assert.ok(native && existsSync(native), path);
      assert.equal(resolvePlatformModule(`@layer0/core/${path}`), native);
      assert.equal(resolvePlatformModule(`@edgio/core/${path}`), native);
    }
    assert.equal(resolvePlatformModule('@edgio/core'), resolvePlatformModule('selvedge/router'));
  });

  test('other rooms add modules by their canonical name, and nobody answers for strangers', () => {
    const more = { 'core/deploy': '/deploy.ts', 'prefetch/sw': '/sw.ts' };
    assert.equal(resolvePlatformModule('@layer0/core/deploy', more), '/deploy.ts');
    assert.equal(resolvePlatformModule('selvedge/deploy', more), '/deploy.ts');
    assert.equal(resolvePlatformModule('selvedge/prefetch/sw', more), '/sw.ts');
    assert.equal(resolvePlatformModule('@edgio/core/nothing'), undefined);
    assert.equal(resolvePlatformModule('react'), undefined);
  });
});

/** Bundles a routes file as `build` does, loads the bundle in a process of its own and records it there. */
async function recordBundled(name: string, source: string): Promise<Recording> {
  const entry = join(directory, name);
  const bundle = join(directory, `${name}.bundle.mjs`);
  writeFileSync(entry, source);
  await build({
    entryPoints: [entry],
    outfile: bundle,
    bundle: true,
    platform: 'node',
    format: 'esm',
    sourcemap: true,
    logLevel: 'silent',
    plugins: [
      {
        name: 'platform modules',
        setup({ onResolve }) {
          onResolve({ filter: /^(selvedge|@layer0|@edgio)/ }, ({ path }) => ({ path: resolvePlatformModule(path)! }));
        },
      },
    ],
  });
  const script = `
    const module = await import(${JSON.stringify(bundle)});
    const router = module.default?.default ?? module.default;
    const recording = await router[Symbol.for('selvedge.router.v1')].record({ projectDir: ${JSON.stringify(directory)}, backends: {} });
    console.log(JSON.stringify(recording));`;
  const run = spawnSync(process.execPath, ['--enable-source-maps', '--input-type=module', '-e', script], {
    encoding: 'utf8',
  });
  assert.equal(run.status, 0, run.stderr);
  return JSON.parse(run.stdout) as Recording;
}

describe('a bundled routes file', () => {
  test('written as ES module knows the line of each route and of each mistake', async () => {
    const { table, errors } = await recordBundled(
      'routes.ts',
      `import { Router } from '@edgio/core/router';
import type Request from '@edgio/core/router/Request';
import { isProductionBuild } from '@edgio/core/environment';

export default new Router()
  .get('/a', ({ compute }) => compute((request: Request, response) => { response.body = request.path; }))
  .get('/b', ({ proxy }) => {
    proxy(isProductionBuild() ? 'nowhere' : 'api');
  });
`,
    );
    assert.deepEqual(
      table.main.routes.map(({ source }) => source),
      [
        { file: 'routes.ts', line: 6 },
        { file: 'routes.ts', line: 7 },
      ],
    );
    assert.deepEqual(errors, [
      {
        message: "the backend 'nowhere' is not declared",
        remedy: 'declare it under backends in selvedge.config',
        file: 'routes.ts',
        line: 8,
      },
    ]);
  });

  test('written as CommonJS works the same', async () => {
    const { table, errors } = await recordBundled(
      'routes.cjs',
      `const { Router } = require('@layer0/core/router');
const PluginBase = require('@layer0/core/plugins/PluginBase').default;
const config = require('@layer0/core/config').default;
class Plugin extends PluginBase {
  onRegister(router) { router.get('/plugin', ({ send }) => send(config.get('name', 'none'))); }
}
module.exports = new Router().use(new Plugin());
`,
    );
    assert.deepEqual(errors, []);
    assert.deepEqual(table.main.routes[0]!.source, { file: 'routes.cjs', line: 5 });
    assert.deepEqual(table.main.routes[0]!.action, { kind: 'send', body: 'none', status: 200 });
  });
});
