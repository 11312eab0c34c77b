import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { projectDir } from '../../test/actors/project-dir.ts';
import { describeProblem, Problems } from './problems.ts';
import { loadProject } from './project.ts';

const ROUTES = { 'routes.js': '' };

async function load(t: TestContext, files: Record<string, string>) {
  const problems = new Problems();
  const project = await loadProject(projectDir(t, files), problems);
  return {
    project: project!,
    errors: problems.errors.map(describeProblem),
    warnings: problems.warnings.map(describeProblem),
  };
}

describe('the project configuration', () => {
  const forms: Record<string, Record<string, string>> = {
    'a TypeScript file with a default export': {
      'selvedge.config.ts': "const name: string = 'shop';\nexport default { name };",
    },
    'a CommonJS file of an older generation': { 'layer0.config.js': "module.exports = { name: 'shop' };" },
    'module.exports beside an import': {
      'edgio.config.js': "import { name } from './name.js';\nmodule.exports = { name };",
      'name.js': "export const name = 'shop';",
    },
    'module.exports in a project of ES modules': {
      'edgio.config.js': "import { name } from './name.js';\nmodule.exports = { name };",
      'name.js': "export const name = 'shop';",
      'package.json': '{"type":"module"}',
    },
    'require of a file in a folder': {
      'edgio.config.js': "module.exports = { name: require('./more/name') };",
      'more/name.js': "module.exports = require('node:path').basename(__dirname) === 'more' ? 'shop' : '?';",
    },
    'a function': { 'selvedge.config.mjs': "export default async () => ({ name: 'shop' });" },
    'the name in package.json': { 'package.json': '{"name":"shop"}' },
  };
  for (const [form, files] of Object.entries(forms))
    test(`is read from ${form}`, async (t) => {
      const { project, errors } = await load(t, { ...ROUTES, ...files });
      assert.deepEqual(errors, []);
      assert.equal(project.name, 'shop');
    });

  test('tells all mistakes at once, with the field and what to write', async (t) => {
    const { errors, warnings } = await load(t, {
      ...ROUTES,
      'selvedge.config.js': `module.exports = {
        name: 7, includeNodeModules: 'yes', conector: './x', prerenderConcurrency: 500, connector: () => {},
        backends: { api: { domainOrIp: 'https://api.test/x', port: '80' }, empty: {}, text: 'api.test' },
      }`,
    });
    assert.deepEqual(errors, [
      "selvedge.config.js: `name` must be a non-empty string, but is 7. Write for example `name: 'shop'`.",
      'selvedge.config.js: `includeNodeModules` must be true or false, but is "yes". Write for example `includeNodeModules: true`.',
      'selvedge.config.js: `prerenderConcurrency` must be a whole number from 1 to 200, but is 500. Write for example `prerenderConcurrency: 200`.',
      "selvedge.config.js: `connector` must be a non-empty string, but is a function. Write for example `connector: './connector'`.",
      'selvedge.config.js: `backends.api.domainOrIp` must be a host name or an IP address, without scheme, port and path, but is "https://api.test/x". Write for example `domainOrIp: \'api.example.com\'`.',
      'selvedge.config.js: `backends.api.port` must be a whole number from 1 to 65535, but is "80". Write for example `port: 8443`.',
      "selvedge.config.js: `backends.empty.domainOrIp` is missing. Write for example `domainOrIp: 'api.example.com'`.",
      'selvedge.config.js: `backends.text` must be an object, but is "api.test". Write for example `text: { … }`.',
    ]);
    assert.deepEqual(warnings, ['selvedge.config.js: Unknown key `conector` is ignored. Did you mean `connector`?']);
  });

  test('maps the origins of the declarative generation to backends', async (t) => {
    const { project, errors, warnings } = await load(t, {
      ...ROUTES,
      'edgio.config.js': `module.exports = {
        organization: 'web',
        origins: [
          { name: 'api', override_host_header: 'api.test', hosts: [{ location: '127.0.0.1:8443', scheme: 'match' }] },
          { name: 'old', hosts: [{ location: [{ hostname: 'old.test', port: 81 }], scheme: 'http' }], tls_verify: { allow_self_signed_certs: true } },
        ],
        serverless: { includeNodeModules: true, include: ['views/**'] },
        cloudRuntime: 'nodejs20.x',
      }`,
    });
    assert.deepEqual(errors, []);
    assert.deepEqual(project.config.backends, {
      api: { domainOrIp: '127.0.0.1', port: 8443, hostHeader: 'api.test', scheme: 'match' },
      old: { domainOrIp: 'old.test', port: 81, scheme: 'http', disableCheckCert: true },
    });
    assert.equal(project.config.team, 'web');
    assert.equal(project.config.includeNodeModules, true);
    assert.deepEqual(project.config.includeFiles, { 'views/**': true });
    assert.deepEqual(warnings, ['edgio.config.js: `cloudRuntime` is read but has no effect here.']);
  });

  test('that throws is told with its own line', async (t) => {
    const { errors } = await load(t, {
      ...ROUTES,
      'selvedge.config.ts': "import { port } from './port.ts';\nexport default { port };",
      'port.ts':
        "interface Unused { readonly a: string }\n\nexport const port = need('PORT_OF_API');\nfunction need(name: string): string {\n  throw new Error(name + ' is not set');\n}",
    });
    assert.deepEqual(errors, ['port.ts:5: The configuration failed: PORT_OF_API is not set.']);
  });

  test('that ends the process is told', async (t) => {
    const { errors } = await load(t, { ...ROUTES, 'selvedge.config.js': 'process.exit(3)' });
    assert.match(
      errors[0]!,
      /^selvedge\.config\.js: The configuration ended its process with exit code 3 before it was done\./,
    );
  });

  test('needs either entry or command for an app', async (t) => {
    const { errors } = await load(t, { ...ROUTES, 'selvedge.config.js': 'module.exports = { app: {} }' });
    assert.match(errors[0]!, /`app` must have either `entry` or `command`/);
  });
});

describe('the routes file', () => {
  test('is looked for in the folder of the project', async (t) => {
    const { errors } = await load(t, { 'src/routes.ts': '' });
    assert.match(errors[0]!, /^The project has no routes file\. .*Looked for: routes\.ts, routes\.js/);
  });

  test('may be configured without its extension', async (t) => {
    const { project } = await load(t, {
      'src/routes.ts': '',
      'selvedge.config.js': "module.exports = { routes: './src/routes' }",
    });
    assert.equal(project.routesFile, `${project.dir}/src/routes.ts`);
  });

  test('must be inside the project', async (t) => {
    const { errors } = await load(t, { 'selvedge.config.js': "module.exports = { routes: '../../etc/hosts' }" });
    assert.match(errors[0]!, /(is outside of the project|does not exist)/);
  });
});
