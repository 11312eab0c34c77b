/** Every way in which an upstream can fail, through a whole platform: one cause, one code, one party that has to act. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type DnsServer, dnsServer } from '../actors/dns-server.ts';
import { checkFailure, type Expected, failing } from '../actors/failure.ts';
import { answering, closedPort, type RawConnection, type RawOrigin, rawOrigin } from '../actors/origin.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const OK_HEAD = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\ncache-control: max-age=60\r\n\r\n';
const SCRIPTS: Readonly<Record<string, (connection: RawConnection) => void | Promise<void>>> = {
  silent: () => {},
  closed: answering('', 'fin'),
  reset: answering('', 'rst'),
  nonsense: answering('SSH-2.0-OpenSSH_9.9\r\n\r\n'),
  xchunked: answering('HTTP/1.1 200 OK\r\ntransfer-encoding: xchunked\r\n\r\nx', 'fin'),
  cut: answering(`${OK_HEAD}short`, 'fin'),
  stuck: answering(`${OK_HEAD}short`),
  lines: answering(`HTTP/1.1 200 OK\r\n${'a: 1\r\n'.repeat(71)}content-length: 0\r\n\r\n`),
  manyLines: answering(
    `HTTP/1.1 200 OK\r\n${'a: 1\r\n'.repeat(3_000)}cache-control: private\r\ncontent-length: 0\r\n\r\n`,
  ),
  bigHead: answering(`HTTP/1.1 200 OK\r\na: ${'x'.repeat(65_536)}\r\ncontent-length: 0\r\n\r\n`),
};

describe('an upstream fails', () => {
  let platform: Platform;
  let names: DnsServer;
  let origin: PathOrigin;
  let site: Site;
  const raw = new Map<string, RawOrigin>();
  before(async () => {
    names = await dnsServer({
      'servfail.test': { rcode: 'SERVFAIL' },
      'refused.test': { rcode: 'REFUSED' },
      'empty.test': {},
      'silent.test': { silent: true },
    });
    const limits = { upstream: { responseMs: 2_000, bodyIdleMs: 1_000, dnsMs: 800, tlsMs: 800 } };
    const config = { dns: { servers: [names.address] }, limits, upstream: { prohibited: ['127.0.0.9/32'] } };
    [platform, origin] = await Promise.all([startPlatform({ config }), pathOrigin()]);
    for (const [name, script] of Object.entries(SCRIPTS)) raw.set(name, await rawOrigin(script));
    const at = (port: number) => ({ domainOrIp: '127.0.0.1', port, scheme: 'http' });
    const backends: Record<string, object> = {
      refused: at(await closedPort()),
      prohibited: { ...at(80), domainOrIp: '127.0.0.9' },
      link: at(Number(new URL(platform.link!).port)),
      control: at(Number(new URL(platform.control.url).port)),
      notTls: { ...at(origin.port), scheme: 'https' },
      silentTls: { ...at(raw.get('silent')!.port), scheme: 'https' },
      own: { ...at(platform.port), hostHeader: 'upstream-default.localhost' },
      origin: origin.backend,
      ...Object.fromEntries([...raw].map(([name, { port }]) => [name, at(port)])),
      ...Object.fromEntries(
        ['nothing', 'servfail', 'refused', 'empty', 'silent'].map((name) => [
          `dns-${name}`,
          { ...at(80), domainOrIp: `${name}.test` },
        ]),
      ),
    };
    const routes = Object.keys(backends).map((name) => `.match('/${name}', ({ proxy }) => proxy('${name}'))`);
    const more = `
      .match('/kept-cut', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('cut'); })
      .match('/caught/:path*', ({ proxy }) => proxy('refused'))
      .match('/pass/:path*', ({ cache, proxy }) => { cache({ edge: false }); proxy('refused'); })
      .match('/slow', ({ proxy }) => proxy('silent', {}))
      .catch(531, ({ send }) => send('sorry'))
      .match('/:path*', ({ proxy }) => proxy('origin'))`;
    site = await platform.deploy('upstream', projectFiles(backends, `${routes.join('\n')}${more}`));
  });
  after(async () => {
    await platform?.stop();
    for (const one of raw.values()) await one.close();
    await origin?.close();
    await names?.close();
  });

  const expected = (code: number, error: string, fault: string, act = 'upstream', details = ''): Expected => ({
    ...{ code, error, fault, act, details },
    hop: 'global',
  });
  const CASES: readonly [path: string, claim: string, expected: Expected][] = [
    [
      '/link',
      'the link of the platform itself',
      expected(531, 'destination_ip_prohibited', 'upstream.connect.prohibited', 'project'),
    ],
    [
      '/control',
      'the Control API',
      expected(531, 'destination_ip_prohibited', 'upstream.connect.prohibited', 'project'),
    ],
    [
      '/prohibited',
      'a prohibited network',
      expected(531, 'destination_ip_prohibited', 'upstream.connect.prohibited', 'project'),
    ],
    ['/notTls', 'plain HTTP where TLS was expected', expected(533, 'tls_protocol_error', 'upstream.tls.protocol')],
    [
      '/silentTls',
      'a silent handshake',
      expected(533, 'connection_timeout', 'upstream.tls.timeout', 'upstream', 'tls handshake'),
    ],
    ['/silent', 'silence', expected(536, 'http_response_timeout', 'upstream.head.timeout')],
    [
      '/closed',
      'a connection closed before the answer',
      expected(536, 'connection_terminated', 'upstream.head.closed'),
    ],
    ['/reset', 'a connection reset before the answer', expected(536, 'connection_terminated', 'upstream.head.closed')],
    ['/nonsense', 'something else than HTTP', expected(536, 'http_protocol_error', 'upstream.head.malformed')],
    [
      '/xchunked',
      'a transfer coding that nobody knows',
      expected(536, 'http_response_transfer_coding', 'upstream.head.transfer-coding'),
    ],
    [
      '/dns-nothing',
      'a name that does not exist',
      expected(537, 'dns_error', 'upstream.dns.nxdomain', 'project', 'NXDOMAIN'),
    ],
    [
      '/dns-servfail',
      'a name server in trouble',
      expected(537, 'dns_error', 'upstream.dns.servfail', 'upstream', 'SERVFAIL'),
    ],
    [
      '/dns-refused',
      'a name server that refuses',
      expected(537, 'dns_error', 'upstream.dns.refused', 'upstream', 'REFUSED'),
    ],
    ['/dns-empty', 'a name without an address', expected(537, 'dns_error', 'upstream.dns.nodata', 'project', 'nodata')],
    ['/dns-silent', 'a silent name server', expected(537, 'dns_timeout', 'upstream.dns.timeout')],
    [
      '/lines',
      '71 header lines',
      expected(542, 'http_response_header_section_size', 'upstream.head.count', 'upstream', 'header-count'),
    ],
    [
      '/manyLines',
      '3,000 header lines, the last of which matters',
      expected(542, 'http_response_header_section_size', 'upstream.head.count'),
    ],
    [
      '/bigHead',
      'a head of more than 64 KB',
      expected(542, 'http_response_header_section_size', 'upstream.head.bytes', 'upstream', 'header-bytes'),
    ],
  ];
  for (const [path, claim, failure] of CASES) {
    test(`${claim}: ${failure.code}`, async () => {
      const { answer } = await failing(platform, site, path, failure);
      assert.equal(
        answer.get('x-sv-status'),
        `eh=${failure.code},ed=${failure.code},gh=${failure.code},gd=${failure.code}`,
      );
    });
  }

  test('a body cut after the head cuts the connection; the log has the code and nothing is stored', async () => {
    for (const path of ['/kept-cut', '/kept-cut', '/cut', '/stuck']) {
      const id = `cut-${crypto.randomUUID()}`;
      await assert.rejects(site.ask(path, { headers: { 'x-request-id': id } }), /aborted|reset|hang up/);
      const line = await platform.log(id);
      const cause = path === '/stuck' ? 'upstream.body.timeout' : 'upstream.body.incomplete';
      assert.deepEqual(
        [line.xcode, line.fault, line.hop, line.act, line.done, line.code],
        ['536', cause, 'global', 'upstream', '0', '200'],
      );
    }
    assert.equal(raw.get('cut')!.connections.length, 3);
  });

  test('a catch route replaces the body; status, codes and attribution stay', async () => {
    for (const path of ['/refused', '/caught/page', '/pass/page']) {
      const answer = await site.ask(path, { headers: { accept: 'application/problem+json' } });
      assert.equal(answer.text, 'sorry');
      const hop = path === '/pass/page' ? 'edge' : 'global';
      await checkFailure(platform, answer, { ...expected(531, 'connection_refused', 'upstream.connect.refused'), hop });
    }
  });

  test("a project's own 534 and an upstream's own 536 pass untouched", async () => {
    for (const code of [534, 536, 400, 404, 412, 545]) {
      const path = origin.on(`/own-${code}`, (_request, response) => void response.writeHead(code, 'Mine').end('mine'));
      const answer = await site.ask(path);
      assert.deepEqual([answer.status, answer.reason, answer.text], [code, 'Mine', 'mine']);
      for (const name of ['x-sv-error', 'proxy-status']) assert.equal(answer.get(name), undefined);
      assert.match(answer.get('cache-status')!, /fwd=/);
      const line = await platform.log(answer.get('x-sv-request-id')!);
      assert.deepEqual(['xcode' in line, line.code, line.er], [false, String(code), 0]);
    }
  });

  test('a site that is its own upstream is served four times, the fifth is refused', async () => {
    const answer = await site.ask('/own', { headers: { accept: 'application/problem+json' } });
    assert.equal(answer.status, 538);
    const { requestId } = answer.json();
    const lines = await until('a record of each pass', async () => {
      const all = await platform.logs(requestId, 'access');
      return all.length === 5 && all;
    });
    // Only the innermost pass was refused by the platform itself; the others pass its answer on.
    assert.deepEqual(
      lines.map(({ xcode, fault }) => [xcode, fault]).filter(([code]) => code !== undefined),
      [['538', 'platform.loop']],
    );
    const others = await site.ask('/x', { headers: { 'cdn-loop': 'fastly, cloudflare, akamai, a, b, c' } });
    assert.equal(others.status, 200);
    const ours = await site.ask('/x', { headers: { 'cdn-loop': 'selvedge, selvedge, selvedge, selvedge' } });
    await checkFailure(platform, ours, {
      ...expected(538, 'proxy_loop_detected', 'platform.loop', 'project'),
      hop: 'edge',
    });
  });

  test('the page comes as HTML, text or JSON, as the client likes it, and as a head only for HEAD', async () => {
    const page = (accept: string, method = 'GET') => site.ask('/closed', { method, headers: { accept } });
    assert.match((await page('text/html,*/*;q=0.8')).get('content-type')!, /^text\/html/);
    assert.match((await page('text/html')).text, /536/);
    assert.match((await page('text/plain')).text, /536/);
    assert.match((await page('application/json')).get('content-type')!, /json/);
    const head = await page('text/html', 'HEAD');
    assert.deepEqual([head.status, head.body.length, head.get('x-sv-error')], [536, 0, '536']);
  });
});
