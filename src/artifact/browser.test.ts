import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, type TestContext, test } from 'node:test';
import vm from 'node:vm';
import { projectDir } from '../../test/actors/project-dir.ts';
import { buildProject } from './build.ts';
import { describeProblem } from './problems.ts';

const CONFIG =
  "export default { name: 'shop', browser: { 'client/app.ts': 'assets/app.js', 'client/site.css': 'assets/site.css' } };";
const ROUTES = `import { Router } from 'selvedge/router';
import config from 'selvedge/config';
const files = config.get('browser');
export default new Router()
  .get('/assets/:path*', ({ serveStatic }) => serveStatic('assets/:path*', { permanent: true }))
  .get('/service-worker.js', ({ serviceWorker }) => serviceWorker('sw/service-worker.ts'))
  .fallback(({ send }) => send(JSON.stringify(files)));`;
const WORKER = `import { DeepFetchPlugin, Prefetcher } from 'selvedge/prefetch/sw';
new Prefetcher({ plugins: [new DeepFetchPlugin([{ selector: 'img' }])] }).route();`;
const SITE = {
  'selvedge.config.ts': CONFIG,
  'routes.ts': ROUTES,
  'sw/service-worker.ts': WORKER,
  'client/app.ts': "import { greet } from './greet.ts';\nconst text: string = greet('you');\ndocument.title = text;",
  'client/greet.ts': "export const greet = (name: string): string => 'Hello ' + name;",
  'client/site.css': "@import './type.css';\nbody { color: #123456; }",
  'client/type.css': 'h1 { font-weight: 400; }',
};

async function build(t: TestContext, files: Record<string, string>) {
  const dir = projectDir(t, files);
  const result = await buildProject({ dir });
  const problems = [...result.problems.errors, ...result.problems.warnings].map(describeProblem);
  if (!result.ok) return { problems, dir };
  const { manifest } = result;
  const text = (path: string): string => readFileSync(result.blobs(manifest.assets[path]!.sha256), 'utf8');
  return { problems, dir, manifest, text };
}

describe('code for browsers', () => {
  test('entries become permanent assets named by their content, and the routes know the names', async (t) => {
    const { problems, manifest, text } = await build(t, SITE);
    assert.deepEqual(problems, []);
    const app = Object.keys(manifest!.assets).find((path) => /^assets\/app-[0-9a-f]{10}\.js$/.test(path))!;
    const css = Object.keys(manifest!.assets).find((path) => /^assets\/site-[0-9a-f]{10}\.css$/.test(path))!;
    assert.equal(manifest!.assets[app]!.permanent, true);
    assert.equal(manifest!.assets[app]!.type, 'text/javascript; charset=utf-8');
    assert.match(text!(css), /h1\{.*body\{/s);
    const page = { document: { title: '' } };
    vm.runInNewContext(text!(app), page);
    assert.equal(page.document.title, 'Hello you');
    const { action } = manifest!.routes.main.routes.at(-1)!;
    assert.deepEqual(action?.kind === 'send' && JSON.parse(action.body), {
      'client/app.ts': app,
      'client/site.css': css,
    });
  });

  test('a service worker in TypeScript is served as one script without imports', async (t) => {
    const { manifest, text } = await build(t, SITE);
    const asset = manifest!.assets['sw/service-worker.ts']!;
    assert.equal(asset.type, 'text/javascript; charset=utf-8');
    assert.equal(asset.permanent, undefined);
    const events: string[] = [];
    const scope = { addEventListener: (name: string) => void events.push(name) };
    vm.runInNewContext(text!('sw/service-worker.ts'), { ...scope, URL });
    assert.deepEqual(events.sort(), ['activate', 'fetch', 'install', 'message']);
  });

  for (const scope of ['selvedge', '@layer0', '@edgio'])
    test(`a service worker in JavaScript is bundled when it imports ${scope}/prefetch`, async (t) => {
      const source = `import { Prefetcher } from '${scope}/prefetch/sw';\nimport DeepFetchPlugin from '${scope}/prefetch/sw/DeepFetchPlugin';
        new Prefetcher({ plugins: [new DeepFetchPlugin([])] });`;
      const routes = ROUTES.replace('service-worker.ts', 'service-worker.js');
      const { problems, text } = await build(t, { ...SITE, 'routes.ts': routes, 'sw/service-worker.js': source });
      assert.deepEqual(problems, []);
      assert.doesNotMatch(text!('sw/service-worker.js'), /\bimport\b/);
    });

  test('any other service worker stays as it is', async (t) => {
    const source = "self.addEventListener('fetch', () => {});\n";
    const routes = ROUTES.replace('service-worker.ts', 'service-worker.js');
    const { text } = await build(t, { ...SITE, 'routes.ts': routes, 'sw/service-worker.js': source });
    assert.equal(text!('sw/service-worker.js'), source);
  });

  test('two checkouts give the same bytes', async (t) => {
    const [one, other] = [await build(t, SITE), await build(t, SITE)];
    assert.notEqual(one.dir, other.dir);
    assert.deepEqual(one.manifest!.assets, other.manifest!.assets);
    for (const path of Object.keys(one.manifest!.assets)) assert.equal(one.text!(path).includes(one.dir), false);
  });

  test('mistakes are told with their place', async (t) => {
    const broken = { 'client/app.ts': "import './missing.ts';", 'sw/service-worker.ts': 'const = 1;' };
    const { problems, manifest } = await build(t, { ...SITE, ...broken });
    assert.equal(manifest, undefined);
    assert.match(problems.join('\n'), /client\/app\.ts:1: Cannot find `\.\/missing\.ts`\./);
    const config = CONFIG.replace('client/site.css', '../site.css');
    assert.match(
      (await build(t, { ...SITE, 'selvedge.config.ts': config })).problems.join('\n'),
      /`\.\.\/site\.css` does not exist/,
    );
    const wrong = "export default { name: 'shop', browser: ['client/app.ts'] };";
    assert.match(
      (await build(t, { ...SITE, 'selvedge.config.ts': wrong })).problems.join('\n'),
      /`browser` must be an object/,
    );
  });
});
