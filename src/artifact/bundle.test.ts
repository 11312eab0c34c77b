import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { projectDir } from '../../test/actors/project-dir.ts';
import { bundle } from './bundle.ts';
import { describeProblem, Problems } from './problems.ts';
import { recordRoutes } from './record.ts';

type Files = Readonly<Record<string, string | Buffer>>;

async function bundleOf(t: TestContext, files: Files, entry = 'routes.js', includeNodeModules = false) {
  const dir = projectDir(t, files);
  const request = { projectDir: dir, entry: `${dir}/${entry}`, out: 'routes.mjs', includeNodeModules, config: {} };
  const result = await bundle({ ...request, production: true });
  return { ...result, dir, messages: result.errors.map(describeProblem) };
}

/** Labels of the routes, after bundling and running. */
async function record(t: TestContext, files: Files, entry = 'routes.js', timeLimitMs = 30_000) {
  const bundled = await bundleOf(t, files, entry);
  assert.deepEqual(bundled.messages, []);
  const problems = new Problems();
  const output: string[] = [];
  const recording = await recordRoutes(
    {
      projectDir: bundled.dir,
      routesFile: `${bundled.dir}/${entry}`,
      bundle: bundled,
      backends: {},
      production: true,
      timeLimitMs,
      onOutput: (line) => output.push(line),
    },
    problems,
  );
  return {
    labels: recording?.table.main.routes.map(({ label }) => label) ?? [],
    routes: recording?.table.main.routes ?? [],
    errors: problems.errors.map(describeProblem),
    output,
  };
}

const REDIRECT = "({ redirect }) => redirect('/b')";

describe('a routes file', () => {
  const forms: Record<string, [entry: string, files: Files]> = {
    'an ES module': [
      'routes.js',
      {
        'routes.js': `import { Router } from '@edgio/core/router';\nexport default new Router().get('/a', ${REDIRECT})`,
      },
    ],
    'TypeScript with types that vanish': [
      'routes.ts',
      {
        'routes.ts': `import { Router } from 'selvedge/router';\nimport type { ResponseWriter } from 'selvedge/router';\nexport default new Router().get('/a', (w: ResponseWriter): void => { w.redirect('/b') })`,
      },
    ],
    CommonJS: [
      'routes.js',
      {
        'routes.js': `const { Router } = require('@layer0/core/router');\nmodule.exports = new Router().get('/a', ${REDIRECT})`,
      },
    ],
    'an import with module.exports': [
      'routes.js',
      { 'routes.js': `import { Router } from '@layer0/core';\nmodule.exports = new Router().get('/a', ${REDIRECT})` },
    ],
    'an import with module.exports in a package of ES modules': [
      'routes.js',
      {
        'routes.js': `import { Router } from '@layer0/core';\nmodule.exports = new Router().get('/a', ${REDIRECT})`,
        'package.json': '{"type":"module"}',
      },
    ],
    'imports in a .cjs file': [
      'routes.cjs',
      {
        'routes.cjs': `import { Router } from '@edgio/core/router'\nexport default new Router().get('/a', ${REDIRECT})`,
      },
    ],
    'JSON and a page beside it': [
      'src/routes.mjs',
      {
        'src/routes.mjs': `import { Router } from 'selvedge/router';\nimport { path } from './more.json';\nimport page from './page.html';\nexport default new Router().get(path, ({ send }) => send(page))`,
        'src/more.json': '{"path":"/a"}',
        'src/page.html': '<p>hello</p>',
      },
    ],
    '__dirname and require of files found at build time': [
      'src/routes.js',
      {
        'src/routes.js': `const { Router } = require('@layer0/core/router');\nconst { join } = require('path');\nmodule.exports = new Router().get(require(join(__dirname, 'list.json'))[0], ${REDIRECT})`,
        'src/list.json': '["/a"]',
      },
    ],
    'import.meta.url of a nested file': [
      'src/routes.mjs',
      {
        'src/routes.mjs': `import { readFileSync } from 'node:fs';\nimport { Router } from 'selvedge/router';\nconst __filename = import.meta.filename;\nexport default new Router().get(readFileSync(new URL('./path.txt', import.meta.url), 'utf8').trim(), ${REDIRECT})`,
        'src/path.txt': '/a\n',
      },
    ],
    'a package of node_modules': [
      'routes.js',
      {
        'routes.js': `import { Router } from 'selvedge/router';\nimport path from 'paths';\nexport default new Router().get(path, ${REDIRECT})`,
        'node_modules/paths/package.json': '{"name":"paths","main":"main.js"}',
        'node_modules/paths/main.js': "exports.__esModule = true; exports.default = '/a'",
      },
    ],
  };
  for (const [form, [entry, files]] of Object.entries(forms))
    test(`may be ${form}`, async (t) => {
      const { labels, errors } = await record(t, files, entry);
      assert.deepEqual(errors, []);
      assert.deepEqual(labels, ['GET /a']);
    });

  test('gives routes their place in its source', async (t) => {
    const { routes } = await record(
      t,
      {
        'routes.ts': `import { Router } from 'selvedge/router';\nimport { more } from './more/routes.ts';\n\nexport default new Router()\n  .get('/a', ${REDIRECT})\n  .use(more);\n`,
        'more/routes.ts': `interface Nothing { readonly here: true }\nexport const more = {\n  onRegister(router: { get: Function }) {\n    router.get('/b', ${REDIRECT});\n  },\n};\n`,
      },
      'routes.ts',
    );
    assert.deepEqual(
      routes.map(({ source }) => `${source.file}:${source.line}`),
      ['routes.ts:5', 'more/routes.ts:4'],
    );
  });

  test('shows what it prints to the user', async (t) => {
    const { output } = await record(t, {
      'routes.js':
        "import { Router } from 'selvedge/router';\nconsole.log('hello from routes');\nexport default new Router()",
    });
    assert.deepEqual(output, ['hello from routes']);
  });

  const failures: Record<string, [code: string, message: string | RegExp]> = {
    'that throws is told with its line': [
      "\n\nthrow new TypeError('no API key')",
      'routes.js:3: The routes file failed: TypeError: no API key.',
    ],
    'that rejects is told with its line': [
      "\nawait Promise.reject(new Error('API is down'))",
      'routes.js:2: The routes file failed: API is down.',
    ],
    'that exits is told': ['process.exit(0)', /^routes\.js: The routes file ended its process with exit code 0/],
    'without a Router is told': ['export default {}', /^routes\.js: The routes file exports no Router\. End it with/],
  };
  for (const [failure, [code, message]] of Object.entries(failures))
    test(failure, async (t) => {
      const { errors } = await record(t, { 'routes.js': `import 'selvedge/router';${code}` });
      assert.equal(errors.length, 1);
      if (typeof message === 'string') assert.equal(errors[0], message);
      else assert.match(errors[0]!, message);
    });

  test('that never finishes is stopped', async (t) => {
    const { errors } = await record(t, { 'routes.js': 'for (;;);' }, 'routes.js', 1000);
    assert.match(errors[0]!, /^routes\.js: The routes file did not finish within 1 s\./);
  });
});

describe('a bundle', () => {
  const SHOP: Files = {
    'routes.js': `import { Router } from 'selvedge/router';\nimport list from 'list';\nconsole.log(__dirname);\nexport default new Router().get(list[0], ${REDIRECT})`,
    'node_modules/list/package.json': '{"name":"list","type":"module","exports":"./index.js"}',
    'node_modules/list/index.js': "export default ['/a'];",
  };

  test('is the same bytes wherever the project lies, and names no folder of the machine', async (t) => {
    const one = await bundleOf(t, SHOP);
    const two = await bundleOf(t, SHOP);
    assert.equal(one.code, two.code);
    assert.equal(one.map, two.map);
    const platform = dirname(dirname(import.meta.dirname));
    for (const text of [one.code, one.map])
      for (const path of [one.dir, platform]) assert.ok(!text.includes(path), path);
  });

  test('carries its sources', async (t) => {
    const { map } = await bundleOf(t, SHOP);
    const { sources, sourcesContent } = JSON.parse(map) as { sources: string[]; sourcesContent: string[] };
    assert.match(sourcesContent[sources.indexOf('routes.js')]!, /import list from 'list';/);
    assert.ok(sources.includes('node_modules/list/index.js'));
  });

  test('tells every mistake of a project with its line and what to do', async (t) => {
    const { messages } = await bundleOf(t, {
      'routes.js':
        "import 'not-there';\nimport { nextRoutes } from '@edgio/next';\nimport './missing.js';\nimport '@layer0/core/nonsense';\nimport './style.less';\nexport default nextRoutes",
      'style.less': '',
    });
    assert.deepEqual(
      messages.map((message) => message.split('. ')[0]),
      [
        'routes.js:1: The package `not-there` is not installed',
        'routes.js:2: The package `@edgio/next` is not installed',
        'routes.js:3: Cannot find `./missing.js`',
        'routes.js:4: `@layer0/core/nonsense` is not a module of this platform',
        'routes.js:5: `.less` files cannot be imported (style.less)',
      ],
    );
    assert.match(messages[1]!, /npm install/);
  });

  test('tells the line of a syntax error', async (t) => {
    const { messages } = await bundleOf(t, { 'routes.js': 'const a = 1;\nconst = 2;' });
    assert.match(messages[0]!, /^routes\.js:2: /);
  });

  test('tells an export that our modules do not have', async (t) => {
    const { messages } = await bundleOf(t, {
      'routes.js': "import { Ruoter } from 'selvedge/router';\nexport default new Ruoter()",
    });
    assert.match(messages[0]!, /^routes\.js:1: `Ruoter` is not part of this module's API\./);
  });

  const NATIVE: Files = {
    'routes.js': "import 'fast';\nexport default 1",
    'node_modules/fast/package.json': '{"name":"fast"}',
    'node_modules/fast/index.js': "module.exports = require('./build/fast.node');",
    'node_modules/fast/build/fast.node': Buffer.from([0x7f, 0x45, 0x4c, 0x46]),
  };

  test('refuses a native add-on and says what helps', async (t) => {
    const { messages } = await bundleOf(t, NATIVE);
    assert.match(
      messages[0]!,
      /^node_modules\/fast\/index\.js:1: fast is a native add-on .* Set `includeNodeModules: true`/,
    );
  });

  test('imports a package with a native add-on when packages join the bundle', async (t) => {
    const { messages, external, code } = await bundleOf(t, NATIVE, 'routes.js', true);
    assert.deepEqual(messages, []);
    assert.deepEqual(external, ['fast']);
    assert.match(code, /import "fast"/);
  });
});
