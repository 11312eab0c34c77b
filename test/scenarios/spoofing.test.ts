/** Nobody but the platform speaks in its name: not clients, not upstreams, not project code, in no spelling. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { parseProxyStatus } from '../../src/status/proxy-status.ts';
import type { Answer } from '../actors/client.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { RawClient } from '../actors/raw-client.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
/** As lines of a head: in every spelling that some server behind us would take for the platform's own. */
const lies = (prefix: string): [name: string, value: string][] => [
  [`${prefix}-client-ip`, '6.6.6.6'],
  [`${prefix.toUpperCase()}-Client-IP`, '6.6.6.6'],
  [`${prefix.replaceAll('-', '_')}_client_ip`, '6.6.6.6'],
  [`${prefix}-device`, 'toaster'],
  [`${prefix}-preload`, '1'],
  [`${prefix}-error`, '534'],
  [`${prefix}-request-id`, 'forged'],
  ['x-sv-status', 'eh=1'],
  ['Proxy-Status', '"global-fra1"; error=connection_refused'],
  ['proxy_status', '"global-fra1"; error=connection_refused'],
  ['Cache-Status', '"edge"; hit'],
  ['selvedge-link', 'a-token-of-nobody'],
  ['Selvedge-Link-Context', Buffer.from('{"clientIp":"6.6.6.6"}').toString('base64url')],
  ['selvedge_link_context', 'x'],
  ['selvedge-link-report', 'x'],
  ['x_request_id', 'forged'],
  ['x_forwarded_for', '6.6.6.6'],
];

for (const [preset, prefix] of [
  ['selvedge', 'x-sv'],
  ['layer0', 'x-0'],
  ['edgio', 'x-edg'],
] as const) {
  describe(`with the names of ${preset}`, () => {
    let platform: Platform;
    let origin: PathOrigin;
    let site: Site;
    before(async () => {
      const config = { branding: { preset } };
      [platform, origin] = await Promise.all([startPlatform({ config }), pathOrigin()]);
      const forged = JSON.stringify(lies(prefix));
      const routes = `
        .match('/app', ({ compute }) => compute((req, res) => {
          for (const [name, value] of ${forged}) res.setHeader(name, value);
          res.statusCode = 534;
          res.body = 'the project says so';
        }))
        .match('/:path*', ({ proxy }) => proxy('o'))`;
      site = await platform.deploy('names', projectFiles({ o: origin.backend }, routes));
    });
    after(async () => {
      await platform?.stop();
      await origin?.close();
    });

    /** The platform's own fields are there once, and say what the platform says. */
    function checkAnswer(answer: Pick<Answer, 'all' | 'get'>, status: number): void {
      assert.equal(answer.get(`${prefix}-error`), undefined, 'what the platform did not make does not say so');
      assert.equal(answer.get('proxy-status'), undefined);
      assert.deepEqual(answer.all(`${prefix}-request-id`).length, 1);
      assert.notEqual(answer.get(`${prefix}-request-id`), 'forged');
      assert.match(answer.get(`${prefix}-status`)!, new RegExp(`^eh=${status},`));
      for (const name of [`${prefix}-client-ip`, `${prefix}-device`, 'selvedge-link', 'selvedge-link-report'])
        assert.equal(answer.get(name), undefined, name);
      for (const name of ['proxy_status', 'selvedge_link_context', `${prefix.replaceAll('-', '_')}_client_ip`])
        assert.equal(answer.get(name), undefined, name);
      if (prefix !== 'x-sv') assert.equal(answer.get('x-sv-status'), undefined, 'nor under the native names');
    }

    test('clients are not believed: the origin sees what the platform knows, once', async () => {
      const lines = lies(prefix)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('');
      const answer = await RawClient.ask(platform.port, `GET /echo HTTP/1.1\r\nhost: ${site.host}\r\n${lines}\r\n`);
      assert.equal(answer.status, 200);
      checkAnswer(answer, 200);
      const { rawHeaders } = JSON.parse(answer.text) as { rawHeaders: string[] };
      const seen = (name: string) => rawHeaders.filter((_, at) => at % 2 === 1 && lower(rawHeaders[at - 1]!) === name);
      assert.deepEqual(seen(`${prefix}-client-ip`), ['127.0.0.1']);
      assert.deepEqual(seen(`${prefix}-device`), ['desktop']);
      assert.deepEqual(seen('x-forwarded-for'), ['127.0.0.1']);
      assert.deepEqual(seen('x-request-id'), [answer.get('x-request-id')]);
      const names = rawHeaders.filter((_, at) => at % 2 === 0).map(lower);
      assert.deepEqual(
        names.filter((name) => /_|link|status$|-error|-preload/.test(name)),
        [],
      );
    });

    test('upstreams are not believed, whatever status they send', async () => {
      origin.on('/liar', (_, response) => {
        for (const [name, value] of lies(prefix)) response.appendHeader(name, value);
        response.writeHead(533, 'Project Upstream TLS Error');
        response.end('an error page of the upstream');
      });
      const answer = await site.ask('/liar');
      assert.deepEqual([answer.status, answer.text], [533, 'an error page of the upstream']);
      checkAnswer(answer, 533);
      const line = await platform.log(answer.get(`${prefix}-request-id`)!);
      assert.deepEqual([line.xcode, line.fault, line.er], [undefined, undefined, 0]);
    });

    test('project code is not believed', async () => {
      const answer = await site.ask('/app');
      assert.deepEqual([answer.status, answer.text], [534, 'the project says so']);
      checkAnswer(answer, 534);
      const line = await platform.log(answer.get(`${prefix}-request-id`)!);
      assert.deepEqual([line.xcode, line.er], [undefined, 0]);
    });
  });
}

const lower = (name: string): string => name.toLowerCase();

describe('identity', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    [platform, origin] = await Promise.all([startPlatform(), pathOrigin()]);
    site = await platform.deploy(
      'identity',
      projectFiles({ o: origin.backend }, `.match('/:path*', ({ proxy }) => proxy('o'))`),
    );
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  test('a request id of a client is kept when it is one word, and made anew otherwise', async () => {
    const asked = async (...ids: string[]) =>
      (await site.ask('/x', { headers: { 'x-request-id': ids } })).get('x-request-id')!;
    assert.equal(await asked('a-1_B:c.d'), 'a-1_B:c.d');
    assert.equal(await asked('x'.repeat(128)), 'x'.repeat(128));
    const made = /^[0-9a-f]{8}-[0-9a-f-]{27}$/;
    assert.match(await asked('x'.repeat(129)), made);
    assert.match(await asked('two words'), made);
    assert.match(await asked('one', 'two'), made);
    assert.match(await asked(''), made);
    assert.match(await asked('caf\u00e9'), made);
  });

  test('the trace goes on when it is valid, and never in two', async () => {
    const seen = async (...given: string[]) =>
      (await site.ask('/x', { headers: { traceparent: given } })).json().headers.traceparent as string;
    assert.match(
      await seen(`00-${TRACE}-00f067aa0ba902b7-01`),
      new RegExp(`^00-${TRACE}-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$`),
    );
    for (const given of [
      ['x'.repeat(5_000)],
      [`00-${TRACE}-00f067aa0ba902b7-01`, `00-${TRACE}-00f067aa0ba902b7-01`],
      [],
    ])
      assert.match(await seen(...given), new RegExp(`^00-(?!${TRACE})[0-9a-f]{32}-[0-9a-f]{16}-00$`));
  });

  test('passes of other networks are not ours, ours count in any case, line and with parameters', async () => {
    const asked = (lines: string[]) => site.ask('/x', { headers: { 'cdn-loop': lines } });
    assert.equal((await asked(['other-cdn, other-cdn; a="selvedge, selvedge", other', 'selvedgenot'])).status, 200);
    assert.equal((await asked(['selvedge, SELVEDGE', 'selvedge; v="1, 2"'])).status, 200);
    const looped = await asked(['selvedge, Selvedge', 'selvedge; v="1, 2", SELVEDGE']);
    assert.equal(looped.status, 538);
    const { limit, limitValue, seen } = JSON.parse(
      (
        await site.ask('/x', {
          headers: { accept: 'application/json', 'cdn-loop': ['selvedge,selvedge', 'selvedge,selvedge,selvedge'] },
        })
      ).text,
    );
    assert.deepEqual([limit, limitValue, seen], ['nestedRequests', 3, 5]);
  });

  test('hostile hosts, paths and ids do not get into pages as markup, nor into fields as lines', async () => {
    const attacks = [
      [`"><script>alert(1)</script>`, '/x'],
      ['nobody.example', `/"><img/src=x onerror=alert(1)>`],
      ['xn--%3cscript%3e.example', '/%3Cscript%3E'],
      [`${'a'.repeat(70)}.example`, '/'],
    ] as const;
    for (const [host, path] of attacks) {
      const head = `GET ${path} HTTP/1.1\r\nhost: ${host}\r\naccept: text/html\r\nx-request-id: "><svg/onload=1>\r\n\r\n`;
      const answer = await RawClient.ask(platform.port, head);
      assert.ok([400, 535, 544].includes(answer.status), `${answer.status}`);
      const page = answer.text.replace(/<style>[\s\S]*<\/style>/, '');
      assert.doesNotMatch(page, /<script|<img|<svg|onerror=(?!.*&)/, host);
      assert.equal(parseProxyStatus(answer.get('proxy-status')!).length, 1);
      assert.equal(answer.get('x-content-type-options'), 'nosniff');
      // Of what is no HTTP nothing is read, the wish for HTML neither.
      const isHtml = answer.get('content-type')!.startsWith('text/html');
      assert.equal(isHtml, answer.get('content-security-policy')?.startsWith("default-src 'none'") ?? false);
      assert.equal(isHtml, !path.includes('<'));
    }
  });
});
