/** Every way in which project code can fail, through a whole platform, and what error routes make of it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { checkFailure, type Expected, failing } from '../actors/failure.ts';
import { closedPort, type RawOrigin, rawOrigin } from '../actors/origin.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';

describe('project code fails', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let silent: RawOrigin;
  let site: Site;
  before(async () => {
    const limits = {
      compute: {
        responseMs: 4_000,
        reservedMs: 300,
        scheduleMs: 3_000,
        memoryMiB: 256,
        reservedMemoryMiB: 20,
        responseBytes: 100_000,
        requestBytes: 50_000,
      },
    };
    [platform, origin, silent] = await Promise.all([
      startPlatform({ config: { limits, compute: { workers: 3, prewarm: 1 } } }),
      pathOrigin(),
      rawOrigin(() => {}),
    ]);
    const backends = {
      o: origin.backend,
      silent: { domainOrIp: '127.0.0.1', port: silent.port, scheme: 'http' },
      closed: { domainOrIp: '127.0.0.1', port: await closedPort(), scheme: 'http' },
    };
    const routes = `
      .match('/ok', ({ compute }) => compute((req, res) => { res.body = 'ok ' + process.pid; }))
      .match('/throw', ({ compute }) => compute(() => { throw new Error('secret of the project'); }))
      .match('/reject', ({ compute }) => compute(async () => { await null; throw new Error('later'); }))
      .match('/uncaught', ({ compute }) => compute(() => new Promise(() => { setTimeout(() => { throw new Error('timer'); }, 10); })))
      .match('/exit', ({ compute }) => compute(() => process.exit(3)))
      .match('/status', ({ compute }) => compute((req, res) => { res.statusCode = 42; }))
      .match('/header', ({ compute }) => compute((req, res) => { res.setHeader('x-bad', 'a\\r\\nb: c'); }))
      .match('/large', ({ compute }) => compute((req, res) => { res.body = 'x'.repeat(100_001); }))
      .match('/full', ({ compute }) => compute((req, res) => { res.body = 'x'.repeat(100_000); }))
      .match('/lines', ({ compute }) => compute((req, res) => { for (let at = 0; at < 71; at++) res.setHeader('x-' + at, '1'); }))
      .match('/never', ({ compute }) => compute(() => new Promise(() => {})))
      .match('/busy', ({ compute }) => compute(() => { for (;;); }))
      .match('/waiting', ({ compute }) => compute(() => fetch('http://127.0.0.1:${silent.port}/')))
      .match('/heap', ({ compute }) => compute(() => { const all = []; for (;;) all.push(new Array(1000).fill(all.length)); }))
      .match('/slow', ({ compute }) => compute(async (req, res) => { await new Promise((done) => setTimeout(done, 2_500)); res.body = 'slow'; }))
      .match('/in-worker/refused', ({ proxy }) => proxy('closed', { transformResponse() {} }))
      .match('/own', ({ compute }) => compute((req, res) => { res.statusCode = 534; res.body = 'mine'; res.setHeader('x-sv-error', '534'); }))
      .match('/caught', ({ compute }) => compute(() => { throw new Error('caught'); }))
      .match('/caught/:path*', ({ proxy }) => proxy('o'))
      .match('/caught-static', ({ proxy }) => proxy('o'))
      .match('/post', ({ compute }) => compute((req, res) => { res.body = String(req.rawBody.length); }))
      .catch(503, ({ serveStatic }) => serveStatic('sorry.html'))
      .catch(/^50[02]$/, ({ compute }) => compute((req, res) => { res.body = 'rendered for ' + req.path; }))
      .catch(504, ({ send }) => send('another', 200))`;
    site = await platform.deploy(
      'compute',
      projectFiles(backends, routes, { files: { 'sorry.html': '<h1>sorry</h1>' } }),
    );
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
    await silent?.close();
  });

  const project = (code: number, error: string, fault: string, details = ''): Expected => ({
    ...{ code, error, fault, details },
    hop: 'compute',
    act: 'project',
  });
  const CASES: readonly [path: string, claim: string, expected: Expected][] = [
    ['/throw', 'a handler throws', project(534, 'http_response_incomplete', 'compute.uncaught', 'uncaught')],
    ['/reject', 'a handler rejects', project(534, 'http_response_incomplete', 'compute.uncaught')],
    ['/uncaught', 'a timer of the project throws', project(534, 'http_response_incomplete', 'compute.uncaught')],
    ['/exit', 'the process ends', project(534, 'connection_terminated', 'compute.exited', 'exit code=3')],
    ['/status', 'a status that is none', project(534, 'http_protocol_error', 'compute.malformed', 'malformed')],
    ['/header', 'a line break in a header', project(534, 'http_protocol_error', 'compute.malformed')],
    ['/large', 'a body over the limit', project(532, 'http_response_body_size', 'compute.body-bytes')],
    ['/lines', '71 header lines', project(542, 'http_response_header_section_size', 'compute.header-count')],
    ['/heap', 'memory without end', project(540, 'connection_terminated', 'compute.memory', 'oom')],
  ];
  const LATE: typeof CASES = [
    [
      '/never',
      'a handler that never answers',
      project(539, 'http_response_timeout', 'compute.timeout', 'never-answered'),
    ],
    ['/busy', 'an endless loop', project(539, 'http_response_timeout', 'compute.timeout', 'loop-blocked')],
    [
      '/waiting',
      "a slow upstream of the project's",
      { ...project(539, 'http_response_timeout', 'compute.timeout', 'upstream-slow'), act: 'upstream' },
    ],
  ];
  test('three ways of not answering in time: 539, each with its reason', async () => {
    await Promise.all(LATE.map(([path, , expected]) => failing(platform, site, path, expected)));
    assert.match((await site.ask('/ok')).text, /^ok \d+$/);
  });

  for (const [path, claim, expected] of CASES) {
    test(`${claim}: ${expected.code}`, async () => {
      const { answer } = await failing(platform, site, path, expected);
      assert.doesNotMatch(answer.text, /secret/);
      assert.match((await site.ask('/ok')).text, /^ok \d+$/);
    });
  }

  test('the body limit itself passes, and so does a status of its own', async () => {
    assert.equal((await site.ask('/full')).body.length, 100_000);
    const own = await site.ask('/own');
    assert.deepEqual(
      [own.status, own.text, own.get('x-sv-error'), own.get('proxy-status')],
      [534, 'mine', undefined, undefined],
    );
    assert.equal(own.get('x-sv-status'), 'eh=534,ed=534,gh=534,gd=534,p=534,w=534');
  });

  test('a request body over the limit is 413, one below it is read', async () => {
    assert.equal((await site.ask('/post', { method: 'POST', body: 'x'.repeat(50_000) })).text, '50000');
    const expected: Expected = {
      code: 413,
      error: 'http_request_error',
      fault: 'request.body-bytes',
      hop: 'compute',
      act: 'client',
    };
    await failing(platform, site, '/post', expected, { method: 'POST', body: 'x'.repeat(50_001) });
  });

  test('a call of the platform that fails inside a worker keeps its name', async () => {
    const expected: Expected = {
      code: 531,
      error: 'connection_refused',
      fault: 'upstream.connect.refused',
      hop: 'compute',
      act: 'upstream',
    };
    await failing(platform, site, '/in-worker/refused', expected);
  });

  test('no worker in time: 541, and whoever has one is answered', async () => {
    const expected: Expected = {
      ...{ code: 541, error: 'connection_limit_reached', fault: 'compute.queue-timeout', details: 'queue-timeout' },
      ...{ hop: 'compute', act: 'capacity' },
    };
    const headers = { accept: 'application/problem+json' };
    const answers = await Promise.all(Array.from({ length: 12 }, (_, at) => site.ask(`/slow?${at}`, { headers })));
    const refused = answers.filter(({ status }) => status === 541);
    assert.ok(refused.length > 0);
    for (const answer of refused) {
      await checkFailure(platform, answer, expected);
      assert.match(answer.get('retry-after')!, /^\d+$/);
    }
    const served = answers.filter(({ status }) => status === 200);
    assert.ok(served.length > 0);
    for (const { text } of served) assert.equal(text, 'slow');
  });

  test('an error route can render, serve a file, or give another status', async () => {
    origin.on('/caught/500', (_, response) => void response.writeHead(500).end('stack'));
    origin.on('/caught/503', (_, response) => void response.writeHead(503).end('stack'));
    origin.on('/caught/504', (_, response) => void response.writeHead(504).end('stack'));
    const rendered = await site.ask('/caught/500');
    assert.deepEqual([rendered.status, rendered.text], [500, 'rendered for /caught/500']);
    assert.equal(rendered.get('x-sv-error'), undefined);
    const file = await site.ask('/caught/503');
    assert.deepEqual(
      [file.status, file.text, file.get('content-type')],
      [503, '<h1>sorry</h1>', 'text/html; charset=utf-8'],
    );
    const other = await site.ask('/caught/504');
    assert.deepEqual([other.status, other.text], [200, 'another']);
  });
});
