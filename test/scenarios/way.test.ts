/** The way of a request, edge → link → global → upstream, and what each hop adds, keeps and refuses to believe. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';

describe('the way of a request', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    [platform, origin] = await Promise.all([startPlatform({ config: { pop: { name: 'lab' } } }), pathOrigin()]);
    site = await platform.deploy(
      'way',
      projectFiles(
        { o: origin.backend },
        `
        .match('/kept/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('o'); })
        .match('/named', ({ proxy }) => proxy('o', { headers: { host: 'x.example' } }))
        .match('/:path*', ({ proxy }) => proxy('o'))`,
      ),
    );
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  test('an answer tells who made it, of which version, at what cost, and under which id', async () => {
    const answer = await site.ask('/kept/a');
    assert.equal(answer.status, 200);
    assert.equal(answer.get('x-sv-status'), 'eh=200,ed=200,gh=200,gd=200');
    assert.match(answer.get('x-sv-components')!, /^e=edge-lab,g=global-lab$/);
    assert.match(answer.get('x-sv-version')!, /^1 \S+ 1 \d{4}-\d\d-\d\dT[\d:.]+Z \S+$/);
    assert.match(
      answer.get('x-sv-t')!,
      /^eh=\d+,ect=\d+,ecc=cached,(?:ecwt=\d+,)?edt=\d+,edd=\d+,.*dgpop=global-lab,gh=\d+,gct=\d+,gcc=cached,.*gdt=\d+/,
    );
    assert.equal(answer.get('x-sv-caching-status'), 'ok');
    assert.match(answer.get('x-sv-cache-hash')!, /^[0-9a-f]{32}$/);
    assert.match(answer.get('x-sv-request-id')!, /^[\x21-\x7e]{1,128}$/);
    assert.equal(answer.get('x-request-id'), answer.get('x-sv-request-id'));
    assert.equal(answer.get('x-sv-hit-request-id'), undefined);
    assert.equal(answer.get('vary'), 'accept-encoding,user-agent');
    assert.equal(answer.get('age'), undefined);
    assert.equal(answer.get('via'), '1.1 global-lab, 1.1 edge-lab');
  });

  test('Cache-Status has the hop nearest to the origin first, and a hit replaces only the own member', async () => {
    const first = await site.ask('/kept/b');
    assert.match(
      first.get('cache-status')!,
      /^"global-lab"; fwd=uri-miss; .*stored.*, "edge-lab"; fwd=uri-miss; .*stored/,
    );
    const second = await site.ask('/kept/b');
    assert.match(second.get('cache-status')!, /^"global-lab"; fwd=uri-miss; .*, "edge-lab"; hit; ttl=(60|59|58)$/);
    assert.equal(second.get('x-sv-hit-request-id'), first.get('x-sv-request-id'));
    assert.notEqual(second.get('x-sv-request-id'), first.get('x-sv-request-id'));
    assert.match(second.get('x-sv-t')!, /^eh=\d+,ect=\d+,ecc=hit$/);
    assert.equal(second.get('x-sv-status'), 'eh=200,gh=200,gd=200');
    assert.match(second.get('age')!, /^[012]$/);
    assert.match(second.get('server-timing')!, /^selvedge-cache;desc="HIT-L1", edge_pop;desc="edge-lab", xrj;desc="/);
    assert.match(first.get('server-timing')!, /^selvedge-cache;desc="MISS"/);
  });

  test('the upstream learns of the client, the way and the platform', async () => {
    const { headers } = (await site.ask('/x?b=2&a=1', { headers: { 'user-agent': 'Googlebot slurp' } })).json();
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(headers['x-forwarded-proto'], 'http');
    assert.equal(headers['x-forwarded-host'], site.host);
    assert.equal(headers.forwarded, `for=127.0.0.1;host=${site.host};proto=http`);
    assert.equal(headers.via, '1.1 edge-lab, 1.1 global-lab');
    assert.equal(headers['cdn-loop'], 'selvedge');
    assert.equal(headers.host, site.host);
    assert.equal(headers['x-sv-client-ip'], '127.0.0.1');
    assert.equal(headers['x-sv-protocol'], 'http');
    assert.equal(headers['x-sv-device'], 'desktop');
    assert.equal(headers['x-sv-device-is-bot'], '1');
    assert.equal(headers['x-sv-destination'], 'default');
    assert.match(headers['x-sv-version'], /^1 /);
    assert.equal(headers['accept-encoding'], undefined);
  });

  test("a client's well-formed request id is used by every hop, a malformed one is replaced", async () => {
    const kept = await site.ask('/x', { headers: { 'x-request-id': 'my-own/id:1' } });
    assert.equal(kept.get('x-sv-request-id'), 'my-own/id:1');
    assert.equal(kept.json().headers['x-request-id'], 'my-own/id:1');
    const replaced = await site.ask('/x', { headers: { 'x-request-id': 'two words' } });
    assert.notEqual(replaced.get('x-sv-request-id'), 'two words');
    const long = await site.ask('/x', { headers: { 'x-request-id': 'x'.repeat(129) } });
    assert.equal(long.get('x-sv-request-id')!.length, 36);
  });

  test('OPTIONS * asks the platform, not a route', async () => {
    const answer = await site.ask('*', { method: 'OPTIONS' });
    assert.equal(answer.status, 204);
    assert.match(answer.get('allow')!, /GET.*OPTIONS/);
    assert.equal(answer.get('x-sv-components'), 'e=edge-lab');
  });

  test('what a client says of earlier hops is kept and added to, never taken for the truth', async () => {
    const headers = {
      'x-forwarded-for': '192.0.2.1',
      forwarded: 'for=192.0.2.1',
      via: '1.0 theirs',
      'cdn-loop': 'other',
    };
    const answer = await site.ask('/x', { headers: { ...headers, 'x-forwarded-proto': 'https' } });
    const seen = answer.json().headers;
    assert.equal(seen['x-forwarded-for'], '192.0.2.1, 127.0.0.1');
    assert.equal(seen['x-sv-client-ip'], '127.0.0.1');
    assert.match(seen.forwarded, /^for=192\.0\.2\.1, for=127\.0\.0\.1;/);
    assert.equal(seen.via, '1.0 theirs, 1.1 edge-lab, 1.1 global-lab');
    assert.equal(seen['cdn-loop'], 'other, selvedge');
    assert.equal(seen['x-forwarded-proto'], 'http');
    assert.equal((await platform.log(answer.get('x-sv-request-id')!)).ip, '127.0.0.1');
  });

  test('no reserved name of a client reaches the upstream or changes an answer', async () => {
    const headers = {
      'x-sv-client-ip': '192.0.2.9',
      'x-sv-made-up': '1',
      'X-SV-Error': '536',
      'proxy-status': '"edge-lab"; error=dns_error',
      'cache-status': '"edge-lab"; hit',
      'selvedge-link': 'guess',
      'selvedge-link-context': Buffer.from('{"mode":"pass"}').toString('base64url'),
      'selvedge-link-report': 'x',
    };
    const answer = await site.ask('/x', { headers });
    const seen = answer.json().headers;
    assert.equal(seen['x-sv-client-ip'], '127.0.0.1');
    for (const name of Object.keys(headers).slice(1)) assert.equal(seen[name.toLowerCase()], undefined, name);
    assert.equal(answer.get('x-sv-error'), undefined);
  });

  test('no reserved name of an upstream reaches a client, and surrogate keys do', async () => {
    origin.on('/liar', (_request, response) => {
      response.setHeader('x-sv-error', '536');
      response.setHeader('x-sv-t', 'eh=1');
      response.setHeader('x-sv-status', 'w=599');
      response.setHeader('x-sv-caching-status', 'ok');
      response.setHeader('x-sv-user-t', 'db=1');
      response.setHeader('x-sv-made-up', '1');
      response.setHeader('x-sv-surrogate-key', 'cloth linen');
      response.setHeader('x-sv-request-id', 'theirs');
      response.setHeader('proxy-status', '"global-lab"; error=dns_error');
      response.setHeader('cache-status', '"global-lab"; hit');
      response.setHeader('selvedge-link-report', 'x');
      response.setHeader('server-timing', 'db;dur=5');
      response.setHeader('via', '1.1 theirs');
      response.setHeader('trailer', 'selvedge-link-end');
      response.write('x');
      response.addTrailers({ 'selvedge-link-end': 'bm9uc2Vuc2U', 'x-checksum': '1' });
      response.end();
    });
    const answer = await site.ask('/liar', { headers: { te: 'trailers' } });
    assert.equal(answer.text, 'x');
    for (const name of ['error', 'user-t', 'made-up']) assert.equal(answer.get(`x-sv-${name}`), undefined, name);
    assert.equal(answer.get('x-sv-status'), 'eh=200,ed=200,gh=200,gd=200');
    assert.equal(answer.get('x-sv-caching-status'), 'no-max-age');
    assert.notEqual(answer.get('x-sv-request-id'), 'theirs');
    assert.equal(answer.get('x-sv-surrogate-key'), 'cloth linen');
    assert.equal(answer.get('proxy-status'), undefined);
    assert.doesNotMatch(answer.get('cache-status')!, /hit/);
    assert.equal(answer.get('selvedge-link-report'), undefined);
    assert.match(answer.get('server-timing')!, /^db;dur=5, selvedge-cache/);
    assert.equal(answer.get('via'), '1.1 theirs, 1.1 global-lab, 1.1 edge-lab');
    assert.equal(answer.trailers['selvedge-link-end'], undefined);
    assert.equal(answer.trailers['x-checksum'], '1');
  });

  test('hop-by-hop fields end at the hop, also those that Connection names', async () => {
    const headers = {
      connection: 'keep-alive, mine',
      mine: '1',
      'proxy-authorization': 'Basic eA==',
      'keep-alive': '9',
    };
    const seen = (await site.ask('/x', { headers: { ...headers, te: 'gzip' } })).json().headers;
    for (const name of ['mine', 'proxy-authorization', 'te']) assert.equal(seen[name], undefined, name);
    origin.on('/hops', (_request, response) => {
      response.writeHead(200, [
        'connection',
        'keep-alive, theirs',
        'theirs',
        '1',
        'proxy-authenticate',
        'Basic',
        'mine',
        '2',
      ]);
      response.end('x');
    });
    const answer = await site.ask('/hops');
    assert.equal(answer.get('theirs'), undefined);
    assert.equal(answer.get('proxy-authenticate'), undefined);
    assert.equal(answer.get('mine'), '2');
  });

  test('what lines a message has, it keeps: order, repetition and bytes beyond ASCII', async () => {
    origin.on('/lines', (_request, response) => {
      response.writeHead(200, 'Sehr gut', [
        'Set-Cookie',
        'a=1',
        'X-One',
        'caf\xe9',
        'set-cookie',
        'b=2',
        'Link',
        '<a>',
        'Link',
        '<b>',
      ]);
      response.end(Buffer.from('x'));
    });
    const answer = await site.ask('/lines', { headers: { 'x-mine': ['1', '2'] } });
    assert.deepEqual(answer.all('set-cookie'), ['a=1', 'b=2']);
    assert.deepEqual(answer.all('link'), ['<a>', '<b>']);
    assert.equal(answer.get('x-one'), 'caf\xe9');
    assert.equal(answer.reason, 'Sehr gut');
    const { rawHeaders } = (await site.ask('/x', { headers: { 'x-mine': ['1', '2'] } })).json();
    assert.deepEqual(
      rawHeaders.filter((_: string, at: number) => rawHeaders[at - 1]?.toLowerCase() === 'x-mine'),
      ['1', '2'],
    );
  });

  test('the access log tells the whole story of a request in one line', async () => {
    const answer = await site.ask('/kept/logged?a=1', {
      headers: { referer: 'https://a.example/', 'user-agent': 'curl/8' },
    });
    const line = await platform.log(answer.get('x-sv-request-id')!);
    const expected = {
      bld: '1',
      eid: 'way-default',
      ev: 1,
      met: 'GET',
      hh: site.host,
      url: '/kept/logged?a=1',
      code: '200',
      be: 'o',
      bip: `127.0.0.1:${origin.port}`,
      cs: 'ok',
      ic: 1,
      clv: 0,
      sh: 1,
      stl: 0,
      done: '1',
      er: 0,
      ssl: 0,
      h2: '0',
      rfr: 'https://a.example/',
      ua: 'curl/8',
      s_rs: answer.body.length,
      ds: 'default',
      xms: answer.get('x-sv-status'),
      xmt: answer.get('x-sv-t'),
      ckh: answer.get('x-sv-cache-hash'),
    };
    for (const [name, value] of Object.entries(expected)) assert.equal(line[name], value, name);
    assert.match(String(line.ttl), /^(?:60|59)$/, 'the link takes a moment');
    assert.equal('xcode' in line, false);
    const hit = await site.ask('/kept/logged?a=1');
    const hitLine = await platform.log(hit.get('x-sv-request-id')!);
    assert.deepEqual([hitLine.clv, hitLine.hrid], [1, answer.get('x-sv-request-id')]);
  });

  test("a deployment's own host is not cached and says so", async () => {
    const ask = () => platform.request({ host: site.permalink, path: '/kept/permalink' });
    await ask();
    const answer = await ask();
    assert.equal(answer.get('x-sv-caching-status'), 'disabled');
    assert.equal(origin.count('/kept/permalink'), 2);
    assert.equal(answer.get('x-robots-tag'), 'noindex');
  });
});
