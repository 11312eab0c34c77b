/** One stored object, many answers: HEAD, 304, ranges, content codings. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';

const TEXT = 'warp and weft, '.repeat(200);

describe('answers made from one stored object', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    [platform, origin] = await Promise.all([startPlatform(), pathOrigin()]);
    const routes = `
      .match('/kept/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('o'); })
      .match('/:path*', ({ proxy }) => proxy('o'))`;
    site = await platform.deploy('variants', projectFiles({ o: origin.backend }, routes));
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  const text = (path: string, headers: Readonly<Record<string, string>> = {}): string =>
    origin.on(path, (_request, response) => {
      const all = {
        etag: '"v1"',
        'last-modified': 'Sat, 01 Jan 2022 00:00:00 GMT',
        'content-type': 'text/plain',
        ...headers,
      };
      for (const [name, value] of Object.entries(all)) response.setHeader(name, value);
      response.end(TEXT);
    });
  const accept = (value: string) => ({ headers: { 'accept-encoding': value } });

  test('HEAD is answered from a stored GET with the same head and no body', async () => {
    const path = text('/kept/head');
    const get = await site.ask(path);
    const head = await site.ask(path, { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(head.body.length, 0);
    assert.equal(head.get('content-length'), get.get('content-length'));
    assert.equal(head.get('etag'), '"v1"');
    assert.equal(origin.count(path), 1);
  });

  test('HEAD without a stored answer is asked as HEAD', async () => {
    origin.on('/kept/head-first', (request, response) => {
      response.setHeader('content-length', '3000').setHeader('x-method', request.method!);
      response.end();
    });
    const head = await site.ask('/kept/head-first', { method: 'HEAD' });
    assert.deepEqual([head.get('x-method'), head.get('content-length')], ['HEAD', '3000']);
  });

  test('who has the object already gets 304, by tag and by date', async () => {
    const path = text('/kept/conditional');
    await site.ask(path);
    for (const headers of [
      { 'if-none-match': 'W/"v0", "v1"' },
      { 'if-modified-since': 'Sat, 01 Jan 2022 00:00:00 GMT' },
    ]) {
      const answer = await site.ask(path, { headers });
      assert.deepEqual([answer.status, answer.body.length, answer.get('etag')], [304, 0, '"v1"']);
      assert.match(answer.get('cache-status')!, /"edge-local"; hit/);
    }
    assert.equal((await site.ask(path, { headers: { 'if-none-match': '"v2"' } })).status, 200);
    assert.equal(origin.count(path), 1);
  });

  test('the first request of a conditional client fills the store with the whole', async () => {
    const path = text('/kept/conditional-first');
    const answer = await site.ask(path, { headers: { 'if-none-match': '"v1"' } });
    assert.equal(answer.status, 304);
    assert.equal((await site.ask(path)).text, TEXT);
    assert.equal(origin.count(path), 1);
  });

  test('ranges are cut from the stored whole', async () => {
    const path = text('/kept/range');
    const first = await site.ask(path, { headers: { range: 'bytes=5-7' } });
    assert.deepEqual([first.status, first.text, first.get('content-range')], [206, 'and', `bytes 5-7/${TEXT.length}`]);
    const last = await site.ask(path, { headers: { range: 'bytes=-6' } });
    assert.deepEqual([last.status, last.text], [206, TEXT.slice(-6)]);
    const beyond = await site.ask(path, { headers: { range: 'bytes=9000-' } });
    assert.deepEqual([beyond.status, beyond.get('content-range')], [416, `bytes */${TEXT.length}`]);
    const several = await site.ask(path, { headers: { range: 'bytes=0-3,9-12' } });
    assert.equal(several.status, 206);
    assert.match(several.get('content-type')!, /^multipart\/byteranges; boundary=/);
    const changed = await site.ask(path, { headers: { range: 'bytes=0-3', 'if-range': '"v0"' } });
    assert.deepEqual([changed.status, changed.body.length], [200, TEXT.length]);
    assert.equal(origin.count(path), 1);
  });

  test('a range of what is known not to be storable is asked for at the origin, which answers with the part', async () => {
    const asked: (string | undefined)[] = [];
    origin.on('/range', (request, response) => {
      asked.push(request.headers.range);
      if (request.headers.range === undefined) response.end(TEXT);
      else response.writeHead(206, { 'content-range': 'bytes 0-3/3000', 'content-length': 4 }).end('warp');
    });
    for (const expected of [[undefined], [undefined, 'bytes=0-3']]) {
      const answer = await site.ask('/range', { headers: { range: 'bytes=0-3' } });
      assert.deepEqual([answer.status, answer.text, answer.get('content-range')], [206, 'warp', 'bytes 0-3/3000']);
      assert.deepEqual(asked, expected);
    }
  });

  test('text is compressed once for each coding, and every variant is stored', async () => {
    const path = text('/kept/coded');
    const gzip = await site.ask(path, accept('gzip, deflate'));
    assert.deepEqual([gzip.get('content-encoding'), gzip.text], ['gzip', TEXT]);
    assert.equal(gzip.get('etag'), 'W/"v1"');
    const brotli = await site.ask(path, accept('br'));
    assert.deepEqual([brotli.get('content-encoding'), brotli.text], ['br', TEXT]);
    assert.ok(brotli.body.length < TEXT.length / 5);
    const plain = await site.ask(path);
    assert.deepEqual([plain.get('content-encoding'), plain.text], [undefined, TEXT]);
    const before = origin.count(path);
    for (const value of ['gzip', 'gzip;q=0.5, zstd', 'br;q=1', 'identity', '*;q=0']) {
      const answer = await site.ask(path, accept(value));
      assert.equal(answer.text, TEXT, value);
      assert.match(answer.get('cache-status')!, /"edge-local"; hit/, value);
      assert.match(answer.get('vary')!, /accept-encoding/);
    }
    assert.equal(origin.count(path), before);
  });

  test('an upstream that compresses itself is left alone', async () => {
    origin.on('/kept/own', (request, response) => {
      assert.equal(request.headers['accept-encoding'], 'br, gzip');
      response.setHeader('content-encoding', 'gzip').setHeader('content-type', 'text/plain').setHeader('etag', '"own"');
      response.end(gzipSync(TEXT));
    });
    const answer = await site.ask('/kept/own', accept('gzip, br'));
    assert.deepEqual([answer.get('content-encoding'), answer.text, answer.get('etag')], ['gzip', TEXT, '"own"']);
  });

  test('what must not be changed, and what gains nothing, is sent as it is', async () => {
    const paths = [
      text('/kept/no-transform', { 'cache-control': 'no-transform' }),
      text('/kept/picture', { 'content-type': 'image/png' }),
    ];
    for (const path of paths)
      assert.equal((await site.ask(path, accept('gzip'))).get('content-encoding'), undefined, path);
    origin.on('/kept/small', (_, response) => void response.setHeader('content-type', 'text/plain').end('small'));
    assert.equal((await site.ask('/kept/small', accept('gzip'))).get('content-encoding'), undefined);
  });

  test('a HEAD of a compressed object and its 304 speak of the same variant', async () => {
    const path = text('/kept/coded-head');
    const get = await site.ask(path, accept('gzip'));
    const head = await site.ask(path, { method: 'HEAD', ...accept('gzip') });
    assert.deepEqual([head.get('content-encoding'), head.get('etag')], ['gzip', get.get('etag')]);
    const same = await site.ask(path, { headers: { 'accept-encoding': 'gzip', 'if-none-match': get.get('etag')! } });
    assert.equal(same.status, 304);
    assert.equal(origin.count(path), 1);
  });
});
