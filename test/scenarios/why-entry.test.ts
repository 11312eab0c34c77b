/** What `selvedge why` tells of requests that never became an exchange, of tunnels, and of the link between the hops. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { cliHere } from '../actors/cli.ts';
import { rawOrigin } from '../actors/origin.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { descendants, type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

describe('the story of a request at the door', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    [platform, origin] = await Promise.all([
      startPlatform({ config: { limits: { client: { headMs: 500 } } } }),
      pathOrigin(),
    ]);
    site = await platform.deploy(
      'why',
      projectFiles({ origin: origin.backend }, `.fallback(({ proxy }) => proxy('origin'))`),
    );
  });
  after(async () => {
    await platform.stop();
    await origin[Symbol.asyncDispose]();
  });

  const idIn = (raw: readonly string[]): string =>
    raw[raw.findIndex((name) => name.toLowerCase() === 'x-sv-request-id') + 1]!;

  for (const [what, bytes, cause] of [
    ['a malformed request', 'GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n', 'request.framing'],
    ['two hosts', 'GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n', 'request.multiple-host'],
    [
      'cookies that are too large',
      `GET / HTTP/1.1\r\nhost: a\r\ncookie: a=${'x'.repeat(33_000)}\r\n\r\n`,
      'request.cookie-bytes',
    ],
    ['a host that is none', 'GET / HTTP/1.1\r\nhost: a b\r\n\r\n', 'host.syntax'],
    ['no host', 'GET / HTTP/1.1\r\n\r\n', 'host.missing'],
    ['a head that does not end', 'GET / HTTP/1.1\r\nhost: a\r\n', 'request.timeout'],
  ] as const) {
    test(`${what}: refused as ${cause}`, async () => {
      const client = await platform.connect();
      const id = idIn((await client.write(bytes).response()).raw);
      client.destroy();
      const { story, explanation, commands } = await platform.why(id);
      assert.deepEqual([story.end, story.fault?.cause, explanation?.cause], ['refused', cause, cause]);
      assert.match(commands.client, /^curl /);
      assert.doesNotMatch(JSON.stringify(story), /xxxx/);
    });
  }

  test('a host that nobody has: 535, and the host is in the story', async () => {
    const answer = await platform.request({ host: 'nobody.example', path: '/' });
    const { story, explanation } = await platform.why(answer.get('x-sv-request-id')!);
    assert.deepEqual([explanation?.code, story.request.host], [535, 'nobody.example']);
  });

  test('an upgraded request has a story while the tunnel is open, and another when it is closed', async () => {
    const server = new WebSocketServer({ noServer: true });
    origin.server.on('upgrade', (request, socket, rest) => server.handleUpgrade(request, socket, rest, () => {}));
    const headers = { host: site.host, 'x-request-id': 'the-tunnel' };
    const socket = new WebSocket(`ws://127.0.0.1:${platform.port}/socket?token=abcdef`, { headers });
    await once(socket, 'open');
    const open = await platform.why('the-tunnel');
    assert.deepEqual([open.story.end, open.story.status], ['tunnel', 101]);
    assert.equal(open.story.calls?.[0]?.attempts.length, 1);
    socket.close();
    const closed = await platform.why('the-tunnel', ({ story }) => story.end === 'tunnel-closed');
    assert.ok(closed.story.durationMs >= open.story.durationMs);
    assert.match(closed.commands.client, /-H 'upgrade: websocket'/);
    assert.doesNotMatch(JSON.stringify(closed), /abcdef/);
    const told = await cliHere(['why', 'the-tunnel', '--data', platform.data]);
    assert.match(told.stdout, /^101: answered by the upstream origin; the tunnel was open for/);
  });

  test('a global POP that dies under a request: 547, seen by the edge, on an attempt of the link', async () => {
    const silent = await rawOrigin(() => {});
    const other = await platform.deploy(
      'silent',
      projectFiles(
        { silent: { domainOrIp: '127.0.0.1', port: silent.port, scheme: 'http' } },
        `.fallback(({ proxy }) => proxy('silent'))`,
      ),
    );
    const waiting = other.ask('/x');
    await until('the upstream to be asked', () => silent.connections.some(({ text }) => text.includes('/x')));
    process.kill(globalProcess(platform), 'SIGKILL');
    const answer = await waiting;
    assert.equal(answer.status, 547);
    const { story, explanation, inner } = await platform.why(answer.get('x-sv-request-id')!);
    assert.deepEqual(
      [explanation?.hop, explanation?.cause, explanation?.acts],
      ['edge', 'link.head.closed', 'platform'],
    );
    const [call] = story.calls!;
    assert.deepEqual([call!.leg, call!.attempts.at(-1)!.fault?.cause], ['link', 'link.head.closed']);
    assert.deepEqual(
      [call!.fields, inner],
      [[], []],
      'what proves who we are is in no story; the other part died with its hop',
    );
    await silent[Symbol.asyncDispose]();
  });
});

/** The POP that has workers or the one that is not an edge: it was started first. */
function globalProcess(platform: Platform): number {
  const pops = descendants(platform.child.pid!).filter((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('--pop-process'),
  );
  return Math.min(...pops);
}
