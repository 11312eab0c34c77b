/** What `selvedge why` tells of requests that went to upstreams: where the time went, and what was tried. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { cliHere } from '../actors/cli.ts';
import { answering, closedPort, type RawOrigin, rawOrigin } from '../actors/origin.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const run = promisify(execFile);
const OK_HEAD = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n';

describe('the story of a request to an upstream', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  let silent: RawOrigin;
  let cut: RawOrigin;
  let once: RawOrigin;
  before(async () => {
    const limits = { upstream: { responseMs: 700, dnsMs: 700 } };
    [platform, origin] = await Promise.all([startPlatform({ config: { limits } }), pathOrigin()]);
    silent = await rawOrigin(() => {});
    cut = await rawOrigin(answering(`${OK_HEAD}short`, 'fin'));
    // Closes its first connection on the second request of it.
    once = await rawOrigin(async (connection) => {
      const text = await connection.received('\r\n\r\n');
      await connection.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      if (!text.includes('/first')) return;
      await connection.received('/second');
      connection.socket.destroy();
    });
    const at = (port: number) => ({ domainOrIp: '127.0.0.1', port, scheme: 'http' });
    const backends: Record<string, object> = {
      origin: origin.backend,
      refused: at(await closedPort()),
      silent: at(silent.port),
      cut: at(cut.port),
      once: at(once.port),
      tls: { ...at(origin.port), domainOrIp: 'localhost', scheme: 'https', hostHeader: 'shop.example' },
      name: { domainOrIp: 'nothing.invalid' },
    };
    const routes = Object.keys(backends).map((name) => `\n.match('/${name}/:path*', ({ proxy }) => proxy('${name}'))`);
    site = await platform.deploy(
      'why',
      projectFiles(
        backends,
        `\n.match('/kept', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('origin'); })${routes.join('')}`,
      ),
    );
  });
  after(async () => {
    await platform.stop();
    for (const peer of [origin, silent, cut, once]) await peer[Symbol.asyncDispose]();
  });

  test('a success: hops, route with file and line, verdict of each level, phases of the attempt', async () => {
    const answer = await site.ask('/kept', { headers: { 'user-agent': 'curl/8' } });
    const view = await platform.why(answer.get('x-sv-request-id')!, ({ inner }) => inner.length === 1);
    const { story, inner, waterfall, routes, source } = view;
    assert.equal(source, 'story');
    assert.deepEqual([story.hop, story.status, story.end, story.fault], ['edge', 200, 'sent', undefined]);
    assert.deepEqual(routes, [{ id: '1', label: '/kept', file: 'routes.js', line: 4, caught: false, sends: true }]);
    assert.deepEqual(story.deployment, { environment: 'why-default', number: 1 });
    for (const { cache } of [story, inner[0]!]) {
      assert.deepEqual([cache!.metric, cache!.status, cache!.reason], ['cached', 'ok', 'lifetime from cache()']);
      assert.match(cache!.key!, /\/kept/);
      assert.equal(cache!.hash, answer.get('x-sv-cache-hash'));
    }
    const [call] = inner[0]!.calls!;
    const [attempt] = call!.attempts;
    assert.equal(attempt!.address, `127.0.0.1:${origin.port}`);
    for (const phase of ['dnsMs', 'connectMs', 'sendMs', 'headMs', 'bodyMs'] as const) {
      assert.equal(typeof attempt![phase], 'number', phase);
    }
    assert.equal(attempt!.bodyBytes, answer.body.length);
    assert.deepEqual(
      waterfall.bars.map(({ label, depth, outcome }) => [label, depth, outcome]),
      [
        ['edge edge-local', 0, '200'],
        ['global global-local', 1, '200'],
        ['upstream origin', 2, '200'],
      ],
    );
    for (const { startMs, endMs } of waterfall.bars) assert.ok(startMs >= 0 && endMs >= startMs);
  });

  for (const [name, code, cause, address] of [
    ['refused', 531, 'upstream.connect.refused', true],
    ['silent', 536, 'upstream.head.timeout', true],
    ['tls', 533, 'upstream.tls.protocol', true],
    ['name', 537, 'upstream.dns.nxdomain', false],
  ] as const) {
    test(`${code} ${cause}: seen by the hop that dialled, with the attempt and what to do`, async () => {
      const answer = await site.ask(`/${name}/x?a=1`);
      assert.equal(answer.status, code);
      const view = await platform.why(answer.get('x-sv-request-id')!, ({ inner }) => inner.length === 1);
      const { explanation, inner, story, commands } = view;
      assert.deepEqual(
        [explanation?.code, explanation?.cause, explanation?.hop, story.fault?.cause, inner[0]!.fault?.cause],
        [code, cause, 'global', cause, cause],
      );
      assert.ok(explanation!.remedy.length > 0 && explanation!.who.length > 0);
      const [attempt] = inner[0]!.calls![0]!.attempts;
      assert.equal(attempt!.fault!.cause, cause);
      assert.equal(attempt!.address !== undefined, address);
      assert.match(commands.client, new RegExp(`^curl .*${site.host}/${name}/x\\?a=1`));
      assert.match(commands.upstream!, new RegExp(`/${name}/x\\?a=1`));
      if (name === 'tls')
        assert.match(commands.upstream!, /--resolve localhost:\d+:127\.0\.0\.1 .* -H 'host: shop\.example'/);
      if (name === 'name') assert.doesNotMatch(commands.upstream!, /--resolve/);
    });
  }

  test('the command for the upstream sends what the platform sent', async () => {
    const answer = await site.ask('/origin/a%20b?c=d&c=e', { headers: { 'x-mine': "it's" } });
    const { commands } = await platform.why(answer.get('x-sv-request-id')!, ({ inner }) => inner.length === 1);
    const { stdout } = await run('sh', ['-c', `${commands.upstream} -s`]);
    const echoed = JSON.parse(stdout.slice(stdout.indexOf('\r\n\r\n') + 4));
    assert.equal(echoed.url, '/origin/a%20b?c=d&c=e');
    assert.deepEqual([echoed.headers.host, echoed.headers['x-mine']], [site.host, "it's"]);
  });

  test('a body that was cut after the head: status as sent, cause as it was', async () => {
    const headers = { 'x-request-id': 'the-one-that-was-cut' };
    await assert.rejects(site.ask('/cut/x', { headers }));
    const view = await platform.why('the-one-that-was-cut', ({ inner }) => inner.length === 1);
    assert.deepEqual(
      [view.story.status, view.story.end, view.explanation?.cause],
      [200, 'cut', 'upstream.body.incomplete'],
    );
    assert.equal(view.inner[0]!.calls![0]!.attempts[0]!.bodyBytes, 5);
    assert.equal(view.story.idFromClient, true);
    const told = await cliHere(['why', 'the-one-that-was-cut', '--data', platform.data]);
    assert.match(told.stdout, /^536 .*upstream\.body\.incomplete/);
    assert.match(told.stdout, /The head had been sent already, so the\s+answer was cut/);
    assert.match(told.stdout, /chosen by the client/);
  });

  test('a retry that succeeded: no failure, and the attempt that failed is there', async () => {
    assert.equal((await site.ask('/once/first')).text, 'ok');
    const again = await site.ask('/once/second');
    assert.equal(again.text, 'ok');
    const { story, inner, explanation, waterfall } = await platform.why(
      again.get('x-sv-request-id')!,
      (view) => view.inner.length === 1,
    );
    assert.deepEqual([story.fault, explanation], [undefined, undefined]);
    const { attempts } = inner[0]!.calls![0]!;
    assert.deepEqual(
      attempts.map(({ reusedConnection, fault }) => [reusedConnection, fault?.cause]),
      [
        [true, 'upstream.head.closed'],
        [false, undefined],
      ],
    );
    assert.deepEqual(
      waterfall.bars.slice(-2).map(({ failed }) => failed),
      [true, false],
    );
    const told = await cliHere(['why', again.get('x-sv-request-id')!, '--data', platform.data]);
    assert.match(told.stdout, /^200: answered by the upstream once after 1 failed attempt\./);
  });

  test('a client that left early is nobody’s failure, and its story says when', async () => {
    const leaving = new AbortController();
    const headers = { 'x-request-id': 'the-one-who-left' };
    const asked = site.ask('/silent/left', { signal: leaving.signal, headers });
    asked.catch(() => {});
    await until('the upstream to be asked', () => silent.connections.some(({ text }) => text.includes('/left')));
    leaving.abort();
    await assert.rejects(asked);
    const view = await platform.why(
      'the-one-who-left',
      ({ source, inner }) => source === 'story' && inner.length === 1,
    );
    assert.deepEqual([view.story.end, view.story.fault, view.explanation], ['client-left', undefined, undefined]);
    assert.equal(view.inner[0]!.end, 'client-left');
  });

  test('the newest failures as a list, narrowed by code', async () => {
    await site.ask('/refused/listed');
    await site.ask('/name/listed');
    const list = async (...args: string[]) => {
      const result = await cliHere(['why', ...args, '--json', '--data', platform.data]);
      assert.equal(result.code, 0, result.stderr);
      return (JSON.parse(result.stdout) as { requests: { code?: number; url: string; status?: number }[] }).requests;
    };
    await platform.log((await site.ask('/refused/last')).get('x-sv-request-id')!);
    const failures = await list('--last');
    assert.ok(
      failures.every(({ code, status }) => code !== undefined || status! >= 500 || status === 200),
      'failures only',
    );
    assert.equal(failures[0]!.url, '/refused/last');
    const unresolved = await list('--last', '--code', '537');
    assert.ok(unresolved.length > 0 && unresolved.every(({ code }) => code === 537));
    assert.equal((await list('--last', '--code', '5xx', '--limit', '1')).length, 1);
    const good = await list('--code', '200');
    assert.ok(
      good.some(({ url }) => url === '/kept'),
      'successes are found by their status',
    );
    assert.equal((await cliHere(['why', '--last', '--code', '5x', '--data', platform.data])).code, 1);
    assert.equal((await cliHere(['why', '--data', platform.data])).code, 2);
  });
});
