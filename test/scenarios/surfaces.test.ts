/** What a failure looks like from every side of a running platform, and that all sides tell the same story. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseProxyStatus } from '../../src/status/proxy-status.ts';
import type { Answer } from '../actors/client.ts';
import { closedPort } from '../actors/origin.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type LogLine, type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const ROUTES = (handlers: string) => `
  .match('/ok', ({ proxy }) => proxy('o'))
  .match('/refused', ({ proxy }) => proxy('closed'))
  .match('/throws', ({ compute }) => compute(() => { throw new Error('secret'); }))
  .match('/large', ({ compute }) => compute((req, res) => { res.body = 'x'.repeat(2001); }))
  ${handlers}`;

const SAMPLE: readonly [path: string, code: number, standard: number, cause: string][] = [
  ['/nowhere', 404, 404, 'route.none'],
  ['/refused', 531, 502, 'upstream.connect.refused'],
  ['/throws', 534, 502, 'compute.uncaught'],
  ['/large', 532, 502, 'compute.body-bytes'],
];
const FORMS = ['text/html', 'application/problem+json', 'text/plain'] as const;

/** All that the sides say, for comparing; `undefined` where a side does not say it. */
function sidesOf(answer: Answer, line: LogLine, prefix: string) {
  const [raised] = parseProxyStatus(answer.get('proxy-status')!);
  const text = answer.text.replace(/<style>[\s\S]*<\/style>/, '');
  return {
    header: answer.get(`${prefix}-error`),
    proxyStatus: raised!.details!.split(' ')[0],
    page: /\b(\d{3}) [A-Z]/.exec(text)?.[1] ?? String(JSON.parse(answer.text).code),
    log: line.xcode,
    logged: line.pstat === answer.get('proxy-status'),
    requestId: text.includes(answer.get(`${prefix}-request-id`)!),
  };
}

for (const [title, config, prefix] of [
  ['native names and codes', {}, 'x-sv'],
  [
    'the names of older systems and standard codes',
    { branding: { preset: 'layer0' }, codes: { style: 'standard' } },
    'x-0',
  ],
] as const) {
  describe(`with ${title}`, () => {
    let platform: Platform;
    let origin: PathOrigin;
    let site: Site;
    before(async () => {
      const limits = { compute: { responseBytes: 2_000 } };
      [platform, origin] = await Promise.all([startPlatform({ config: { ...config, limits } }), pathOrigin()]);
      const closed = { domainOrIp: '127.0.0.1', port: await closedPort(), scheme: 'http' };
      site = await platform.deploy('sides', projectFiles({ o: origin.backend, closed }, ROUTES('')));
    });
    after(async () => {
      await platform?.stop();
      await origin?.close();
    });

    for (const [path, code, standard, cause] of SAMPLE) {
      test(`${code} ${cause}: page, fields and log agree in every form`, async () => {
        for (const accept of FORMS) {
          const answer = await site.ask(path, { headers: { accept } });
          const status = 'codes' in config ? standard : code;
          assert.equal(answer.status, status, answer.text);
          const line = await platform.log(answer.get(`${prefix}-request-id`)!);
          assert.deepEqual([line.fault, line.code], [cause, String(status)]);
          const said = String(code);
          const wanted = { header: said, proxyStatus: said, page: said, log: said, logged: true, requestId: true };
          assert.deepEqual(sidesOf(answer, line, prefix), wanted, accept);
          assert.doesNotMatch(answer.text, /secret|127\.0\.0\.1|routes\.[jt]s/);
          assert.match(answer.get(`${prefix}-status`)!, new RegExp(`^eh=${status}\\b`));
        }
      });
    }

    test('the metrics count the same codes and causes, once for each request', async () => {
      await site.ask('/ok');
      const text = await until('the metrics to have it', async () => {
        const now = await metrics(platform);
        return now.includes('code="200"') && now.includes('cause="compute.body-bytes"') && now;
      });
      for (const [, code, , cause] of SAMPLE) {
        const line = new RegExp(
          `^selvedge_failures_total\\{environment="sides-default",code="${code}",cause="${cause}",hop="\\w+",phase="[\\w-]+",acts="\\w+"\\} 3$`,
          'm',
        );
        assert.match(text, line);
      }
      assert.match(text, /^selvedge_request_duration_seconds_count\{environment="sides-default",cache="\w+"\} \d+$/m);
    });
  });
}

async function metrics({ control }: Platform): Promise<string> {
  const response = await fetch(`${control.url}/metrics`, { headers: { authorization: `Bearer ${control.token}` } });
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
  return response.text();
}

describe('an upstream whose body is not what its coding says', () => {
  test('is told apart from project code that reads it', async () => {
    await using platform = await startPlatform();
    const origin = await pathOrigin();
    try {
      const routes = `
        .match('/read/:path*', ({ proxy }) => proxy('o', { transformResponse: (res) => { res.body = String(res.body); } }))
        .match('/own/:path*', ({ proxy }) => proxy('o', {
          transformResponse: (res) => { res.setHeader('content-encoding', 'br'); res.body = String(res.body); },
        }))`;
      const site = await platform.deploy('coded', projectFiles({ o: origin.backend }, routes));
      for (const coding of ['gzip', 'made-up']) {
        origin.on('/read/x', (_, response) => response.setHeader('content-encoding', coding).end('this is plain'));
        const answer = await site.ask('/read/x');
        assert.equal(answer.status, 536, answer.text);
        const [raised] = parseProxyStatus(answer.get('proxy-status')!);
        assert.deepEqual([raised!.error, raised!.parameters.coding], ['http_response_content_coding', coding]);
        const line = await platform.log(answer.get('x-sv-request-id')!);
        assert.deepEqual([line.fault, line.act, line.hop], ['compute.upstream-coding', 'upstream', 'compute']);
      }
      origin.on('/own/x', (_, response) => void response.end('this is plain'));
      assert.equal((await site.ask('/own/x')).status, 534, 'a coding that the project has made up is its own failure');
    } finally {
      await origin.close();
    }
  });
});

describe('error pages of the project', () => {
  let platform: Platform;
  let site: Site;
  before(async () => {
    platform = await startPlatform();
    const closed = { domainOrIp: '127.0.0.1', port: await closedPort(), scheme: 'http' };
    const routes = ROUTES(`
      .match('/broken', ({ proxy }) => proxy('closed'))
      .catch(531, ({ compute }) => compute((req, res) => {
        if (req.path === '/broken') throw new Error('the page itself fails');
        res.setHeader('content-type', 'text/html');
        res.body = '<h1>Our own words</h1>';
      }))
      .catch(404, ({ send }) => send('<h1>Not here</h1>', 404))`);
    site = await platform.deploy('catching', projectFiles({ o: closed, closed }, routes));
  });
  after(() => platform?.stop());

  test("take the place of ours, and keep the failure's own fields", async () => {
    const answer = await site.ask('/refused', { headers: { accept: 'text/html' } });
    assert.deepEqual([answer.status, answer.text], [531, '<h1>Our own words</h1>']);
    assert.equal(answer.get('x-sv-error'), '531');
    assert.equal(answer.get('cache-control'), 'no-store');
    assert.match(answer.get('proxy-status')!, /error=connection_refused/);
    const missing = await site.ask('/nowhere', { headers: { accept: 'text/html' } });
    assert.deepEqual([missing.status, missing.text], [404, '<h1>Not here</h1>']);
  });

  test('give way to ours when they fail themselves: the first failure keeps its name', async () => {
    const answer = await site.ask('/broken', { headers: { accept: 'text/html' } });
    assert.equal(answer.status, 531);
    assert.match(answer.text, /<title>531 Project Upstream Connection Error<\/title>/);
    assert.match(answer.get('proxy-status')!, /error=connection_refused/);
    const line = await platform.log(answer.get('x-sv-request-id')!);
    assert.equal(line.fault, 'upstream.connect.refused');
  });
});
