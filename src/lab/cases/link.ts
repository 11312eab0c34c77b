/**
 * 546, 547, 548, 543 and what else an edge sees of its global POP. The edge of the world `link` is led to a peer in
 * the middle; the edge of the world `names` knows its global POP by a name.
 */
import type { Cause } from '../../status/causes.ts';
import type { LabCase } from '../case.ts';
import { answers, type LinkScript, relayed, reported, secured } from '../link-peer.ts';
import type { Certificate, Lab as Certificates } from '../peers/certificates.ts';
import type { Zone } from '../peers/dns-server.ts';
import { fullBacklog } from '../peers/full-backlog.ts';
import type { Scene } from '../scene.ts';

/** A route of `main` that every edge takes over the link. */
const THROUGH = '/through/the-link';

const link = (
  cause: Cause,
  variant: string,
  how: string,
  script: LinkScript,
  more: Partial<LabCase> = {},
): LabCase => ({
  cause,
  variant,
  how,
  hop: 'edge',
  world: 'link',
  alone: true,
  async provoke(scene) {
    scene.link.play(script);
    return scene.ask({ path: THROUGH });
  },
  ...more,
});

const certificate = (variant: string, how: string, pick: (of: Certificates) => Certificate, details: string): LabCase =>
  link(
    'link.tls.certificate',
    variant,
    how,
    secured(() => {}, pick),
    { details },
  );

const TLS: readonly LabCase[] = [
  certificate('expired', "the global POP's certificate expired yesterday", (of) => of.expired, 'CERT_HAS_EXPIRED'),
  certificate(
    'unknown-ca',
    "the global POP's certificate is of another authority",
    (of) => of.unknownAuthority,
    'UNABLE_TO_VERIFY',
  ),
  certificate(
    'wrong-name',
    "the global POP's certificate is for another name",
    (of) => of.wrongName,
    'ALTNAME_INVALID',
  ),
  link(
    'link.tls.certificate',
    'edge-certificate',
    'the global POP does not know the authority of the certificate that it is shown',
    relayed(undefined, (of) => of.unknownAuthority),
    { details: 'our certificate was refused' },
  ),
  link(
    'link.tls.alert',
    'alert',
    'the global POP answers the handshake with a fatal alert',
    (socket) => void socket.once('data', () => socket.end(Buffer.from([0x15, 3, 3, 0, 2, 2, 40]))),
    { details: 'alert 40' },
  ),
  link(
    'link.tls.protocol',
    'not-tls',
    'a plain listener is on the port of the global POP',
    (socket) => void socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
  ),
  link(
    'link.tls.closed',
    'closed',
    'the connection is closed in the handshake',
    (socket) => void socket.once('data', () => socket.destroy()),
  ),
  link('link.tls.timeout', 'silent', 'the global POP never says a word of TLS', () => {}),
];

const CHUNKED = reported('transfer-encoding: chunked\r\ntrailer: selvedge-link-end\r\n');

const HTTP: readonly LabCase[] = [
  link(
    'link.send.timeout',
    'stalled',
    'the global POP stops reading in the middle of a request',
    secured((socket) => void socket.pause()),
    {
      async provoke(scene) {
        scene.link.play(secured((socket) => void socket.pause()));
        return scene.ask({ path: THROUGH, method: 'POST', body: Buffer.alloc(48_000_000) });
      },
    },
  ),
  link(
    'link.head.timeout',
    'silence',
    'the global POP takes the request and says nothing more',
    secured((socket) => void socket.resume()),
  ),
  link('link.head.closed', 'closed', 'the global POP closes the connection without an answer', answers('', 'fin')),
  link('link.head.closed', 'killed', 'the connection is destroyed without an answer', answers('', 'rst')),
  link(
    'link.head.malformed',
    'not-http',
    'what comes over the link is not HTTP',
    answers('SSH-2.0-OpenSSH_9.9\r\n\r\n'),
    { details: '' },
  ),
  link(
    'link.head.malformed',
    'no-report',
    'an ordinary web server is on the port of the global POP',
    answers('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi'),
    { details: 'no report' },
  ),
  link(
    'link.head.malformed',
    'wrong-token',
    'the edge has another link token than its global POP',
    relayed((head) => head.replace('the-link-of-the-lab', 'the-link-of-a-liar')),
    { details: 'pop.linkToken was refused' },
  ),
  link(
    'link.head.transfer-coding',
    'unknown-coding',
    'the answer over the link is coded in a way that nobody asked for',
    answers(reported('transfer-encoding: xchunked\r\n'), 'fin'),
  ),
  link(
    'link.head.count',
    'link-lines',
    'the answer over the link has too many lines',
    answers(reported(`${'a: 1\r\n'.repeat(120)}content-length: 0\r\n`)),
  ),
  link(
    'link.head.bytes',
    'link-bytes',
    'the head over the link is too large',
    answers(reported(`${`a: ${'x'.repeat(45_000)}\r\n`.repeat(2)}content-length: 0\r\n`)),
  ),
  link(
    'link.head.cookie-bytes',
    'link-cookies',
    'the cookies over the link are too large',
    answers(reported(`set-cookie: a=${'x'.repeat(32_768)}\r\ncontent-length: 0\r\n`)),
  ),
  link('link.body.timeout', 'stuck-body', 'the body stops in the middle', answers(`${CHUNKED}5\r\nfirst\r\n`), {
    afterHead: true,
  }),
  link(
    'link.body.incomplete',
    'cut-body',
    'the connection ends in the middle of the body',
    answers(`${CHUNKED}5\r\nfirst\r\n`, 'fin'),
    { afterHead: true },
  ),
  link(
    'link.body.incomplete',
    'no-end',
    'the body ends without the mark that it is whole',
    answers(`${CHUNKED}5\r\nfirst\r\n0\r\n\r\n`),
    { afterHead: true },
  ),
  link(
    'link.body.malformed',
    'bad-chunk',
    'the size of a chunk is no number',
    answers(`${CHUNKED}5\r\nfirst\r\nzzz\r\n`),
    { afterHead: true },
  ),
  link(
    'link.body.bytes',
    'link-body',
    'the body over the link is larger than any may be',
    answers(reported('content-length: 300001\r\n')),
  ),
  link(
    'link.trailer.count',
    'link-trailers',
    'too many trailers end the body',
    answers(`${CHUNKED}0\r\n${'a: 1\r\n'.repeat(120)}\r\n`),
    { afterHead: true },
  ),
  link(
    'link.trailer.bytes',
    'link-trailer-bytes',
    'the trailers over the link are too large',
    answers(`${CHUNKED}0\r\n${`a: ${'x'.repeat(45_000)}\r\n`.repeat(2)}\r\n`),
    { afterHead: true },
  ),
  link(
    'link.connect.pool-full',
    'pool-full',
    'all connections that the edge may have to its global POP are in use',
    () => {},
    {
      async provoke(scene) {
        scene.link.play(secured((socket) => void socket.resume()));
        const beside = [1, 2, 3, 4].map((at) => scene.beside({ path: `${THROUGH}/${at}` }));
        // Two hold the connections, and one of the others has heard that there is none left.
        await Promise.race(beside);
        const seen = await scene.ask({ path: `${THROUGH}/5` });
        await Promise.all(beside);
        return seen;
      },
    },
  ),
  {
    ...link(
      'platform.warming',
      'edge-ahead',
      'the edge knows a deployment that its global POP has not heard of',
      relayed(ahead),
    ),
    hop: 'global',
  },
];

/** The same request for a deployment that does not exist yet. */
function ahead(head: string): string {
  return head.replace(/(selvedge-link-context: )(\S+)/i, (_, name: string, context: string) => {
    const known = JSON.parse(Buffer.from(context, 'base64url').toString()) as object;
    return name + Buffer.from(JSON.stringify({ ...known, deployment: 999 })).toString('base64url');
  });
}

const GLOBAL = 'global.lab.test';
const LOOK_MS = 100;
const REMEMBERED_MS = 1_200;

const named = (
  cause: Cause,
  variant: string,
  how: string,
  zone: Zone | null,
  more: Partial<LabCase> = {},
): LabCase => ({
  cause,
  variant,
  how,
  hop: 'edge',
  world: 'names',
  alone: true,
  provoke: (scene) => lookedUp(scene, zone),
  ...more,
});

async function lookedUp(scene: Scene, zone: Zone | null) {
  const { linkNames } = scene.kit;
  if (zone === null) linkNames.zones.delete(GLOBAL);
  else linkNames.zones.set(GLOBAL, zone);
  // The edge remembers the answer of the case before for a second; an old query may be repeated meanwhile.
  await new Promise((resolve) => setTimeout(resolve, REMEMBERED_MS));
  for (let asked = linkNames.queries.length; linkNames.queries.length === asked; ) {
    await scene.beside({ path: THROUGH });
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return scene.ask({ path: THROUGH });
}

const HERE: Zone = { A: ['127.0.0.1'], ttlSeconds: 1 };

const NAMES: readonly LabCase[] = [
  named('link.dns.nxdomain', 'nxdomain', 'the name of the global POP does not exist', null),
  named('link.dns.servfail', 'servfail', 'the name server fails', { rcode: 'SERVFAIL' }),
  named('link.dns.refused', 'refused', 'the name server refuses to answer', { rcode: 'REFUSED' }),
  named('link.dns.formerr', 'formerr', 'the name server does not understand the question', { rcode: 'FORMERR' }),
  named('link.dns.notimp', 'notimp', 'the name server cannot do what it is asked', { rcode: 'NOTIMP' }),
  named('link.dns.nodata', 'nodata', 'the name of the global POP has no address', {}),
  named('link.dns.timeout', 'silence', 'the name server never answers', { silent: true }),
  named('link.connect.refused', 'refused', 'nothing listens on the port of the global POP', HERE),
  named('link.connect.unroutable', 'unroutable', 'there is no route to the address of the global POP', {
    A: ['255.255.255.255'],
    ttlSeconds: 1,
  }),
  named('link.connect.timeout', 'connect', "the global POP's accept queue is full", HERE, {
    async provoke(scene) {
      await using _full = await fullBacklog(scene.kit.globalPort);
      return await lookedUp(scene, HERE);
    },
  }),
  named('link.dns.unreachable', 'no-name-server', 'nothing listens on the port of the name server', null, {
    ends: true,
    async provoke(scene) {
      await scene.kit.linkNames.close();
      return scene.ask({ path: THROUGH });
    },
  }),
];

export const LINK: readonly LabCase[] = [...TLS, ...HTTP, ...NAMES];
