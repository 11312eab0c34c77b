/** Every way in which a dialled exchange fails, by its real cause over real sockets, on both legs. */
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { certificates } from '../../test/actors/certificates.ts';
import { closedDnsServer, dnsServer, type Zone } from '../../test/actors/dns-server.ts';
import { fullBacklog } from '../../test/actors/full-backlog.ts';
import { answering, closedPort, httpOrigin, type RawConnection, rawOrigin } from '../../test/actors/origin.ts';
import { notTls, type TlsPeer, tlsOrigin } from '../../test/actors/tls-peer.ts';
import { type CallOptions, faultOf, LAB_LIMITS, textOf, turns, upstreamLab } from '../../test/actors/upstream-lab.ts';
import { CAUSES, type Leg, type LegStage } from '../status/causes.ts';
import type { Fault } from '../status/fault.ts';
import { Prohibited } from './prohibited.ts';

type Provoke = (options: CallOptions, leg: Leg) => Promise<Fault>;

interface Story {
  readonly stage: LegStage;
  readonly title: string;
  readonly provoke: Provoke;
  readonly check?: (fault: Fault) => void;
}

/** A name server that answers so. */
const zone =
  (answer: Zone): Provoke =>
  async (options) => {
    await using server = await dnsServer({ 'a.test': answer });
    await using lab = await upstreamLab({ dnsServers: [server.address] });
    return await lab.fault(80, { ...options, origin: { ...options.origin, host: 'a.test' } });
  };

/** A connection that is answered so. */
const raw =
  (script: (connection: RawConnection) => void | Promise<void>, call: CallOptions = {}): Provoke =>
  async (options) => {
    await using origin = await rawOrigin(script);
    await using lab = await upstreamLab();
    return await lab.fault(origin.port, { ...call, ...options });
  };

const bytes = (text: string, end?: 'fin' | 'rst', call?: CallOptions): Provoke => raw(answering(text, end), call);

/** A head, then a body that is read to its end. */
const body =
  (text: string, end?: 'fin' | 'rst', call: CallOptions = {}): Provoke =>
  async (options) => {
    await using origin = await rawOrigin(answering(text, end));
    await using lab = await upstreamLab();
    const { response } = await lab.send(origin.port, { ...call, ...options });
    return await faultOf(textOf(response.body));
  };

const secured =
  (start: () => Promise<TlsPeer>, call: CallOptions['origin'] = {}): Provoke =>
  async (options) => {
    await using peer = await start();
    await using lab = await upstreamLab({ trusting: true });
    const origin = { ...options.origin, scheme: 'https', ...call } as const;
    return await lab.fault(peer.port, { ...options, origin });
  };

/** Silence, until the time of the phase is over. */
const silent =
  (script: (connection: RawConnection) => void | Promise<void>, delayMs: number, call: CallOptions = {}): Provoke =>
  async (options) => {
    await using origin = await rawOrigin(script);
    await using lab = await upstreamLab();
    const work = lab.fault(origin.port, { ...call, ...options });
    await lab.clock.armed(delayMs);
    lab.clock.advance(delayMs);
    return await work;
  };

const lab = certificates();
const lines = (count: number, line = 'x-n: 1\r\n'): string => line.repeat(count);
const details = (token: string) => (fault: Fault) => assert.equal(fault.details, token);
const parameter = (name: string, value: string | number) => (fault: Fault) =>
  assert.equal(fault.parameters[name], value);
const OK = 'HTTP/1.1 200 OK\r\n';

const DNS: readonly Story[] = [
  {
    stage: 'dns.nxdomain',
    title: 'the name does not exist',
    provoke: zone({ rcode: 'NXDOMAIN' }),
    check: parameter('rcode', 'NXDOMAIN'),
  },
  {
    stage: 'dns.servfail',
    title: 'the name server fails',
    provoke: zone({ rcode: 'SERVFAIL' }),
    check: details('SERVFAIL'),
  },
  { stage: 'dns.refused', title: 'the name server refuses', provoke: zone({ rcode: 'REFUSED' }) },
  { stage: 'dns.formerr', title: 'the name server does not understand', provoke: zone({ rcode: 'FORMERR' }) },
  { stage: 'dns.notimp', title: 'the name server cannot', provoke: zone({ rcode: 'NOTIMP' }) },
  { stage: 'dns.nodata', title: 'the name has no address', provoke: zone({}) },
  {
    stage: 'dns.bad-name',
    title: 'the name has an empty label',
    async provoke(options) {
      await using room = await upstreamLab();
      return await room.fault(80, { ...options, origin: { ...options.origin, host: 'a..test' } });
    },
  },
  {
    stage: 'dns.unreachable',
    title: 'the name server does not run',
    async provoke(options) {
      await using room = await upstreamLab({ dnsServers: [await closedDnsServer()] });
      return await room.fault(80, { ...options, origin: { ...options.origin, host: 'a.test' } });
    },
  },
  {
    stage: 'dns.timeout',
    title: 'the name server says nothing',
    async provoke(options) {
      await using server = await dnsServer({ 'a.test': { silent: true } });
      await using room = await upstreamLab({ dnsServers: [server.address] });
      const work = room.fault(80, { ...options, origin: { ...options.origin, host: 'a.test' } });
      await server.asked('a.test');
      room.clock.advance(LAB_LIMITS.dnsMs);
      return await work;
    },
  },
];

const CONNECT: readonly Story[] = [
  {
    stage: 'connect.refused',
    title: 'nobody listens on the port',
    async provoke(options) {
      await using room = await upstreamLab();
      return await room.fault(await closedPort(), options);
    },
  },
  {
    stage: 'connect.timeout',
    title: 'no SYN is answered',
    async provoke(options) {
      await using full = await fullBacklog();
      await using room = await upstreamLab();
      const work = room.fault(full.port, options);
      await room.clock.armed(LAB_LIMITS.connectMs);
      room.clock.advance(LAB_LIMITS.connectMs);
      return await work;
    },
  },
  {
    stage: 'connect.unroutable',
    title: 'no route leads to the address',
    async provoke(options) {
      await using room = await upstreamLab();
      return await room.fault(80, { ...options, origin: { ...options.origin, host: '255.255.255.255' } });
    },
  },
  {
    stage: 'connect.prohibited',
    title: 'the address must not be dialled',
    async provoke(options, leg) {
      await using origin = await httpOrigin();
      await using room = await upstreamLab({ prohibited: { [leg]: new Prohibited({ networks: ['127.0.0.0/8'] }) } });
      const fault = await room.fault(origin.port, options);
      assert.equal(origin.connections, 0);
      return fault;
    },
  },
  {
    stage: 'connect.pool-full',
    title: 'all connections are taken for too long',
    async provoke(options) {
      await using origin = await httpOrigin(() => {});
      await using room = await upstreamLab();
      const limits = { poolSize: 1, responseMs: 5_000 };
      const controller = new AbortController();
      const first = room.send(origin.port, { ...options, limits, signal: controller.signal });
      const second = room.fault(origin.port, { ...options, limits });
      await room.clock.armed(limits.responseMs);
      await room.clock.armed(LAB_LIMITS.poolWaitMs);
      room.clock.advance(LAB_LIMITS.poolWaitMs);
      const fault = await second;
      controller.abort(new Error('enough'));
      await assert.rejects(first, /enough/);
      return fault;
    },
  },
];

const TLS: readonly Story[] = [
  {
    stage: 'tls.certificate',
    title: 'it covers another name',
    provoke: secured(async () => tlsOrigin((await lab).wrongName)),
    check: details('ERR_TLS_CERT_ALTNAME_INVALID'),
  },
  {
    stage: 'tls.certificate',
    title: 'it has expired',
    provoke: secured(async () => tlsOrigin((await lab).expired)),
    check: details('CERT_HAS_EXPIRED'),
  },
  {
    stage: 'tls.certificate',
    title: 'it is not yet valid',
    provoke: secured(async () => tlsOrigin((await lab).notYetValid)),
    check: details('CERT_NOT_YET_VALID'),
  },
  {
    stage: 'tls.certificate',
    title: 'it is signed by itself',
    provoke: secured(async () => tlsOrigin((await lab).selfSigned)),
    check: details('DEPTH_ZERO_SELF_SIGNED_CERT'),
  },
  {
    stage: 'tls.certificate',
    title: 'nobody knows who signed it',
    provoke: secured(async () => tlsOrigin((await lab).unknownAuthority)),
    check: details('UNABLE_TO_VERIFY_LEAF_SIGNATURE'),
  },
  {
    stage: 'tls.certificate',
    title: 'the name that must be covered is told',
    provoke: secured(async () => tlsOrigin((await lab).good), { servername: 'shop.example' }),
    check: details('ERR_TLS_CERT_ALTNAME_INVALID'),
  },
  {
    stage: 'tls.protocol',
    title: 'the peer speaks plain HTTP',
    provoke: secured(() => notTls((socket) => void socket.end(`${OK}\r\n`))),
    check: details('WRONG_VERSION_NUMBER'),
  },
  {
    stage: 'tls.closed',
    title: 'the peer closes in the handshake',
    provoke: secured(() => notTls((socket) => void socket.once('data', () => socket.end()))),
    check: details('tls handshake'),
  },
  {
    stage: 'tls.closed',
    title: 'the peer resets in the handshake',
    provoke: secured(() => notTls((socket) => void socket.once('data', () => socket.resetAndDestroy()))),
  },
  {
    stage: 'tls.timeout',
    title: 'the peer accepts and says nothing',
    async provoke(options) {
      await using peer = await notTls(() => {});
      await using room = await upstreamLab();
      const work = room.fault(peer.port, { ...options, origin: { ...options.origin, scheme: 'https' } });
      await room.clock.armed(LAB_LIMITS.tlsMs);
      room.clock.advance(LAB_LIMITS.tlsMs);
      return await work;
    },
    check: details('tls handshake'),
  },
  {
    stage: 'tls.alert',
    title: 'the peer knows no protocol version of ours',
    provoke: secured(async () =>
      tlsOrigin({ ...(await lab).good, maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'ALL@SECLEVEL=0' }),
    ),
    check: parameter('alert-id', 70),
  },
  {
    stage: 'tls.alert',
    title: 'the peer wants a client certificate (TLS 1.2)',
    provoke: secured(async () =>
      tlsOrigin({ ...(await lab).good, ca: (await lab).ca, requestCert: true, maxVersion: 'TLSv1.2' }),
    ),
    check: parameter('alert-id', 40),
  },
  {
    stage: 'tls.alert',
    title: 'the peer wants a client certificate (TLS 1.3: the alert comes behind the handshake)',
    provoke: secured(async () =>
      tlsOrigin({ ...(await lab).good, ca: (await lab).ca, requestCert: true, minVersion: 'TLSv1.3' }),
    ),
    check: parameter('alert-id', 116),
  },
];

const HEAD: readonly Story[] = [
  {
    stage: 'send.timeout',
    title: 'the upload stalls',
    async provoke(options) {
      await using origin = await rawOrigin(({ socket }) => void socket.pause());
      await using room = await upstreamLab();
      let over = false;
      const call = { ...options, method: 'POST', body: Buffer.alloc(50_000_000) };
      const work = room.fault(origin.port, call).finally(() => {
        over = true;
      });
      while (!over) {
        await room.clock.armed(LAB_LIMITS.writeIdleMs);
        room.clock.advance(LAB_LIMITS.writeIdleMs);
        await turns();
      }
      return await work;
    },
  },
  {
    stage: 'head.timeout',
    title: 'the upstream accepts and says nothing',
    provoke: silent(() => {}, LAB_LIMITS.responseMs),
  },
  {
    stage: 'head.timeout',
    title: 'half a head, then silence',
    provoke: silent(answering(`${OK}x-n: 1\r\n`), LAB_LIMITS.responseMs),
  },
  { stage: 'head.closed', title: 'FIN before the head', provoke: bytes('', 'fin') },
  { stage: 'head.closed', title: 'RST before the head', provoke: bytes('', 'rst') },
  {
    stage: 'head.closed',
    title: 'FIN in the middle of the head',
    provoke: bytes(`${OK}x-n`, 'fin'),
    check: details('partial head'),
  },
  {
    stage: 'head.closed',
    title: 'RST in the middle of the head',
    provoke: bytes(`${OK}x-n`, 'rst'),
    check: details('partial head'),
  },
  {
    stage: 'head.closed',
    title: 'an interim response only',
    provoke: bytes('HTTP/1.1 103 Early Hints\r\n\r\n', 'fin'),
  },
  {
    stage: 'head.malformed',
    title: 'a banner of something else',
    provoke: bytes('SSH-2.0-OpenSSH_9.6\r\n'),
    check: details('Expected HTTP/, RTSP/ or ICE/'),
  },
  { stage: 'head.malformed', title: 'no status', provoke: bytes('HTTP/1.1 OK\r\n\r\n') },
  { stage: 'head.malformed', title: 'a status below 100', provoke: bytes('HTTP/1.1 042 What\r\n\r\n') },
  { stage: 'head.malformed', title: 'another version', provoke: bytes('HTTP/9.9 200 OK\r\n\r\n') },
  { stage: 'head.malformed', title: 'a control character in a name', provoke: bytes(`${OK}x\x01y: 1\r\n\r\n`) },
  { stage: 'head.malformed', title: 'a folded line', provoke: bytes(`${OK}x: 1\r\n folded\r\n\r\n`) },
  {
    stage: 'head.malformed',
    title: 'two lengths',
    provoke: bytes(`${OK}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`),
    check: details('framing'),
  },
  {
    stage: 'head.malformed',
    title: 'a length and chunks',
    provoke: bytes(`${OK}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
    check: details('framing'),
  },
  {
    stage: 'head.malformed',
    title: 'an upgrade that nobody asked for',
    provoke: bytes('HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
  },
  {
    stage: 'head.transfer-coding',
    title: 'xchunked',
    provoke: bytes(`${OK}Transfer-Encoding: xchunked\r\n\r\nabc`, 'fin'),
    check: parameter('coding', 'xchunked'),
  },
  {
    stage: 'head.transfer-coding',
    title: 'gzip, chunked',
    provoke: bytes(`${OK}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`),
    check: parameter('coding', 'gzip'),
  },
  {
    stage: 'head.count',
    title: '71 lines',
    provoke: bytes(`${OK}${lines(70)}content-length: 0\r\n\r\n`, undefined, {}),
    check: (fault) => assert.equal(fault.evidence.seen, 71),
  },
  {
    stage: 'head.count',
    title: '3,000 lines',
    provoke: bytes(`${OK}${lines(2_999)}cache-control: private\r\n\r\n`),
    check: (fault) => assert.equal(fault.evidence.seen, 3_000),
  },
  {
    stage: 'head.bytes',
    title: 'one byte more than 64 KB',
    provoke: bytes(`${OK}a: ${'x'.repeat(65_536 - 4)}\r\n\r\n`),
  },
  { stage: 'head.bytes', title: 'a head without end', provoke: bytes(`${OK}a: ${'x'.repeat(1_000_000)}`) },
  {
    stage: 'head.cookie-bytes',
    title: 'one byte of cookies more than 32 KB',
    provoke: bytes(`${OK}set-cookie: ${'x'.repeat(16_384)}\r\nset-cookie: ${'x'.repeat(16_385)}\r\n\r\n`),
  },
  {
    stage: 'head.field-bytes',
    title: 'a line of one byte more than is allowed',
    provoke: bytes(`${OK}x-long: ${'x'.repeat(91)}\r\ncontent-length: 0\r\n\r\n`, undefined, {
      limits: { headerFieldBytes: 100 },
    }),
    check: (fault) => {
      assert.deepEqual(fault.parameters, { 'header-name': 'x-long', 'header-size': 101 });
      assert.equal(fault.evidence.seen, 101);
    },
  },
  {
    stage: 'head.upgrade',
    title: 'another protocol than was asked for',
    provoke: bytes('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n', undefined, {
      upgrade: 'websocket',
    }),
    check: (fault) => assert.equal(fault.evidence.chosen, 'h2c'),
  },
];

const CHUNKS = `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n`;

const BODY: readonly Story[] = [
  {
    stage: 'body.incomplete',
    title: 'FIN before the announced length',
    provoke: body(`${OK}Content-Length: 10\r\n\r\nabc`, 'fin'),
  },
  {
    stage: 'body.incomplete',
    title: 'FIN before the announced length, on a connection that was to be closed',
    provoke: body(`${OK}Connection: close\r\nContent-Length: 10\r\n\r\nabc`, 'fin'),
  },
  {
    stage: 'body.incomplete',
    title: 'RST before the announced length',
    provoke: body(`${OK}Content-Length: 10\r\n\r\nabc`, 'rst'),
  },
  {
    stage: 'body.incomplete',
    title: 'FIN before the last chunk',
    provoke: body(`${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`, 'fin'),
  },
  {
    stage: 'body.incomplete',
    title: 'RST in a body without length',
    provoke: body(`${OK}Connection: close\r\n\r\nabc`, 'rst'),
  },
  {
    stage: 'body.malformed',
    title: 'a chunk size that is none',
    provoke: body(`${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n`),
    check: details('Invalid character in chunk size'),
  },
  {
    stage: 'body.malformed',
    title: 'a chunk longer than its size',
    provoke: body(`${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n0\r\n\r\n`),
  },
  {
    stage: 'body.bytes',
    title: 'a length over the limit',
    provoke: bytes(`${OK}Content-Length: 11\r\n\r\n`, undefined, { limits: { bodyBytes: 10 } }),
    check: parameter('body-size', 11),
  },
  {
    stage: 'body.bytes',
    title: 'more chunks than the limit',
    provoke: body(`${OK}Transfer-Encoding: chunked\r\n\r\n6\r\nabcdef\r\n5\r\nghijk\r\n0\r\n\r\n`, undefined, {
      limits: { bodyBytes: 10 },
    }),
  },
  {
    stage: 'trailer.count',
    title: '71 trailers',
    provoke: body(`${CHUNKS}${lines(71)}\r\n`),
    check: (fault) => assert.equal(fault.evidence.seen, 71),
  },
  {
    stage: 'trailer.bytes',
    title: 'one byte more than 64 KB of trailers',
    provoke: body(`${CHUNKS}a: ${'x'.repeat(65_536 - 4)}\r\n\r\n`),
    check: parameter('trailer-section-size', 65_537),
  },
  { stage: 'trailer.bytes', title: 'trailers without end', provoke: body(`${CHUNKS}a: ${'x'.repeat(1_000_000)}`) },
  {
    stage: 'trailer.field-bytes',
    title: 'a trailer of one byte more than is allowed',
    provoke: body(`${CHUNKS}x-long: ${'x'.repeat(91)}\r\n\r\n`, undefined, { limits: { headerFieldBytes: 100 } }),
    check: parameter('trailer-name', 'x-long'),
  },
  {
    stage: 'body.timeout',
    title: 'silence in the body',
    async provoke(options) {
      await using origin = await rawOrigin(answering(`${OK}Content-Length: 10\r\n\r\nabc`));
      await using room = await upstreamLab();
      const { response } = await room.send(origin.port, options);
      const work = faultOf(textOf(response.body));
      await room.clock.armed(LAB_LIMITS.bodyIdleMs);
      await turns();
      room.clock.advance(LAB_LIMITS.bodyIdleMs);
      return await work;
    },
  },
];

const STORIES = { DNS, CONNECT, TLS, HEAD, BODY };
const reached = new Set<LegStage>();

for (const leg of ['upstream', 'link'] as const) {
  for (const [phase, stories] of Object.entries(STORIES)) {
    describe(`${leg}: ${phase}`, () => {
      for (const { stage, title, provoke, check } of stories) {
        if (!(`${leg}.${stage}` in CAUSES)) continue;
        test(`${stage}: ${title}`, async () => {
          const fault = await provoke({ origin: { leg } }, leg);
          assert.equal(fault.why, `${leg}.${stage}`, `${fault.message} ${JSON.stringify(fault.evidence)}`);
          assert.equal(fault.code, CAUSES[fault.why].code);
          assert.equal(fault.hop, 'edge');
          check?.(fault);
          const attempts = fault.evidence.attempts as { fault?: Fault }[];
          assert.equal(attempts.at(-1)?.fault?.why, fault.why);
          reached.add(stage);
        });
      }
    });
  }
}

after(() => {
  const causes = Object.keys(CAUSES).filter((cause) => /^(upstream|link)\./.test(cause));
  const missing = causes.filter((cause) => !reached.has(cause.replace(/^[^.]+\./, '') as LegStage));
  assert.deepEqual(missing, [], 'every cause of a leg is provoked here');
});
