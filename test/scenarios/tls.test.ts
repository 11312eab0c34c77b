/** Clients over TLS: HTTP/2 and HTTP/1.1 on one port, the way from HTTP to HTTPS, processes that share the port. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ClientOptions, WebSocket, WebSocketServer } from 'ws';
import { certificates } from '../actors/certificates.ts';
import { type Platform, type Site, selvedge, startPlatform } from '../actors/platform.ts';

const home = mkdtempSync(join(tmpdir(), 'sv-tls-'));
after(() => rmSync(home, { recursive: true, force: true }));

const lab = await certificates();
const certFile = join(home, 'cert.pem');
const keyFile = join(home, 'key.pem');
writeFileSync(certFile, lab.good.cert);
writeFileSync(keyFile, lab.good.key);

const project = (origin: number) => ({
  'selvedge.config.js': `export default {
    backends: { api: { domainOrIp: '127.0.0.1', port: ${origin}, scheme: 'http' } },
  };`,
  'routes.js': `import { Router } from 'selvedge/router';
    export default new Router()
      .get('/stored', ({ cache, compute }) => {
        cache({ edge: { maxAgeSeconds: 600 } });
        compute((request, response) => { response.body = request.headers['x-sv-protocol'] + ' ' + request.protocol; });
      })
      .match('/echo', ({ compute }) => compute((request, response) => { response.body = 'got ' + request.body; }))
      .match('/api/:path*', ({ proxy }) => proxy('api', { path: '/:path*' }));`,
});

interface Reply {
  readonly status: number;
  readonly headers: http2.IncomingHttpHeaders;
  readonly text: string;
}

describe('a platform with a TLS listener', () => {
  let platform: Platform;
  let site: Site;
  let session: http2.ClientHttp2Session;
  const origin = new WebSocketServer({ port: 0, host: '127.0.0.1' });

  before(async () => {
    await once(origin, 'listening');
    origin.on('connection', (socket) => socket.on('message', (message) => socket.send(`heard ${message}`)));
    platform = await startPlatform({
      config: { domain: 'shop.test', listen: { tlsPort: 0, certFile, keyFile } },
      args: ['--workers', '2'],
    });
    site = await platform.deploy('shop', project((origin.address() as AddressInfo).port));
    session = http2.connect(`https://127.0.0.1:${platform.tlsPort}`, { ca: lab.ca, servername: 'shop.test' });
    await once(session, 'connect');
  });
  after(async () => {
    session?.destroy();
    await platform?.[Symbol.asyncDispose]();
    origin.close();
  });

  const over2 = async (path: string, head: http2.OutgoingHttpHeaders = {}, body?: string): Promise<Reply> => {
    const stream = session.request(
      { ':path': path, ':authority': site.host, ...head },
      { endStream: body === undefined },
    );
    if (body !== undefined) stream.end(body);
    const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
    let text = '';
    for await (const chunk of stream.setEncoding('utf8')) text += chunk;
    return { status: Number(headers[':status']), headers, text };
  };

  test('serves HTTP/2 from the cache, with everything it says about an exchange', async () => {
    const first = await over2('/stored');
    assert.deepEqual([first.status, first.text], [200, 'https https']);
    const second = await over2('/stored');
    assert.equal(second.headers['x-sv-hit-request-id'], first.headers['x-sv-request-id']);
    assert.match(String(second.headers['cache-status']), /; hit; ttl=\d+$/);
    assert.match(String(second.headers['x-sv-status']), /^eh=200/);
    const line = await platform.log(String(second.headers['x-sv-request-id']));
    assert.deepEqual([line.h2, line.ssl, line.cs, line.hh], ['1', 1, 'ok', site.host]);
  });

  test('answers failures with the same pages', async () => {
    const missing = await over2('/nothing', { accept: 'application/problem+json' });
    assert.equal(missing.status, 404);
    assert.equal(JSON.parse(missing.text).code, 404);
    assert.equal(missing.headers['x-sv-error'], '404');
    const stranger = await over2('/', { ':authority': 'nobody.test' });
    assert.equal(stranger.status, 535);
  });

  test('takes bodies', async () => {
    assert.equal((await over2('/echo', { ':method': 'POST' }, 'tea')).text, 'got tea');
  });

  test('serves HTTP/1.1 on the same port', async () => {
    const request = https.get({
      host: '127.0.0.1',
      port: platform.tlsPort,
      path: '/stored',
      headers: { host: site.host },
      ca: lab.ca,
      servername: 'shop.test',
    });
    const [response] = (await once(request, 'response')) as [import('node:http').IncomingMessage];
    response.resume();
    assert.deepEqual([response.statusCode, response.httpVersion], [200, '1.1']);
    const line = await platform.log(String(response.headers['x-sv-request-id']));
    assert.deepEqual([line.h2, line.ssl], ['0', 1]);
  });

  test('leads plain HTTP to the TLS port, because routes are written for HTTPS', async () => {
    const plain = await platform.request({ host: `${site.host}:${platform.port}`, path: '/stored?a=1' });
    assert.equal(plain.status, 301);
    assert.equal(plain.get('location'), `https://${site.host}:${platform.tlsPort}/stored?a=1`);
    const usual = await platform.request({ host: site.host, path: '/stored' });
    assert.equal(usual.get('location'), `https://${site.host}/stored`);
  });

  test('lets WebSockets through', async () => {
    const secure: https.RequestOptions = { headers: { host: site.host }, ca: lab.ca, servername: 'shop.test' };
    const socket = new WebSocket(`wss://127.0.0.1:${platform.tlsPort}/api/socket`, [], secure as ClientOptions);
    await once(socket, 'open');
    socket.send('hello');
    const [message] = await once(socket, 'message');
    assert.equal(String(message), 'heard hello');
    socket.terminate();
  });

  test('tells its address', () => {
    assert.match(site.permalink, /shop\.test/);
    assert.notEqual(platform.tlsPort, platform.port);
  });
});

test('files that do not fit together are refused in words', async () => {
  const wrongKey = join(home, 'wrong.pem');
  writeFileSync(wrongKey, lab.expired.key);
  const data = join(home, 'refused');
  const set = ['listen.tlsPort=0', `listen.certFile=${certFile}`, `listen.keyFile=${wrongKey}`];
  const ports = ['--http-port', '0', '--control-port', '0'];
  const { code, stderr } = await selvedge('start', '--data', data, ...ports, ...set.flatMap((it) => ['--set', it]));
  assert.equal(code, 1);
  assert.match(stderr, /listen\.certFile .* and listen\.keyFile .* cannot be used: /);
});
