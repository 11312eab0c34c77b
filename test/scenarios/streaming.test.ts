/** Bodies as streams: nothing is held back, nothing is collected, and who leaves is noticed at the other end. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { begin } from '../actors/client.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, residentMb, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const MB = 1024 * 1024;

describe('streaming', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    [platform, origin] = await Promise.all([startPlatform(), pathOrigin()]);
    const routes = `
      .match('/kept/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('o'); })
      .match('/never/:path*', ({ cache, proxy }) => { cache({ edge: false }); proxy('o'); })
      .match('/:path*', ({ proxy }) => proxy('o'))`;
    site = await platform.deploy('streaming', projectFiles({ o: origin.backend }, routes));
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  /** Says `size` bytes as fast as they are taken. */
  function endless(path: string, size: number, type = 'application/octet-stream'): string {
    const chunk = Buffer.alloc(256 * 1024, 'x');
    return origin.on(path, (_request, response) => {
      response.writeHead(200, { 'content-type': type, 'content-length': size });
      let left = size;
      const more = (): void => {
        while (left > 0) {
          const part = left < chunk.length ? chunk.subarray(0, left) : chunk;
          left -= part.length;
          if (!response.write(part)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    });
  }
  const head = (path: string, signal?: AbortSignal) =>
    begin({ port: platform.port, host: site.host, path, ...(signal ? { signal } : {}) });
  const largestMb = () => Math.max(...platform.processes().map(residentMb));

  test('600 MB pass with the memory of a small answer', async () => {
    await Promise.all([site.ask('/x'), site.ask('/kept/x')]);
    const before = largestMb();
    let peak = 0;
    for (const path of [endless('/large', 300 * MB), endless('/kept/large', 300 * MB)]) {
      const { response } = await head(path);
      let bytes = 0;
      for await (const chunk of response) {
        if (Math.floor(bytes / (32 * MB)) !== Math.floor((bytes + chunk.length) / (32 * MB)))
          peak = Math.max(peak, largestMb());
        bytes += chunk.length;
      }
      assert.equal(bytes, 300 * MB);
    }
    assert.ok(peak < before + 150, `${before.toFixed()} MB before, ${peak.toFixed()} MB at most`);
  });

  test('a slow reader slows the origin down instead of filling the memory', async () => {
    const size = 200 * MB;
    let written = 0;
    origin.on('/never/slow', (_request, response) => {
      response.writeHead(200, { 'content-length': size });
      const chunk = Buffer.alloc(MB);
      const more = (): void => {
        while (written < size) {
          written += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', more);
        }
        response.end();
      };
      more();
    });
    const { response } = await head('/never/slow');
    response.pause();
    let last = -1;
    await until('the origin to stand still', async () => {
      const before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
      const still = before === written && last === written;
      last = written;
      return still;
    });
    assert.ok(written < 60 * MB, `${written / MB} MB in flight`);
    let bytes = 0;
    for await (const chunk of response) bytes += chunk.length;
    assert.equal(bytes, size);
  });

  test('events reach the client one by one, before the stream ends', async () => {
    const feed = Promise.withResolvers<(text: string | null) => void>();
    origin.on('/events', (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'max-age=60' });
      response.flushHeaders();
      feed.resolve((text) => (text === null ? response.end() : response.write(text)));
    });
    const { response } = await begin({
      port: platform.port,
      host: site.host,
      path: '/events',
      headers: { 'accept-encoding': 'gzip, br' },
    });
    assert.equal(response.headers['content-encoding'], undefined);
    assert.equal(response.headers['x-sv-caching-status'], 'pass');
    const say = await feed.promise;
    for (const event of ['data: one\n\n', 'data: two\n\n']) {
      say(event);
      const [chunk] = await once(response, 'data');
      assert.equal(String(chunk), event);
    }
    say(null);
    await once(response.resume(), 'end');
  });

  test('a compressed page that comes in pieces is seen in pieces', async () => {
    const parts = Promise.withResolvers<(text: string | null) => void>();
    origin.on('/kept/pieces', (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html' });
      parts.resolve((text) => (text === null ? response.end() : response.write(text)));
      response.write('<html>first');
    });
    const { response } = await begin({
      port: platform.port,
      host: site.host,
      path: '/kept/pieces',
      headers: { 'accept-encoding': 'gzip' },
    });
    assert.equal(response.headers['content-encoding'], 'gzip');
    const [first] = await once(response, 'data');
    assert.ok(first.length > 0);
    (await parts.promise)(null);
    await once(response.resume(), 'end');
  });

  test('an upload reaches the origin while it is being sent', async () => {
    const seen = Promise.withResolvers<IncomingMessage>();
    origin.on('/upload', (request, response) => {
      seen.resolve(request);
      request.on('end', () => response.end('all'));
    });
    const client = await platform.connect();
    client.write(`POST /upload HTTP/1.1\r\nhost: ${site.host}\r\ntransfer-encoding: chunked\r\n\r\n4\r\nwarp\r\n`);
    const request = await seen.promise;
    const [first] = await once(request, 'data');
    assert.equal(String(first), 'warp');
    client.write('4\r\nweft\r\n0\r\n\r\n');
    assert.equal((await client.response()).text, 'all');
    client.destroy();
  });

  test('a large upload arrives as it was sent, in bounded memory', async () => {
    const digest = Promise.withResolvers<string>();
    origin.on('/never/upload', (request, response) => {
      const hash = createHash('sha256');
      request.on('data', (chunk) => hash.update(chunk));
      request.on('end', () => {
        digest.resolve(hash.digest('hex'));
        response.end();
      });
    });
    const body = Buffer.alloc(40 * MB, 'weft');
    assert.equal((await site.ask('/never/upload', { method: 'PUT', body })).status, 200);
    assert.equal(await digest.promise, createHash('sha256').update(body).digest('hex'));
  });

  test('who expects 100-continue gets it before the body, or the final answer instead', async () => {
    const client = await platform.connect();
    client.write(`POST /x HTTP/1.1\r\nhost: ${site.host}\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n`);
    assert.equal((await client.head()).status, 100);
    client.write('warp');
    assert.equal(JSON.parse((await client.response()).text).body, 'warp');
    client.destroy();
    const refused = await platform.connect();
    refused.write('POST /x HTTP/1.1\r\nhost: nobody.example\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n');
    assert.equal((await refused.head()).status, 535);
    refused.destroy();
  });

  test('trailers of the origin reach a client that takes them', async () => {
    origin.on('/trailers', (_request, response) => {
      response.writeHead(200, { trailer: 'x-checksum' });
      response.write('cloth');
      response.addTrailers({ 'x-checksum': 'abc' });
      response.end();
    });
    const answer = await site.ask('/trailers', { headers: { te: 'trailers' } });
    assert.deepEqual([answer.text, answer.trailers['x-checksum']], ['cloth', 'abc']);
  });

  test('interim answers of the upstream arrive before the answer, each once', async () => {
    origin.on('/hints', (_request, response) => {
      response.writeEarlyHints({ link: '</a.css>; rel=preload; as=style' });
      response.writeProcessing();
      response.end('page');
    });
    const { text, interim } = await site.ask('/hints');
    assert.equal(text, 'page');
    assert.deepEqual(
      interim.map(({ status }) => status),
      [103, 102],
    );
    assert.equal(interim[0]!.headers.link, '</a.css>; rel=preload; as=style');
  });

  for (const path of ['/aborted', '/kept/aborted', '/never/aborted']) {
    test(`a client that leaves ${path} is noticed by the origin, and nobody is blamed`, async () => {
      const closed = Promise.withResolvers<void>();
      const asked = Promise.withResolvers<void>();
      origin.on(path, (_request, response) => {
        response.on('close', closed.resolve);
        asked.resolve();
      });
      const leaving = new AbortController();
      const headers = { 'x-request-id': `left-${path.replaceAll('/', '-')}` };
      const answer = site.ask(path, { signal: leaving.signal, headers });
      answer.catch(() => {});
      await asked.promise;
      leaving.abort();
      await closed.promise;
      const line = await platform.log(headers['x-request-id']);
      assert.deepEqual([line.done, 'xcode' in line], ['0', false]);
    });
  }

  test('WebSockets pass both ways, text and bytes, and closing reaches the other end', async () => {
    const server = new WebSocketServer({ noServer: true });
    origin.server.on('upgrade', (request, socket, rest) => {
      server.handleUpgrade(request, socket, rest, (peer) => {
        peer.send(`hello ${request.url} ${request.headers['x-forwarded-for']}`);
        peer.on('message', (data, isBinary) => peer.send(data, { binary: isBinary }));
        peer.on('close', () => server.emit('left'));
      });
    });
    const socket = new WebSocket(`ws://127.0.0.1:${platform.port}/socket?a=1`, { headers: { host: site.host } });
    const [hello] = await once(socket, 'message');
    assert.equal(String(hello), 'hello /socket?a=1 127.0.0.1');
    const bytes = Buffer.alloc(200_000, 7);
    for (const [data, binary] of [
      ['text', false],
      [bytes, true],
    ] as const) {
      socket.send(data);
      const [echo, isBinary] = await once(socket, 'message');
      assert.equal(isBinary, binary);
      assert.ok(Buffer.from(data).equals(echo));
    }
    const left = once(server, 'left');
    socket.close();
    await left;
  });
});
