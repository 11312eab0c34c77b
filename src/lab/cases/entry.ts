/** What is refused at the door: the client's bytes (400, 408, 413, 417, 542), hosts (535, 544), loops (538). */
import type { LabCase } from '../case.ts';
import { at } from '../kit.ts';
import { RawClient } from '../peers/raw-client.ts';
import { read } from '../seen.ts';

type Refused = Pick<LabCase, 'cause' | 'variant' | 'how' | 'details'>;

/** A GET of the world's project with these lines in its head. */
const lines = (about: Refused, make: (host: string) => string, hop: LabCase['hop'] = 'client'): LabCase => ({
  ...about,
  hop,
  provoke: (scene) => scene.bytes(make(scene.host)),
});

/** A head whose first line is not the usual one. */
const start = (about: Refused, first: string, more = ''): LabCase => ({
  ...about,
  hop: 'client',
  provoke: (scene) => scene.bytes(`host: ${scene.host}\r\n${more}`, first),
});

const FRAMING: readonly LabCase[] = [
  lines(
    { cause: 'request.framing', variant: 'two-framings', how: 'Content-Length stands beside Transfer-Encoding' },
    (host) => `host: ${host}\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n`,
  ),
  lines(
    { cause: 'request.framing', variant: 'unknown-coding', how: 'the transfer coding of the request is none' },
    (host) => `host: ${host}\r\ntransfer-encoding: xchunked\r\n`,
  ),
  start({ cause: 'request.framing', variant: 'not-http', how: 'the client speaks SSH' }, 'SSH-2.0-OpenSSH_9.9'),
  lines(
    { cause: 'request.multiple-host', variant: 'two-hosts', how: 'the request has two Host lines' },
    (host) => `host: ${host}\r\nhost: ${host}\r\n`,
  ),
  start(
    {
      cause: 'request.authority-mismatch',
      variant: 'authority',
      how: 'the absolute address in the request line names another host than the Host line',
    },
    'GET http://other.example/ HTTP/1.1',
  ),
  start(
    { cause: 'request.method', variant: 'connect', how: 'the client asks for a tunnel' },
    'CONNECT a.example:443 HTTP/1.1',
  ),
  start({ cause: 'request.method', variant: 'trace', how: 'the client sends TRACE' }, 'TRACE / HTTP/1.1'),
  start(
    { cause: 'request.expectation', variant: 'expectation', how: 'the client expects what nobody offers' },
    'GET / HTTP/1.1',
    'expect: a-miracle\r\n',
  ),
  {
    cause: 'request.upgrade',
    variant: 'upgrade',
    how: 'the client wants a WebSocket of a route that leads to project code',
    details: 'not-proxied',
    hop: 'edge',
    handler: '() => {}',
    provoke: (scene) =>
      scene.bytes(
        `host: ${scene.host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n` +
          'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
      ),
  },
];

const SIZES: readonly LabCase[] = [
  start(
    { cause: 'request.url-bytes', variant: 'url', how: 'path and query are one byte longer than 8 KB' },
    `GET /${'x'.repeat(8_192)} HTTP/1.1`,
  ),
  lines(
    { cause: 'request.cookie-bytes', variant: 'cookies', how: 'the cookies are one byte larger than 32 KB' },
    (host) => `host: ${host}\r\ncookie: ${'x'.repeat(32_769)}\r\n`,
  ),
  lines(
    { cause: 'request.header-bytes', variant: 'headers', how: 'the header lines are larger than 64 KB' },
    (host) => `host: ${host}\r\na: ${'x'.repeat(65_536)}\r\n`,
  ),
  lines(
    { cause: 'request.header-count', variant: 'request-lines', how: 'the request has 71 header lines and its id' },
    (host) => `host: ${host}\r\n${'a: 1\r\n'.repeat(70)}`,
    'edge',
  ),
  {
    cause: 'request.timeout',
    variant: 'slow-head',
    how: 'the client begins a request and does not get on with it',
    hop: 'client',
    async provoke(scene) {
      const client = await RawClient.connect(scene.port);
      const startedMs = performance.now();
      client.write(`GET ${scene.path} HTTP/1.1\r\nhost: ${scene.host}\r\n`);
      return read(client, startedMs).finally(() => client.destroy());
    },
  },
  {
    cause: 'request.body-bytes',
    variant: 'body',
    how: 'a request body for project code is one byte over its limit',
    hop: 'compute',
    method: 'POST',
    handler: '() => {}',
    provoke: (scene) => scene.ask({ body: Buffer.alloc(50_001) }),
  },
];

const HOSTS: readonly LabCase[] = [
  lines({ cause: 'host.missing', variant: 'no-host', how: 'the request has no Host line' }, () => ''),
  lines({ cause: 'host.missing', variant: 'empty-host', how: 'the Host line is empty' }, () => 'host:\r\n'),
  lines(
    { cause: 'host.unknown', variant: 'unknown-host', how: 'no project is bound to the host' },
    () => 'host: nobody.example\r\n',
    'edge',
  ),
  ...(
    [
      ['space', 'a b'],
      ['user', 'x@y'],
      ['slash', 'a/b'],
      ['empty-label', 'a..b'],
      ['long-label', `${'x'.repeat(64)}.example`],
      ['port', 'a:99999'],
      ['non-ascii', 'm\xfcnchen.example'],
    ] as const
  ).map(([variant, host]) =>
    lines({ cause: 'host.syntax', variant, how: `the Host line says \`${host}\`` }, () => `host: ${host}\r\n`),
  ),
];

const LOOPS: readonly LabCase[] = [
  {
    cause: 'platform.loop',
    variant: 'marked',
    how: 'the request has passed through this platform four times, as CDN-Loop says',
    hop: 'edge',
    headers: { 'cdn-loop': 'selvedge, selvedge, selvedge, selvedge' },
  },
  {
    cause: 'platform.loop',
    variant: 'own-upstream',
    how: "the site's upstream is the site itself, so that the fifth pass is refused",
    hop: 'edge',
    passedOn: true,
    backend: (_kit, self) => ({ ...at(self.port), hostHeader: 'lab-default.localhost' }),
  },
];

export const ENTRY: readonly LabCase[] = [...FRAMING, ...SIZES, ...HOSTS, ...LOOPS];
