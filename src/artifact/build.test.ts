import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { projectDir } from '../../test/actors/project-dir.ts';
import { compileRoutes } from '../router/match.ts';
import { type BuildOptions, buildProject } from './build.ts';
import { describeProblem } from './problems.ts';

type Files = Readonly<Record<string, string | Buffer>>;
const run = promisify(execFile);

const routes = (calls: string): string =>
  `import { Router } from 'selvedge/router';\nexport default new Router()${calls}\n`;
const APP = '.fallback(({ renderWithApp }) => renderWithApp())';
const COMPUTE = ".get('/now', ({ compute }) => compute((request, response) => { response.body = 'now' }))";

async function buildOf(t: TestContext, files: Files, options: Partial<BuildOptions> = {}) {
  const dir = projectDir(t, files);
  const output: string[] = [];
  const onProgress: BuildOptions['onProgress'] = (event) => event.kind === 'output' && output.push(event.line);
  const result = await buildProject({ dir, onProgress, ...options });
  const told = {
    errors: result.problems.errors.map(describeProblem),
    warnings: result.problems.warnings.map(describeProblem),
  };
  return { dir, result, output, ...told };
}

/** A build that must succeed. */
async function built(t: TestContext, files: Files, options: Partial<BuildOptions> = {}) {
  const { result, errors, ...rest } = await buildOf(t, files, options);
  assert.deepEqual(errors, []);
  assert.ok(result.ok);
  const { manifest, blobs } = result;
  const serverPaths = manifest.server?.files.map(({ path }) => path) ?? [];
  return { ...rest, ...result, serverPaths, read: (sha256: string) => readFileSync(blobs(sha256), 'utf8') };
}

/** Puts the server bundle into a folder, as a worker sees it. */
function unpack(
  t: TestContext,
  { manifest, blobs }: Pick<Awaited<ReturnType<typeof built>>, 'manifest' | 'blobs'>,
): string {
  const dir = projectDir(t, {});
  for (const { path, sha256 } of manifest.server!.files) {
    mkdirSync(dirname(join(dir, path)), { recursive: true });
    writeFileSync(join(dir, path), readFileSync(blobs(sha256)));
  }
  return dir;
}

describe('a build', () => {
  const SITE: Files = {
    'routes.js': routes(".static('public').get('/p', ({ serveStatic }) => serveStatic('page.html'))"),
    'page.html': '<p>',
    'public/index.html': '<h1>',
    'public/app.js': 'app()',
    'public/data.bin': Buffer.from([0, 1]),
    'public/.well-known/security.txt': 'contact',
    'public/.env': 'SECRET=1',
    'public/node_modules/x/index.js': '',
    'package.json': '{"name":"site"}',
  };

  test('makes assets of what routes serve, with their media types', async (t) => {
    const { manifest, read } = await built(t, SITE);
    assert.equal(manifest.name, 'site');
    assert.equal(manifest.server, null);
    assert.deepEqual(
      Object.entries(manifest.assets).map(([path, { type }]) => `${path} ${type}`),
      [
        'page.html text/html; charset=utf-8',
        'public/.well-known/security.txt text/plain; charset=utf-8',
        'public/app.js text/javascript; charset=utf-8',
        'public/data.bin application/octet-stream',
        'public/index.html text/html; charset=utf-8',
      ],
    );
    assert.equal(read(manifest.assets['public/app.js']!.sha256), 'app()');
  });

  test('is the same bytes from the same input, wherever it lies', async (t) => {
    const files = { ...SITE, 'routes.js': routes(`.static('public')${COMPUTE}`) };
    const one = await built(t, files);
    const two = await built(t, files);
    assert.equal(readFileSync(one.manifestFile, 'utf8'), readFileSync(two.manifestFile, 'utf8'));
  });

  test('keeps what it took, whatever happens to the project later', async (t) => {
    const { dir, manifest, read } = await built(t, SITE);
    writeFileSync(join(dir, 'public/app.js'), 'changed()');
    assert.equal(read(manifest.assets['public/app.js']!.sha256), 'app()');
  });

  test('of a router without routes says what that means', async (t) => {
    const { warnings } = await buildOf(t, { 'routes.js': routes('') });
    assert.match(warnings.join(), /^routes\.js: The router has no routes, so every address is answered 404\./);
  });

  test('forgets blobs of builds before', async (t) => {
    const first = await built(t, SITE);
    rmSync(join(first.dir, 'public/app.js'));
    const second = await buildProject({ dir: first.dir });
    assert.ok(second.ok);
    assert.throws(() => first.read(first.manifest.assets['public/app.js']!.sha256), /ENOENT/);
  });

  test('refuses links that leave the project', async (t) => {
    const elsewhere = projectDir(t, { 'secret.txt': 'secret' });
    const dir = projectDir(t, SITE);
    symlinkSync(join(elsewhere, 'secret.txt'), join(dir, 'public/link.txt'));
    symlinkSync('app.js', join(dir, 'public/inside.js'));
    const result = await buildProject({ dir });
    assert.deepEqual(result.problems.errors.map(describeProblem), [
      '`public/link.txt` leads out of the project. Copy what it points to into the project, or remove the link.',
    ]);
  });

  test('follows links to folders, but neither in a circle nor out of the project', async (t) => {
    const elsewhere = projectDir(t, { 'secret.txt': 'secret' });
    const files = { ...SITE, 'more/deep/a.txt': 'a' };
    const dir = projectDir(t, files);
    symlinkSync('../more', join(dir, 'public/linked'));
    symlinkSync('../../public', join(dir, 'more/deep/circle'));
    symlinkSync('self', join(dir, 'public/self'));
    const result = await buildProject({ dir });
    assert.deepEqual(result.problems.warnings.map(describeProblem), [
      "routes.js:2: 'public/self' is left out: it is a link to nowhere",
    ]);
    assert.ok(result.ok);
    const served = result.manifest.routes.main.routes.map(({ file }) => file);
    assert.deepEqual(
      served.filter((file) => file?.includes('linked')),
      ['linked/deep/a.txt'],
    );
    assert.ok('public/linked/deep/a.txt' in result.manifest.assets);

    symlinkSync(elsewhere, join(dir, 'public/out'));
    const refused = await buildProject({ dir });
    assert.deepEqual(refused.problems.errors.map(describeProblem), [
      "routes.js:2: 'public/out' leads out of the project. Put the files below the project directory",
    ]);
  });

  test('answers a file under its name as an address spells it', async (t) => {
    const names = ['what?.txt', '100%25.txt', 'has#hash.txt', 'back\\slash.txt', 'grün (1).txt'];
    const files = Object.fromEntries(names.map((name) => [`public/${name}`, name]));
    const { manifest } = await built(t, { 'routes.js': routes(".static('public')"), ...files });
    const { match } = compileRoutes(manifest.routes);
    const ask = (path: string) =>
      match({
        method: 'GET',
        protocol: 'http',
        path,
        query: '',
        fields: new Map<string, string>(),
        enforceProtocol: false,
      });
    for (const name of names) assert.equal(ask(`/${encodeURIComponent(name)}`)[0]?.route.file, name);
    assert.deepEqual(ask('/what'), []);
  });

  test('leaves out names that are not UTF-8, and says so', async (t) => {
    const dir = projectDir(t, SITE);
    writeFileSync(Buffer.concat([Buffer.from(join(dir, 'public/odd')), Buffer.from([0xff])]), 'odd');
    const result = await buildProject({ dir });
    assert.deepEqual(result.problems.warnings.map(describeProblem), [
      "routes.js:2: 'public/odd\ufffd' is left out: its name is not UTF-8",
    ]);
  });

  test('warns of files that are not there, with the route that wants them', async (t) => {
    const { warnings, result } = await buildOf(t, {
      'routes.js': routes(".get('/', ({ serveStatic }) => serveStatic('dist/index.html'))"),
    });
    assert.ok(result.ok);
    assert.match(warnings.join(), /^routes\.js:2: .*dist\/index\.html/);
  });

  test('tells mistakes of configuration and routes together', async (t) => {
    const { errors } = await buildOf(t, {
      'selvedge.config.js': "module.exports = { connector: './nowhere', name: 1 }",
      'routes.js': "import 'not-there'",
    });
    assert.deepEqual(
      errors.map((error) => error.split('. ')[0]),
      [
        'selvedge.config.js: `name` must be a non-empty string, but is 1',
        "selvedge.config.js: The connector's folder `./nowhere` does not exist",
        'routes.js:1: The package `not-there` is not installed',
      ],
    );
  });

  test('of a directory that is none is refused', async () => {
    const result = await buildProject({ dir: '/nowhere/at/all' });
    assert.match(result.problems.errors.map(describeProblem).join(), /is not a directory/);
  });
});

describe('the server bundle', () => {
  test('is there when a route needs a worker, and runs away from the project', async (t) => {
    const made = await built(t, {
      'routes.ts': routes(COMPUTE),
      'selvedge.config.ts': 'export default { includeFiles: {} }',
    });
    assert.deepEqual(made.serverPaths, ['routes.mjs', 'routes.mjs.map']);
    const dir = unpack(t, made);
    const { stdout } = await run(
      process.execPath,
      ['-e', "import('./routes.mjs').then(({ default: router }) => console.log(typeof router.get))"],
      { cwd: dir },
    );
    assert.equal(stdout, 'function\n');
  });

  test('has the files that the configuration names, where it says', async (t) => {
    const { serverPaths, warnings } = await built(t, {
      'routes.js': routes(COMPUTE),
      'views/a.html': '',
      'views/deep/b.html': '',
      'config/default.json': '{}',
      'lang/en/x.json': '{}',
      'selvedge.config.js': `module.exports = { includeFiles: {
        views: true, 'config/default.json': 'config/production.json', 'lang/**/*.json': 'words', './none/**': true } }`,
    });
    assert.deepEqual(serverPaths, [
      'config/production.json',
      'routes.mjs',
      'routes.mjs.map',
      'views/a.html',
      'views/deep/b.html',
      'words/en/x.json',
    ]);
    assert.deepEqual(warnings, ['`includeFiles`: nothing matches `./none/**`.']);
  });

  test('has the production dependencies with all that they need, each version where it is found', async (t) => {
    const { serverPaths } = await built(t, {
      'routes.js': routes(COMPUTE),
      'package.json': '{"dependencies":{"a":"1","b":"1","@edgio/core":"6"},"devDependencies":{"tool":"1"}}',
      'node_modules/a/package.json': '{"name":"a","dependencies":{"c":"1"}}',
      'node_modules/a/index.js': '',
      'node_modules/b/package.json': '{"name":"b","dependencies":{"c":"2"}}',
      'node_modules/b/node_modules/c/package.json': '{"name":"c","version":"2"}',
      'node_modules/c/package.json': '{"name":"c","version":"1"}',
      'node_modules/tool/package.json': '{"name":"tool"}',
      'selvedge.config.js': 'module.exports = { includeNodeModules: true }',
    });
    assert.deepEqual(serverPaths, [
      'node_modules/a/index.js',
      'node_modules/a/package.json',
      'node_modules/b/node_modules/c/package.json',
      'node_modules/b/package.json',
      'node_modules/c/package.json',
      'package.json',
      'routes.mjs',
      'routes.mjs.map',
    ]);
  });

  test('over its limit is refused, with both figures', async (t) => {
    const { errors } = await buildOf(
      t,
      {
        'routes.js': routes(COMPUTE),
        'big.txt': 'x'.repeat(3_000_000),
        'selvedge.config.js': "module.exports = { includeFiles: { 'big.txt': true } }",
      },
      { limits: { compressedBytes: 10_000, uncompressedBytes: 2_000_000 } },
    );
    assert.match(
      errors[0]!,
      /^The server bundle is too large: 0\.\d+ MB packed and [34]\.\d+ MB unpacked, where 0\.01 MB and 1\.91 MB are allowed\..*big\.txt \(2\.86 MB\)/,
    );
  });
});

describe('the app', () => {
  test('of Express is bundled with its own folder names', async (t) => {
    const made = await built(t, {
      'routes.js': routes(APP),
      'selvedge.config.js':
        "module.exports = { connector: '@edgio/express', express: { appPath: './src/server.js' }, includeFiles: { views: true } }",
      'src/server.js':
        "with ({ sloppy: true }) {}\nconst path = require('path');\nmodule.exports = (request, response) => response.end(path.join(__dirname, '../views'));\nmodule.exports.views = path.join(__dirname, '../views');",
      'views/a.html': '',
    });
    assert.deepEqual(made.manifest.server!.app, { kind: 'module', entry: 'app.cjs' });
    const dir = unpack(t, made);
    const { stdout } = await run(
      process.execPath,
      ['-e', "import('./app.cjs').then((app) => console.log(app.default.length, app.default.views))"],
      { cwd: dir },
    );
    assert.equal(stdout, `2 ${dir}/views\n`);
  });

  test('may be any module that listens', async (t) => {
    const { manifest } = await built(t, {
      'routes.js': routes(APP),
      'selvedge.config.js': "module.exports = { app: { entry: 'server.mjs' } }",
      'server.mjs': "import { createServer } from 'node:http';\nawait createServer().listen(process.env.PORT);",
    });
    assert.deepEqual(manifest.server!.app, { kind: 'module', entry: 'app.mjs' });
  });

  test('may be a command with a self-contained folder', async (t) => {
    const { manifest, serverPaths } = await built(t, {
      'routes.js': routes(APP),
      'selvedge.config.js': "module.exports = { app: { command: ['node', 'out/server.js'], directory: 'out' } }",
      'out/server.js': '',
      'out/.hidden/x': '',
      'out/node_modules/y/index.js': '',
    });
    assert.deepEqual(manifest.server!.app, { kind: 'command', command: 'node', args: ['out/server.js'] });
    assert.deepEqual(serverPaths.slice(0, 3), ['out/.hidden/x', 'out/node_modules/y/index.js', 'out/server.js']);
  });

  test('that routes want but nobody names is an error at the route', async (t) => {
    const { errors } = await buildOf(t, { 'routes.js': routes(APP) });
    assert.match(errors[0]!, /^routes\.js:2: A route hands over to the app/);
  });

  test('whose entry is not there is named', async (t) => {
    const { errors } = await buildOf(t, {
      'routes.js': routes(APP),
      'edgio.config.js': "module.exports = { express: { appPath: 'no.js' } }",
    });
    assert.equal(errors.length, 1);
    assert.match(errors[0]!, /`express\.appPath`: the file `no\.js` does not exist/);
  });
});

describe('a connector', () => {
  const CONNECTOR: Files = {
    'edgio.config.js': "module.exports = { connector: './edgio', colour: 'blue' }",
    'routes.js': routes(`.get('/f', ({ serveStatic }) => serveStatic('dist/f.txt'))${APP}`),
    'edgio/build.js': `const { DeploymentBuilder } = require('@edgio/core/deploy');
      const config = require('@layer0/core/config').default;
      const builder = new DeploymentBuilder(process.cwd());
      module.exports = async ({ skipFramework }) => {
        builder.clearPreviousBuildOutput();
        if (!skipFramework) await builder.exec('mkdir -p dist && echo made > dist/f.txt && echo "by the framework"');
        builder.writeFileSync('out/render.js', 'module.exports = 1');
        builder.addJSAsset('out').addStaticAsset('out', 'public/js', { permanent: true, exclude: ['*.map'] });
        builder.writeFileSync('.framework/page.html', 'page');
        builder.addStaticAsset('.framework');
        console.log(config.get('colour'));
        await builder.build();
      };`,
    'edgio/prod.js': `const { createServer } = require('http');
      module.exports = (port) => createServer(require(process.cwd() + '/out/render.js')).listen(port);`,
  };

  test('builds the framework, stages files and serves the app', async (t) => {
    const { manifest, serverPaths, output, read } = await built(t, CONNECTOR);
    assert.deepEqual(output, ['by the framework', 'blue']);
    assert.equal(read(manifest.assets['dist/f.txt']!.sha256), 'made\n');
    assert.equal(manifest.assets['public/js/render.js']?.permanent, true);
    assert.equal(read(manifest.assets['.framework/page.html']!.sha256), 'page', 'hidden folders are staged on purpose');
    assert.deepEqual(manifest.server!.app, { kind: 'module', entry: '__backends__/app.cjs' });
    assert.deepEqual(serverPaths, [
      '__backends__/app.cjs',
      '__backends__/app.cjs.map',
      'out/render.js',
      'routes.mjs',
      'routes.mjs.map',
    ]);
  });

  test('leaves the framework alone when told to', async (t) => {
    const { output, warnings } = await built(t, CONNECTOR, { skipFramework: true });
    assert.deepEqual(output, ['blue']);
    assert.match(warnings.join(), /dist\/f\.txt/);
  });

  test('whose framework fails says so, with its output', async (t) => {
    const { errors, output } = await buildOf(t, {
      ...CONNECTOR,
      'edgio/build.js':
        "const { DeploymentBuilder } = require('@layer0/core/deploy');\nmodule.exports = () => new DeploymentBuilder().exec('echo broken >&2; exit 2')",
    });
    assert.deepEqual(output, ['broken']);
    assert.match(
      errors[0]!,
      /^edgio\/build\.js(:\d+)?: The build entry of the connector failed: `echo broken >&2; exit 2` ended with exit code 2\./,
    );
  });

  test('that swallows its failure and exits is an error all the same', async (t) => {
    const { errors } = await buildOf(t, { ...CONNECTOR, 'edgio/build.js': 'module.exports = () => process.exit(0)' });
    assert.match(errors[0]!, /^edgio\/build\.js: The build entry of the connector ended its process with exit code 0/);
  });

  test('that makes files which routes import is run before they are needed', async (t) => {
    const { manifest } = await built(t, {
      'edgio.config.js': "module.exports = { connector: './edgio' }",
      'edgio/build.js': "module.exports = () => require('fs').writeFileSync('paths.json', '[\"/made\"]')",
      'routes.js':
        "import { Router } from '@edgio/core';\nimport paths from './paths.json';\nexport default new Router().get(paths[0], ({ redirect }) => redirect('/'))",
    });
    assert.equal(manifest.routes.main.routes[0]!.label, 'GET /made');
  });

  test('of a release with another interface is refused by name, before it runs', async (t) => {
    const { errors } = await buildOf(t, {
      'edgio.config.js': "module.exports = { connector: '@edgio/thing' }",
      'routes.js': routes(".get('/', ({ send }) => send('x'))"),
      'node_modules/@edgio/thing/package.json': '{"name":"@edgio/thing","version":"7.13.1"}',
      'node_modules/@edgio/thing/build.js': 'throw new Error("was run")',
    });
    assert.equal(errors.length, 1);
    assert.match(errors[0]!, /^edgio\.config\.js: .*`@edgio\/thing` is of release 7, .*npm install @edgio\/thing@6/);
  });

  test('may be an installed package, whose routes plugin runs on our router', async (t) => {
    const { manifest } = await built(t, {
      'edgio.config.js': "module.exports = { connector: '@edgio/thing' }",
      'routes.js':
        "const { thingRoutes } = require('@edgio/thing');\nconst { Router } = require('@edgio/core/router');\nmodule.exports = new Router().use(thingRoutes)",
      'node_modules/@edgio/thing/package.json': '{"name":"@edgio/thing","main":"index.js"}',
      'node_modules/@edgio/thing/index.js': `"use strict";
        var PluginBase_1 = require("@edgio/core/plugins/PluginBase"), constants_1 = require("@edgio/core/constants");
        Object.defineProperty(exports, "__esModule", { value: true });
        class ThingRoutes extends PluginBase_1.default {
          onRegister(router) {
            router.group('thing', (group) => group.match('/t/:id', ({ proxy }) => proxy(constants_1.BACKENDS.js)));
          }
        }
        exports.thingRoutes = new ThingRoutes();`,
      'node_modules/@edgio/thing/prod.js': 'module.exports = (port) => require("http").createServer().listen(port)',
      'node_modules/@edgio/core/package.json': '{"name":"@edgio/core"}',
      'node_modules/@edgio/core/index.js': 'throw new Error("the installed core is not used")',
    });
    const [route] = manifest.routes.main.routes;
    assert.equal(route?.group, 'thing');
    assert.deepEqual(manifest.server?.app, { kind: 'module', entry: '__backends__/app.cjs' });
  });
});
