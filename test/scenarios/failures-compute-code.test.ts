/**
 * What code can get wrong in an answer, how a developer is told, and what hanging projects cost others: through a
 * whole platform.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { begin } from '../actors/client.ts';
import { type Expected, failing } from '../actors/failure.ts';
import { type RawOrigin, rawOrigin } from '../actors/origin.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type LogLine, type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const LIMIT = 100_000;
const APP = `
import { createServer } from 'node:http';
createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://app');
  if (pathname === '/app/declared') { response.writeHead(200, { 'content-length': '${LIMIT + 1}' }); response.end('x'.repeat(${LIMIT + 1})); }
  else if (pathname === '/app/undeclared') { response.writeHead(200); const more = () => { while (response.write('x'.repeat(10000))); response.once('drain', more); }; more(); }
  else if (pathname === '/app/full') { response.writeHead(200); response.write('x'.repeat(${LIMIT - 1})); response.end('x'); }
  else if (pathname === '/app/after-head') { response.write('some'); setTimeout(() => { throw new Error('half way') }, 20); }
  else if (pathname === '/app/stalls') { response.write('some'); }
  else if (pathname === '/app/twice') { response.end('once'); response.writeHead(500); }
  else if (pathname === '/app/99') { response.writeHead(99); response.end(); }
  else if (pathname === '/app/left') { request.socket.once('close', () => console.log('the visitor left')); response.write('waiting'); }
  else response.end('app');
}).listen(Number(process.env.PORT));
`;
const SLOW = `
interface Order { readonly id: number }

export async function ship(order: Order, port: string): Promise<string> {
  const answer = await fetch(\`http://127.0.0.1:\${port}/ship/\${order.id}\`);
  return answer.text();
}

export function total(): number {
  let sum = 0;
  for (;;) sum += Math.random();
}
`;

describe('code that answers wrongly', () => {
  let platform: Platform;
  let silent: RawOrigin;
  let site: Site;
  before(async () => {
    const limits = {
      compute: { responseMs: 4_000, reservedMs: 300, memoryMiB: 256, reservedMemoryMiB: 20, responseBytes: LIMIT },
    };
    [platform, silent] = await Promise.all([
      startPlatform({ config: { limits, compute: { workers: 4, prewarm: 2 } } }),
      rawOrigin(() => {}),
    ]);
    const routes = `
      .match('/ok', ({ compute }) => compute((req, res) => { res.body = 'ok'; }))
      .match('/object', ({ compute }) => compute((req, res) => { res.body = { a: 1 }; }))
      .match('/circular', ({ compute }) => compute((req, res) => { const a = {}; a.a = a; res.body = a; }))
      .match('/status-text', ({ compute }) => compute((req, res) => { res.statusCode = 'abc'; }))
      .match('/status-99', ({ compute }) => compute((req, res) => { res.statusCode = 99; }))
      .match('/status-1000', ({ compute }) => compute((req, res) => { res.statusCode = 1000; }))
      .match('/status-half', ({ compute }) => compute((req, res) => { res.statusCode = 200.5; }))
      .match('/name-space', ({ compute }) => compute((req, res) => { res.setHeader('bad name', 'x'); }))
      .match('/name-empty', ({ compute }) => compute((req, res) => { res.setHeader('', 'x'); }))
      .match('/value-line', ({ compute }) => compute((req, res) => { res.setHeader('x-a', 'one\\nx-b: two'); }))
      .match('/message-line', ({ compute }) => compute((req, res) => { res.statusMessage = 'a\\r\\nb: c'; }))
      .match('/no-response', ({ compute }) => compute.fetch(() => 'text'))
      .match('/rejects-undefined', ({ compute }) => compute(() => Promise.reject(undefined)))
      .match('/throws-null', ({ compute }) => compute(() => { throw null; }))
      .match('/signal', ({ compute }) => compute(() => { process.kill(process.pid, 'SIGSEGV'); }))
      .match('/exit-0', ({ compute }) => compute(() => process.exit(0)))
      .match('/fetch-undeclared', ({ compute }) => compute.fetch(() => new Response(new ReadableStream({ pull(controller) { controller.enqueue(new Uint8Array(10000)); } }))))
      .match('/fetch-declared', ({ compute }) => compute.fetch(() => new Response('x'.repeat(${LIMIT + 1}), { headers: { 'content-length': '${LIMIT + 1}' } })))
      .match('/fetch-breaks', ({ compute }) => compute.fetch(() => new Response(new ReadableStream({ start(controller) { controller.enqueue(new Uint8Array(10)); setTimeout(() => controller.error(new Error('half way')), 20); } }))))
      .match('/leave', ({ compute }) => compute.fetch((request) => new Promise((resolve) => { console.log('started'); request.signal.addEventListener('abort', () => { console.log('nobody waits'); resolve(new Response('')); }); })))
      .match('/ship', ({ compute }) => compute(async (req, res) => { res.body = await ship({ id: 7 }, '${silent.port}'); }))
      .match('/total', ({ compute }) => compute((req, res) => { res.body = String(total()); }))
      .match('/buffers', ({ compute }) => compute(() => { const all = []; for (;;) all.push(Buffer.alloc(65536, 1)); }))
      .match('/app/:path*', ({ renderWithApp }) => renderWithApp())`;
    const files = projectFiles({}, routes, {
      before: `import { ship, total } from './src/orders.ts';`,
      files: { 'server.mjs': APP, 'src/orders.ts': SLOW },
    });
    files['selvedge.config.js'] = files['selvedge.config.js']!.replace(
      "name: 'project',",
      "name: 'project', app: { entry: 'server.mjs' },",
    );
    site = await platform.deploy('wrong', files);
  });
  after(async () => {
    await platform?.stop();
    await silent?.close();
  });

  const project = (code: number, error: string, fault: string, details = ''): Expected => ({
    ...{ code, error, fault, details, hop: 'compute', act: 'project' },
  });
  const malformed = project(534, 'http_protocol_error', 'compute.malformed', 'malformed');
  const uncaught = project(534, 'http_response_incomplete', 'compute.uncaught', 'uncaught');
  const CASES: readonly [path: string, expected: Expected][] = [
    ['/status-text', malformed],
    ['/status-99', malformed],
    ['/status-1000', malformed],
    ['/status-half', malformed],
    ['/name-space', malformed],
    ['/name-empty', malformed],
    ['/value-line', malformed],
    ['/message-line', malformed],
    ['/app/99', malformed],
    ['/circular', uncaught],
    ['/no-response', uncaught],
    ['/rejects-undefined', uncaught],
    ['/throws-null', uncaught],
    ['/signal', project(534, 'connection_terminated', 'compute.exited', 'signal=SIGSEGV')],
    ['/exit-0', project(534, 'connection_terminated', 'compute.exited', 'exit code=0')],
    ['/fetch-declared', project(532, 'http_response_body_size', 'compute.body-bytes')],
    ['/app/declared', project(532, 'http_response_body_size', 'compute.body-bytes')],
    ['/buffers', project(540, 'connection_terminated', 'compute.memory', 'oom')],
  ];
  for (const [path, expected] of CASES)
    test(`${path} is ${expected.code} ${expected.fault}, and the next request is served`, async () => {
      await failing(platform, site, path, expected);
      assert.equal((await site.ask('/ok')).text, 'ok');
    });

  test('an object is JSON, the limit itself passes, and a second answer is none', async () => {
    assert.deepEqual((await site.ask('/object')).json(), { a: 1 });
    assert.equal((await site.ask('/app/full')).body.length, LIMIT);
    assert.equal((await site.ask('/app/twice')).text, 'once');
    assert.equal((await site.ask('/app/plain')).text, 'app');
  });

  /** The head was 200: the body is cut, and the log has the true code. */
  const CUT: readonly [path: string, code: string, fault: string][] = [
    ['/fetch-undeclared', '532', 'compute.body-bytes'],
    ['/fetch-breaks', '534', 'compute.uncaught'],
    ['/app/undeclared', '532', 'compute.body-bytes'],
    ['/app/after-head', '534', 'compute.uncaught'],
    ['/app/stalls', '539', 'compute.timeout'],
  ];
  for (const [path, code, fault] of CUT)
    test(`${path}: the body is cut and logged as ${code}`, async () => {
      const { response } = await begin({ port: platform.port, host: site.host, path });
      assert.equal(response.statusCode, 200);
      const seen = await bytesUntilCut(response);
      assert.ok(seen.cut && seen.bytes <= LIMIT, JSON.stringify(seen));
      const line = await platform.log(String(response.headers['x-sv-request-id']));
      assert.deepEqual([line.xcode, line.fault, line.hop, line.code], [code, fault, 'compute', '200']);
    });

  test('a developer reads in the server log which call was waited for, in lines of the source', async () => {
    const expected: Expected = {
      ...{ code: 539, error: 'http_response_timeout', fault: 'compute.timeout', details: 'upstream-slow' },
      ...{ hop: 'compute', act: 'upstream' },
    };
    const { answer } = await failing(platform, site, '/ship', expected);
    const line = await told(platform, answer.get('x-sv-request-id')!, '539');
    assert.match(String(line.message), /waiting for GET 127\.0\.0\.1:\d+\/ship\/7 for [\d.]+ s of/);
    assert.match(String(line.message), /from .*src\/orders\.ts:5:\d+/);
    assert.doesNotMatch(answer.text, /orders|ship\/7/);
  });

  test('and where a blocked event loop stood', async () => {
    const { answer } = await failing(
      platform,
      site,
      '/total',
      project(539, 'http_response_timeout', 'compute.timeout', 'loop-blocked'),
    );
    const line = await told(platform, answer.get('x-sv-request-id')!, '539');
    assert.match(String(line.message), /src\/orders\.ts:1[01]:\d+/);
  });

  test('a visitor that leaves is told to a fetch handler and to an app', async () => {
    for (const [path, sign, words] of [
      ['/leave', 'started', 'nobody waits'],
      ['/app/left', '', 'the visitor left'],
    ] as const) {
      const id = `left-${path.replaceAll('/', '')}-${Date.now()}`;
      const leaving = new AbortController();
      const asked = begin({
        port: platform.port,
        host: site.host,
        path,
        headers: { 'x-request-id': id },
        signal: leaving.signal,
      });
      if (sign !== '') {
        asked.catch(() => {});
        await until('the handler to start', () => said(platform, sign));
      } else
        await once(
          (await asked).response.on('error', () => {}),
          'data',
        );
      leaving.abort();
      await until(`'${words}' in the log`, () => said(platform, words));
    }
  });
});

describe('a project whose code hangs', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let [hung, well]: Site[] = [];
  before(async () => {
    const limits = { compute: { responseMs: 60_000, queueDepth: 50 } };
    [platform, origin] = await Promise.all([
      startPlatform({ config: { limits, compute: { workers: 4, prewarm: 1 } } }),
      pathOrigin(),
    ]);
    const routes = `
      .match('/hang', ({ compute }) => compute(() => new Promise(() => {})))
      .match('/kept', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 600 } }); proxy('o'); })
      .match('/code', ({ compute }) => compute((req, res) => { res.body = 'well'; }))`;
    const files = projectFiles({ o: origin.backend }, routes);
    hung = await platform.deploy('hung', files);
    well = await platform.deploy('well', files);
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  test('fills neither the workers nor the queue of another project, whose cache hits and code are served', async () => {
    const leaving = new AbortController();
    await well!.ask('/kept');
    await well!.ask('/code');
    const asked = Array.from({ length: 120 }, (_, at) =>
      hung!.ask(`/hang?${at}`, { signal: leaving.signal }).catch(() => undefined),
    );
    const refused = await Promise.race(asked);
    assert.deepEqual([refused?.status, refused?.get('x-sv-error')], [541, '541']);
    for (let count = 0; count < 30; count++) {
      const [kept, code] = await Promise.all([well!.ask('/kept'), well!.ask('/code')]);
      assert.deepEqual([kept.status, code.status, code.text], [200, 200, 'well']);
      assert.match(kept.get('cache-status')!, /hit/);
    }
    const together = await Promise.all(Array.from({ length: 8 }, () => well!.ask('/code')));
    assert.deepEqual(new Set(together.map(({ status }) => status)), new Set([200]));
    leaving.abort();
    await Promise.all(asked);
  });
});

async function bytesUntilCut(response: AsyncIterable<Buffer>): Promise<{ bytes: number; cut: boolean }> {
  let bytes = 0;
  try {
    for await (const chunk of response) bytes += chunk.length;
    return { bytes, cut: false };
  } catch {
    return { bytes, cut: true };
  }
}

/** The line of the platform in the server log of a request. */
async function told(platform: Platform, requestId: string, code: string): Promise<LogLine> {
  let found: LogLine | undefined;
  await until('the line of the server log', async () => {
    const lines = await platform.logs(requestId, 'server');
    found = lines.find(({ message }) => String(message).startsWith(code));
    return found !== undefined;
  });
  return found!;
}

async function said(platform: Platform, words: string): Promise<boolean> {
  const response = await fetch(`${platform.control.url}/v1/logs?kind=server`, {
    headers: { authorization: `Bearer ${platform.control.token}` },
  });
  return (await response.text()).includes(words);
}
