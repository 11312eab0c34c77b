/** What is refused at the door, what has no answer, and what happens when parts of the platform are gone. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { checkFailure, type Expected, failing } from '../actors/failure.ts';
import { type RawOrigin, rawOrigin } from '../actors/origin.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { RawClient } from '../actors/raw-client.ts';
import { until } from '../actors/until.ts';

describe('at the door', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let silent: RawOrigin;
  let site: Site;
  before(async () => {
    const config = { limits: { pop: { silenceMs: 2_000, heartbeatMs: 300 }, drainMs: 1_000 } };
    [platform, origin, silent] = await Promise.all([startPlatform({ config }), pathOrigin(), rawOrigin(() => {})]);
    const backends = { o: origin.backend, silent: { domainOrIp: '127.0.0.1', port: silent.port, scheme: 'http' } };
    const routes = `
      .match('/kept/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('o'); })
      .match('/x', ({ proxy }) => proxy('o'))
      .match('/silent/:path*', ({ proxy }) => proxy('silent'))
      .match('/files/:path*', ({ serveStatic }) => serveStatic('files/:path*'))`;
    site = await platform.deploy('door', projectFiles(backends, routes, { files: { 'files/a.txt': 'a' } }));
  });
  after(async () => {
    await platform?.stop();
    await silent?.close();
    await origin?.close();
  });

  const entry = (code: number, error: string, fault: string, details: string, act = 'client'): Expected => ({
    ...{ code, error, fault, details, act },
    hop: 'client',
  });
  const BYTES: readonly [claim: string, bytes: (host: string) => string, status: number, fault: string][] = [
    [
      'two Host lines',
      (host) => `GET /x HTTP/1.1\r\nhost: ${host}\r\nhost: ${host}\r\n\r\n`,
      400,
      'request.multiple-host',
    ],
    ['no Host', () => 'GET /x HTTP/1.1\r\n\r\n', 535, 'host.missing'],
    ['a Host that is none', () => 'GET /x HTTP/1.1\r\nhost: a b\r\n\r\n', 544, 'host.syntax'],
    ['a Host with a user', () => 'GET /x HTTP/1.1\r\nhost: x@y\r\n\r\n', 544, 'host.syntax'],
    ['a Host that nobody has', () => 'GET /x HTTP/1.1\r\nhost: nobody.example\r\n\r\n', 535, 'host.unknown'],
    [
      'a path of 8,193 bytes',
      (host) => `GET /${'x'.repeat(8_192)} HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
      400,
      'request.url-bytes',
    ],
    [
      'cookies of 32 KB and one byte',
      (host) => `GET /x HTTP/1.1\r\nhost: ${host}\r\ncookie: ${'x'.repeat(32_769)}\r\n\r\n`,
      400,
      'request.cookie-bytes',
    ],
    [
      'headers of 64 KB and more',
      (host) => `GET /x HTTP/1.1\r\nhost: ${host}\r\na: ${'x'.repeat(65_536)}\r\n\r\n`,
      400,
      'request.header-bytes',
    ],
    [
      'both framings',
      (host) => `POST /x HTTP/1.1\r\nhost: ${host}\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n`,
      400,
      'request.framing',
    ],
    [
      'a coding that is not chunked',
      (host) => `POST /x HTTP/1.1\r\nhost: ${host}\r\ntransfer-encoding: xchunked\r\n\r\n`,
      400,
      'request.framing',
    ],
    ['something that is not HTTP', () => 'SSH-2.0-OpenSSH_9.9\r\n\r\n', 400, 'request.framing'],
    [
      'another authority than Host',
      (host) => `GET http://other.example/x HTTP/1.1\r\nhost: ${host}\r\n\r\n`,
      400,
      'request.authority-mismatch',
    ],
    [
      '71 headers',
      (host) => `GET /x HTTP/1.1\r\nhost: ${host}\r\n${'a: 1\r\n'.repeat(70)}\r\n`,
      542,
      'request.header-count',
    ],
  ];
  for (const [claim, bytes, status, fault] of BYTES) {
    test(`${claim}: ${status}`, async () => {
      const answer = await RawClient.ask(platform.port, bytes(site.host));
      assert.equal(answer.status, status);
      assert.equal(answer.get('x-sv-error'), String(status));
      assert.match(answer.get('proxy-status')!, /^"edge-local";error=/);
      const line = await platform.log(answer.get('x-sv-request-id')!);
      assert.deepEqual([line.xcode, line.fault], [String(status), fault]);
      assert.equal((await site.ask('/x')).status, 200);
    });
  }

  test('what is exactly at a limit passes', async () => {
    const path = `/files/${'x'.repeat(8_192 - '/files/'.length)}`;
    assert.equal((await site.ask(path)).status, 404);
    const headers = Object.fromEntries(Array.from({ length: 68 }, (_, at) => [`a-${at}`, '1']));
    assert.equal((await site.ask('/x', { headers })).status, 200);
  });

  test('no route and no file: 404 of the platform, each with its reason', async () => {
    const none = { ...entry(404, 'http_request_error', 'route.none', 'no-route', 'project'), hop: 'edge' } as const;
    await failing(platform, site, '/nowhere', none);
    const missing = { ...none, fault: 'route.asset-missing', details: 'asset-missing', hop: 'global' } as const;
    await failing(platform, site, '/files/none.txt', missing);
  });

  test('a slow origin behind the link is not taken for a silent global POP', async () => {
    const asked = site.ask('/silent/slow');
    asked.catch(() => {});
    await until('the origin to be asked', () => silent.connections.length > 0);
    const connection = silent.connections[0]!;
    await new Promise((resolve) => setTimeout(resolve, 2_300));
    await connection.write('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate');
    assert.equal((await asked).text, 'late');
  });

  test('the global process is killed: what waits gets 547, what is stored is served, its successor takes over', async () => {
    await site.ask('/kept/a');
    const waiting = site.ask('/silent/killed', { headers: { accept: 'application/problem+json' } });
    await until('the origin to be asked', () => silent.connections.some(({ text }) => text.includes('/silent/killed')));
    process.kill(globalProcess(platform), 'SIGKILL');
    const answer = await waiting;
    // A kept connection that broke proves nothing: the edge has tried a fresh one. Nobody took it any more, or the
    // dying process still did.
    const refused = /connection_refused/.test(answer.get('proxy-status')!);
    await checkFailure(platform, answer, {
      ...{ code: 547, hop: 'edge', act: 'platform' },
      ...(refused
        ? { error: 'connection_refused', fault: 'link.connect.refused' }
        : { error: 'connection_terminated', fault: 'link.head.closed' }),
    });
    assert.match((await site.ask('/kept/a')).get('cache-status')!, /"edge-local"; hit/);
    const next = await until('the successor to serve', async () => {
      const again = await site.ask('/x');
      if (again.status !== 200) assert.ok([545, 547].includes(again.status), `${again.status}`);
      return again.status === 200 && again;
    });
    assert.equal(next.get('x-sv-status'), 'eh=200,ed=200,gh=200,gd=200');
  });

  test('while draining, a connection that is open gets 545 and what has begun is finished', async () => {
    const own = await startPlatform({ config: { limits: { drainMs: 5_000 } } });
    const mine = await own.deploy(
      'draining',
      projectFiles({ o: origin.backend }, `.match('/:path*', ({ proxy }) => proxy('o'))`),
    );
    const idle = await own.connect();
    idle.write(`GET /x HTTP/1.1\r\nhost: ${mine.host}\r\n\r\n`);
    assert.equal((await idle.response()).status, 200);
    const held = Promise.withResolvers<() => void>();
    origin.on('/held', (_, response) => held.resolve(() => response.end('finished')));
    const begun = mine.ask('/held');
    const finish = await held.promise;
    const stopped = own.stop();
    // It may take a moment until the process with the connection has heard of it.
    const refused = await until('no more service', async () => {
      idle.write(`GET /x HTTP/1.1\r\nhost: ${mine.host}\r\n\r\n`);
      const answer = await idle.response().catch(() => 'closed' as const);
      return (answer === 'closed' || answer.status !== 200) && answer;
    });
    if (refused !== 'closed') {
      assert.deepEqual([refused.status, refused.get('x-sv-error')], [545, '545']);
      assert.ok(refused.get('retry-after'));
    }
    finish();
    assert.equal((await begun).text, 'finished');
    await stopped;
  });
});

/** The one that runs workers and holds the link listener. */
function globalProcess(platform: Platform): number {
  const port = Number(new URL(platform.link!).port);
  const listening = readFileSync('/proc/net/tcp', 'latin1').split('\n');
  const hex = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const inode = listening
    .find((line) => line.split(/\s+/)[2]?.endsWith(hex) && / 0A /.test(line))
    ?.trim()
    .split(/\s+/)[9];
  const owner = platform.processes().find((pid) => holds(pid, `socket:[${inode}]`));
  assert.ok(owner, 'some process listens on the link port');
  return owner;
}

function holds(pid: number, link: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === link);
  } catch {
    return false;
  }
}
