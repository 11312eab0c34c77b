/** 536, 542 and 532 of an upstream: connected, and what comes is too slow, cut, too large, or not HTTP. */
import type { Cause } from '../../status/causes.ts';
import type { LabCase } from '../case.ts';
import { saying } from '../kit.ts';

const OK = 'HTTP/1.1 200 OK\r\n';
const TEN = `${OK}content-length: 10\r\ncache-control: max-age=60\r\n\r\n`;

const says = (
  cause: Cause,
  variant: string,
  how: string,
  bytes: string,
  end?: 'fin' | 'rst',
  more: Partial<LabCase> = {},
): LabCase => ({ cause, variant, how, hop: 'global', backend: (kit) => kit.raw(saying(bytes, end)), ...more });

const AFTER_HEAD = { afterHead: true } as const;

const HEADS: readonly LabCase[] = [
  {
    cause: 'upstream.head.timeout',
    variant: 'silence',
    how: 'the upstream takes the request and never answers',
    hop: 'global',
    backend: (kit) => kit.raw(() => {}),
  },
  {
    cause: 'upstream.head.timeout',
    variant: 'tarpit',
    how: 'the upstream says a byte of its head now and then and never ends it',
    hop: 'global',
    backend: (kit) =>
      kit.raw(async (connection) => {
        await connection.received('\r\n\r\n');
        await connection.write(`${OK}x: `);
        const drip = setInterval(() => void connection.write('y').catch(() => {}), 100);
        connection.socket.once('close', () => clearInterval(drip));
      }),
  },
  {
    cause: 'upstream.send.timeout',
    variant: 'stalled-upload',
    how: 'the upstream stops reading in the middle of an upload',
    hop: 'edge',
    method: 'POST',
    backend: (kit) => kit.raw(({ socket }) => void socket.pause()),
    provoke: (scene) => scene.ask({ body: Buffer.alloc(48_000_000) }),
  },
  says('upstream.head.closed', 'closed', 'the upstream closes the connection without an answer', '', 'fin'),
  says('upstream.head.closed', 'reset', 'the upstream resets the connection without an answer', '', 'rst'),
  says('upstream.head.closed', 'half-head', 'the upstream closes in the middle of its head', `${OK}content-`, 'fin', {
    details: 'partial head',
  }),
  says('upstream.head.malformed', 'not-http', 'the upstream speaks SSH', 'SSH-2.0-OpenSSH_9.9\r\n\r\n'),
  says(
    'upstream.head.malformed',
    'two-lengths',
    'the head has two different lengths',
    `${OK}content-length: 1\r\ncontent-length: 2\r\n\r\nxx`,
  ),
  says('upstream.head.malformed', 'bad-field', 'a header line has no name', `${OK}: x\r\n\r\n`, 'fin'),
  says(
    'upstream.head.transfer-coding',
    'unknown-coding',
    'the body is coded in a way that nobody asked for',
    `${OK}transfer-encoding: xchunked\r\n\r\nx`,
    'fin',
  ),
  says(
    'upstream.head.count',
    'lines',
    'the answer has 71 header lines',
    `${OK}${'a: 1\r\n'.repeat(70)}content-length: 0\r\n\r\n`,
  ),
  says(
    'upstream.head.count',
    'flood',
    'the answer has 3,000 header lines, the last of which forbids to store it',
    `${OK}${'a: 1\r\n'.repeat(3_000)}cache-control: private\r\ncontent-length: 0\r\n\r\n`,
  ),
  says(
    'upstream.head.bytes',
    'head-bytes',
    'the head is larger than 64 KB',
    `${OK}${`a: ${'x'.repeat(40_000)}\r\n`.repeat(2)}content-length: 0\r\n\r\n`,
  ),
  says(
    'upstream.head.cookie-bytes',
    'cookie-bytes',
    'the cookies of the answer are larger than 32 KB',
    `${OK}set-cookie: a=${'x'.repeat(32_768)}\r\ncontent-length: 0\r\n\r\n`,
  ),
];

const TRAILED = `${OK}transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n0\r\n`;

const ODD: readonly LabCase[] = [
  says(
    'upstream.head.field-bytes',
    'line',
    'one header line is larger than a line may be',
    `${OK}a: ${'x'.repeat(50_000)}\r\ncontent-length: 0\r\n\r\n`,
  ),
  {
    cause: 'upstream.head.upgrade',
    variant: 'other-protocol',
    how: 'the client asks for a WebSocket and the upstream switches to something else',
    hop: 'edge',
    backend: (kit) =>
      kit.raw(saying('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: gopher\r\n\r\n')),
    provoke: (scene) => scene.bytes(WEBSOCKET(scene.host)),
  },
];

const WEBSOCKET = (host: string): string =>
  `host: ${host}\r\nconnection: upgrade\r\nupgrade: websocket\r\n` +
  'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

const BODIES: readonly LabCase[] = [
  says(
    'upstream.trailer.count',
    'trailers',
    'the body ends with 71 trailers',
    `${TRAILED}${'a: 1\r\n'.repeat(71)}\r\n`,
    undefined,
    AFTER_HEAD,
  ),
  says(
    'upstream.trailer.bytes',
    'trailer-bytes',
    'the trailers of the body are larger than 64 KB',
    `${TRAILED}${`a: ${'x'.repeat(40_000)}\r\n`.repeat(2)}\r\n`,
    undefined,
    AFTER_HEAD,
  ),
  says(
    'upstream.trailer.field-bytes',
    'trailer-field',
    'one trailer is larger than a line may be',
    `${TRAILED}a: ${'x'.repeat(50_000)}\r\n\r\n`,
    undefined,
    AFTER_HEAD,
  ),
  says('upstream.body.timeout', 'stuck-body', 'the body stops in the middle', `${TEN}short`, undefined, AFTER_HEAD),
  says('upstream.body.incomplete', 'cut-body', 'the body ends before its length', `${TEN}short`, 'fin', AFTER_HEAD),
  says(
    'upstream.body.incomplete',
    'reset-body',
    'the connection is reset in the body',
    `${TEN}short`,
    'rst',
    AFTER_HEAD,
  ),
  says(
    'upstream.body.malformed',
    'bad-chunk',
    'the size of a chunk is no number',
    `${OK}transfer-encoding: chunked\r\n\r\n5\r\nfirst\r\nzzz\r\n`,
    undefined,
    AFTER_HEAD,
  ),
  says(
    'upstream.body.bytes',
    'declared',
    'the answer declares more than an upstream may send',
    `${OK}content-length: 300001\r\n\r\n`,
  ),
  says(
    'upstream.body.bytes',
    'undeclared',
    'the answer grows over what an upstream may send',
    `${OK}connection: close\r\n\r\n${'x'.repeat(300_001)}`,
    'fin',
    AFTER_HEAD,
  ),
];

export const UPSTREAM_HTTP: readonly LabCase[] = [...HEADS, ...ODD, ...BODIES];
