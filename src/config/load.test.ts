import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { describe, test } from 'node:test';
import { certificates } from '../../test/actors/certificates.ts';
import { DEFAULT_LIMITS, LIMIT_KEYS, LONGEST_TIMER_MS } from './limits.ts';
import { ConfigError, loadConfig, parseOverride, resolveConfig } from './load.ts';
import { describeOptions, OPTIONS, optionsHelp } from './options.ts';

const problemsOf = (text: string, overrides: Parameters<typeof resolveConfig>[1] = {}): string[] => {
  try {
    resolveConfig(text, { name: 'c.yaml', ...overrides });
  } catch (error) {
    assert.ok(error instanceof ConfigError, String(error));
    return error.problems.map(({ path, from, message }) => `${from} ${path} ${message}`);
  }
  return [];
};

describe('what is accepted', () => {
  test('without a file the configuration is complete, and every limit has its default', () => {
    const config = loadConfig();
    assert.deepEqual(config.limits, DEFAULT_LIMITS);
    assert.equal(config.branding.headerPrefix, 'x-sv');
    assert.equal(config.pop.global, undefined);
    assert.ok(Object.isFrozen(config.listen));
  });

  test('limits may be nested, dotted, or both at once', () => {
    const nested = resolveConfig('limits:\n  upstream:\n    dnsMs: 100\n  url.pathQueryBytes: 99\n');
    assert.equal(nested.limits['upstream.dnsMs'], 100);
    assert.equal(nested.limits['url.pathQueryBytes'], 99);
    assert.equal(resolveConfig('limits.upstream.dnsMs: 100').limits['upstream.dnsMs'], 100);
    assert.equal(resolveConfig('{"limits": {"upstream.dnsMs": 100}}').limits['upstream.dnsMs'], 100);
  });

  test('every single limit can be lowered on its own', () => {
    for (const key of LIMIT_KEYS) {
      const value = OPTIONS.get(`limits.${key}`)!.kind.allowed.includes('MiB') ? 64 : 2;
      assert.deepEqual(problemsOf(`limits: { ${JSON.stringify(key)}: ${value} }`), [], key);
    }
  });

  test('"off" takes a limit away; a time becomes the longest timer that Node has', () => {
    const { limits } = resolveConfig('limits: { response.headerCount: off, upstream.bodyIdleMs: off }');
    assert.equal(limits['response.headerCount'], Number.POSITIVE_INFINITY);
    assert.equal(limits['upstream.bodyIdleMs'], LONGEST_TIMER_MS);
  });

  test('the command line wins over the file and may give numbers and lists as text', () => {
    const config = resolveConfig('listen: { port: 1 }', {
      overrides: [
        { path: 'listen.port', value: '0', from: '--http-port' },
        parseOverride('trustedProxies=10.0.0.0/8, 192.0.2.1'),
        parseOverride('limits.drainMs=5'),
        parseOverride('domain=edge.example'),
      ],
    });
    assert.equal(config.listen.port, 0);
    assert.deepEqual(config.trustedProxies, ['10.0.0.0/8', '192.0.2.1/32']);
    assert.equal(config.limits.drainMs, 5);
    assert.equal(config.domain, 'edge.example');
  });

  test('a preset brings its names, single names win over it', () => {
    const { branding } = resolveConfig('branding: { preset: edgio-v5, headerPrefix: x-acme, productName: Acme Edge }');
    assert.equal(branding.headerPrefix, 'x-acme');
    assert.equal(branding.productName, 'Acme Edge');
    assert.deepEqual(branding.acceptedCookiePrefixes, ['edgio', 'layer0']);
    assert.deepEqual(branding.reservedHeaderPrefixes, ['x-acme', 'x-sv']);
  });

  test('files are found beside the configuration file, and hold what they are named for', async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'selvedge-config-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const { ca, good } = await certificates();
    writeFileSync(join(directory, 'ca.pem'), ca);
    writeFileSync(join(directory, 'key.pem'), good.key);
    writeFileSync(join(directory, 'c.yaml'), 'upstream: { caFile: ca.pem }\n');
    assert.equal(loadConfig({ file: join(directory, 'c.yaml') }).upstream.caFile, join(directory, 'ca.pem'));
    const mixedUp = problemsOf(`upstream: { caFile: ${directory}/key.pem }`);
    assert.match(mixedUp[0]!, /must be .* with a certificate \(PEM\), but .*key\.pem is not/);
  });

  test('empty files, empty sections and comments change nothing', () => {
    for (const text of ['', '# nothing\n', 'pop:\nlimits:\n', '{}'])
      assert.deepEqual(resolveConfig(text), loadConfig());
  });
});

describe('what is refused', () => {
  test('all problems are told at once, with line, path, what was seen and what is allowed', () => {
    const text = `
lisen: { port: 80 }
limits:
  upstream: { dnsMss: 5, connectMs: fast }
pop: { role: middle }
trustedProxies: [10.0.0.0/99]
domain: [a]
compute: 3
`;
    assert.deepEqual(problemsOf(text), [
      "c.yaml:2 lisen is no option; did you mean 'listen'?",
      "c.yaml:4 limits.upstream.dnsMss is no option; did you mean 'limits.upstream.dnsMs'?",
      'c.yaml:4 limits.upstream.connectMs must be a whole number (ms) from 1 to 2147483647, or off, not "fast"',
      'c.yaml:5 pop.role must be one of all, edge, global, compute, control, not "middle"',
      'c.yaml:6 trustedProxies must be a list, each a CIDR range such as 10.0.0.0/8, not ["10.0.0.0/99"]',
      'c.yaml:7 domain must be a domain name in lower case, not ["a"]',
      'c.yaml:8 compute is a section and must be a mapping, not 3',
    ]);
  });

  test('a right name in the wrong place is led to the right one', () => {
    assert.deepEqual(problemsOf('port: 80\nupstream: { dnsMs: 5 }\nzzzzzz: 1\n'), [
      "c.yaml:1 port is no option; did you mean 'listen.port'?",
      "c.yaml:2 upstream.dnsMs is no option; did you mean 'limits.upstream.dnsMs'?",
      'c.yaml:3 zzzzzz is no option',
    ]);
  });

  test('members that only make sense together are checked together', () => {
    assert.deepEqual(
      problemsOf(
        'pop: { role: edge }\nlisten: { tlsPort: 443 }\nlimits: { pop: { silenceMs: 5, heartbeatMs: 9 } }',
      ).map((problem) => problem.split(' ').slice(0, 2).join(' ')),
      [
        'c.yaml pop.global',
        'c.yaml pop.linkToken',
        'c.yaml control.url',
        'c.yaml control.token',
        'c.yaml:2 listen.tlsPort',
        'c.yaml:3 limits.pop.silenceMs',
      ],
    );
  });

  test('the data directory is a whole path, relative to the file that names it', () => {
    assert.ok(isAbsolute(resolveConfig('').data));
    assert.equal(resolveConfig('data: ../kept', { directory: '/etc/selvedge' }).data, '/etc/kept');
  });

  test('broken YAML, other documents, doubled keys and missing files have their own words', () => {
    assert.match(problemsOf('a: [1')[0]!, /^c\.yaml:1 /);
    assert.match(
      problemsOf('a: &a [1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]')[0]!,
      /alias/i,
    );
    assert.match(problemsOf('- 1\n- 2')[0]!, /must be a mapping of options, not \[1,2\]/);
    assert.match(problemsOf('domain: a\ndomain: b')[0]!, /unique/);
    assert.match(problemsOf('pop: { name: a }\npop.name: b')[0]!, /given twice, first at c\.yaml:1/);
    assert.match(
      problemsOf('upstream: { caFile: /no/such/file }')[0]!,
      /readable file .*, but \/no\/such\/file is not/,
    );
    assert.throws(() => loadConfig({ file: '/no/such/file.yaml' }), /1 problem .*\n.*cannot be read/s);
    assert.match(problemsOf('__proto__: { port: 1 }')[0]!, /is no option/);
    assert.match(problemsOf('constructor: 1')[0]!, /is no option/);
  });

  test('a wrong secret is not repeated, and a wrong override names its command-line option', () => {
    assert.doesNotMatch(problemsOf('control: { token: hunter2 }')[0]!, /hunter2/);
    const [problem] = problemsOf('', { overrides: [{ path: 'listen.port', value: 'x', from: '--http-port' }] });
    assert.match(problem!, /^--http-port listen\.port must be .* not "x"$/);
  });
});

test('help and documentation name every option with a default', () => {
  const described = describeOptions();
  assert.equal(described.length, OPTIONS.size);
  for (const { path, doc, allowed, default: value } of described) {
    assert.ok(doc && allowed && value, path);
    assert.ok(optionsHelp().includes(path), path);
  }
});
