/**
 * Every limit of a request's way, at its value and one to either side of it: equal passes, one above is refused, and
 * the refusal names the limit, its value and what was seen. Then limits that one environment has of its own.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { DEFAULT_LIMITS, type LimitKey } from '../../src/config/limits.ts';
import { cliHere } from '../actors/cli.ts';
import type { Answer } from '../actors/client.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { RawClient, type RawResponse } from '../actors/raw-client.ts';
import { until } from '../actors/until.ts';

const LIMITS = {
  url: { pathQueryBytes: 300 },
  request: { cookieBytes: 400, headerBytes: 2_000, headerCount: 20 },
  response: { cookieBytes: 500, headerBytes: 3_000, headerCount: 25, headerFieldBytes: 1_000 },
  upstream: { bodyBytes: 5_000 },
  compute: { requestBytes: 600, responseBytes: 700 },
  purge: { tagsPerResponse: 2 },
  prefetch: { defaultTtlSeconds: 77 },
  environments: 2,
};

const ROUTES = `
  .match('/up/:path*', ({ proxy }) => proxy('o'))
  .match('/kept', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('o'); })
  .match('/app', ({ compute }) => compute((req, res) => {
    const { lines = '0', line = '0', cookie = '0', body = '0' } = req.query;
    for (let at = 0; at < Number(lines); at++) res.setHeader('x-l' + at, '1');
    if (line !== '0') res.setHeader('x-long', 'x'.repeat(Number(line)));
    if (cookie !== '0') res.setHeader('set-cookie', 'c=' + 'x'.repeat(Number(cookie) - 2));
    res.body = 'x'.repeat(Number(body));
  }))`;

interface Boundary {
  readonly limit: LimitKey;
  readonly value: number;
  readonly code: number;
  readonly cause: string;
  readonly status?: number;
  /** Asks so that the limit sees exactly `amount`. */
  readonly ask: (amount: number) => Promise<RawResponse | Answer>;
  /** What is seen when one is too much; default value + 1. */
  readonly seen?: number;
}

describe('limits', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    [platform, origin] = await Promise.all([startPlatform({ config: { limits: LIMITS } }), pathOrigin()]);
    origin.on('/up/quiet', (_, response) => void response.end());
    site = await platform.deploy('limits', projectFiles({ o: origin.backend }, ROUTES));
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  const JSON_WANTED = 'accept: application/problem+json\r\n';
  const raw = (target: string, lines: string) =>
    RawClient.ask(platform.port, `GET ${target} HTTP/1.1\r\nhost: ${site.host}\r\n${JSON_WANTED}${lines}\r\n`);
  /** `name: value` lines counted as the limit counts them. */
  const counted = (lines: string): number =>
    lines
      .split('\r\n')
      .filter(Boolean)
      .reduce((sum, line) => sum + line.length + 2, 0);
  const asked = (path: string, more: Parameters<Site['ask']>[1] = {}) =>
    site.ask(path, { ...more, headers: { accept: 'application/problem+json', ...more.headers } });
  const upstream = (head: readonly string[], body = Buffer.alloc(0), chunked = false) => {
    origin.on('/up/x', (_, response) => {
      response.sendDate = false;
      response.writeHead(200, [
        ...head,
        'connection',
        'close',
        ...(chunked ? [] : ['content-length', String(body.length)]),
      ] as never);
      response.end(body);
    });
    return asked('/up/x');
  };
  /** What the origin's answer has anyway. */
  const OWN = ['connection', 'close', 'content-length', '0'];
  const LONG = ['a', 'b', 'c'].flatMap((name) => [name, 'x'.repeat(700)]);
  const ownBytes = OWN.join('').length + 8;

  const BOUNDARIES: readonly Boundary[] = [
    {
      ...{ limit: 'url.pathQueryBytes', value: 300, code: 400, cause: 'request.url-bytes' },
      ask: (amount) => raw(`/up/${'x'.repeat(amount - 4)}`, ''),
    },
    {
      ...{ limit: 'url.pathQueryBytes', value: 300, code: 400, cause: 'request.url-bytes' },
      ask: (amount) => raw(`/up/%C3%A9?${'x'.repeat(amount - 11)}`, ''),
    },
    {
      ...{ limit: 'request.cookieBytes', value: 400, code: 400, cause: 'request.cookie-bytes' },
      ask: (amount) => raw('/up/x', `cookie: ${'x'.repeat(100)}\r\ncookie: ${'x'.repeat(amount - 100)}\r\n`),
    },
    {
      ...{ limit: 'request.headerBytes', value: 2_000, code: 400, cause: 'request.header-bytes' },
      ask: (amount) => {
        const had = counted(`host: ${site.host}\r\n${JSON_WANTED}`);
        return raw('/up/quiet', `a: ${'x'.repeat(amount - had - 5)}\r\n`);
      },
    },
    {
      ...{ limit: 'request.headerCount', value: 20, code: 542, cause: 'request.header-count' },
      ask: (amount) => raw('/up/x', `${'a: 1\r\n'.repeat(amount - 2)}${'x-sv-a: 1\r\n'.repeat(5)}`),
    },
    {
      ...{ limit: 'response.headerCount', value: 25, code: 542, cause: 'upstream.head.count' },
      ask: (amount) => upstream(Array.from({ length: amount - 2 }, (_, at) => [`a${at}`, '1']).flat()),
    },
    {
      ...{ limit: 'response.cookieBytes', value: 500, code: 542, cause: 'upstream.head.cookie-bytes' },
      ask: (amount) => upstream(['set-cookie', `a=${'x'.repeat(98)}`, 'set-cookie', `b=${'x'.repeat(amount - 102)}`]),
    },
    {
      ...{ limit: 'response.headerFieldBytes', value: 1_000, code: 542, cause: 'upstream.head.field-bytes' },
      ask: (amount) => upstream(['x-long', 'x'.repeat(amount - 10)]),
    },
    {
      ...{ limit: 'response.headerBytes', value: 3_000, code: 542, cause: 'upstream.head.bytes' },
      ask: (amount) => upstream([...LONG, 'd', 'x'.repeat(amount - ownBytes - 2_120)]),
    },
    {
      ...{ limit: 'upstream.bodyBytes', value: 5_000, code: 532, cause: 'upstream.body.bytes' },
      ask: (amount) => upstream([], Buffer.alloc(amount, 'x')),
    },
    {
      ...{ limit: 'compute.requestBytes', value: 600, code: 413, cause: 'request.body-bytes' },
      ask: (amount) => asked('/app', { method: 'POST', body: 'x'.repeat(amount) }),
    },
    {
      ...{ limit: 'compute.responseBytes', value: 700, code: 532, cause: 'compute.body-bytes' },
      ask: (amount) => asked(`/app?body=${amount}`),
    },
    {
      ...{ limit: 'response.headerCount', value: 25, code: 542, cause: 'compute.header-count' },
      ask: (amount) => asked(`/app?lines=${amount}`),
    },
    {
      ...{ limit: 'response.cookieBytes', value: 500, code: 542, cause: 'compute.cookie-bytes' },
      ask: (amount) => asked(`/app?cookie=${amount}`),
    },
    {
      ...{ limit: 'response.headerFieldBytes', value: 1_000, code: 542, cause: 'compute.header-field-bytes' },
      ask: (amount) => asked(`/app?line=${amount - 10}`),
    },
  ];

  for (const { limit, value, code, cause, ask, seen = value + 1 } of BOUNDARIES) {
    test(`${limit} (${cause}): ${value - 1} and ${value} pass, ${value + 1} is ${code}`, async () => {
      for (const amount of [value - 1, value]) {
        const answer = await ask(amount);
        assert.equal(answer.status, 200, `${amount}: ${answer.text.slice(0, 400)}`);
      }
      const answer = await ask(value + 1);
      assert.equal(answer.status, code, answer.text);
      const problem = JSON.parse(answer.text);
      assert.deepEqual([problem.limit, problem.limitValue, problem.seen], [limit, value, seen]);
      assert.match(answer.get('proxy-status')!, new RegExp(`details="${code} [\\w-]+ \\(${limit}\\)"`));
      const line = await platform.log(answer.get('x-sv-request-id')!);
      assert.deepEqual([line.xcode, line.fault], [String(code), cause]);
    });
  }

  test('surrogate keys beyond the limit are left away, and prefetched answers say how long they keep', async () => {
    origin.on('/up/tagged', (_, response) => response.setHeader('x-sv-surrogate-key', 'a b c d').end('tagged'));
    assert.equal((await site.ask('/up/tagged')).get('x-sv-surrogate-key'), 'a b');
    await site.ask('/kept');
    const prefetched = await site.ask('/kept?selvedge_prefetch=1');
    assert.deepEqual([prefetched.status, prefetched.get('x-sw-cache-control')], [200, 'max-age=77']);
  });

  test('environments beyond the limit are refused, and the refusal has both figures', async () => {
    const place = ['--project', 'limits', '--data', platform.data, '--json'];
    assert.equal((await cliHere(['env', 'set', 'A=1', '--environment', 'second', ...place])).code, 0);
    const { code, stderr } = await cliHere(['env', 'set', 'A=1', '--environment', 'third', ...place]);
    assert.equal(code, 1);
    assert.match(stderr, /has 2 environments; the limit environments is 2/);
  });

  test('a body without a length is cut at the limit, and the log has the code', async () => {
    origin.on('/up/streamed', (_, response) => {
      response.write('x'.repeat(4_000));
      response.end('x'.repeat(1_001));
    });
    const client = await RawClient.connect(platform.port);
    client.write(`GET /up/streamed HTTP/1.1\r\nhost: ${site.host}\r\nx-request-id: cut-at-the-limit\r\n\r\n`);
    await assert.rejects(client.response());
    const line = await platform.log('cut-at-the-limit');
    assert.deepEqual([line.xcode, line.fault, line.done], ['532', 'upstream.body.bytes', '0']);
  });
});

describe('limits of one environment', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let own: Site;
  let other: Site;
  before(async () => {
    [platform, origin] = await Promise.all([startPlatform(), pathOrigin()]);
    const files = projectFiles({ o: origin.backend }, ROUTES);
    own = await platform.deploy('own', files);
    other = await platform.deploy('other', files);
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  const limits = (...args: string[]) =>
    cliHere(['limits', ...args, '--project', 'own', '--environment', 'default', '--data', platform.data, '--json']);
  const lines = (count: number) => ({
    headers: Object.fromEntries(Array.from({ length: count }, (_, at) => [`a${at}`, '1'])),
  });
  const statuses = async (path: string, more = {}) =>
    Promise.all([own, other].map(async (site) => (await site.ask(path, more)).status));

  test('narrower and wider than those of the installation, and of nobody else', async () => {
    for (const set of ['request.headerCount=10', 'response.headerCount=150', 'compute.responseBytes=100'])
      assert.equal((await limits('set', set)).code, 0, set);
    origin.on('/up/many', (_, response) => {
      for (let at = 0; at < 120; at++) response.setHeader(`b${at}`, '1');
      response.end();
    });
    assert.deepEqual(await statuses('/up/x', lines(12)), [542, 200]);
    assert.deepEqual(await statuses('/up/many'), [200, 542]);
    assert.deepEqual(await statuses('/app?body=101'), [532, 200]);
    assert.deepEqual(await statuses('/app?lines=120'), [200, 542]);
    const shown = JSON.parse((await limits('list')).stdout);
    assert.deepEqual(shown.limits, {
      'request.headerCount': 10,
      'response.headerCount': 150,
      'compute.responseBytes': 100,
    });
    assert.equal((await limits('unset', 'request.headerCount')).code, 0);
    await until('the old limit to count again', async () => (await own.ask('/up/x', lines(12))).status === 200);
  });

  test('what is no limit of an environment is refused with a reason', async () => {
    for (const [set, words] of [
      ['nestedRequests=9', /whole installation/],
      ['made.up=9', /is no limit/],
      ['compute.responseMs=soon', /must be a whole number/],
      ['compute.responseMs=0', /must be a whole number/],
    ] as const) {
      const { code, stderr } = await limits('set', set);
      assert.equal(code, 1, set);
      assert.match(stderr, words);
    }
    assert.ok(DEFAULT_LIMITS['compute.responseMs'] > 0);
  });
});
