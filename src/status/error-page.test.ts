import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { brandingOf } from './branding.ts';
import { describeCode } from './catalogue.ts';
import { CAUSES, type Cause } from './causes.ts';
import { type RenderOptions, renderFault } from './error-page.ts';
import { DARK, LIGHT, type Palette } from './error-style.ts';
import { Fault } from './fault.ts';
import { parseProxyStatus, passedOnMember, standardStatus } from './proxy-status.ts';

const causes = Object.keys(CAUSES) as Cause[];
const render = (fault: Fault, options: Partial<RenderOptions> = {}) => {
  const answer = renderFault(fault, { requestId: 'r-1', identity: 'global-fra1', ...options });
  return { ...answer, fields: new Map(answer.headers), text: answer.body.toString() };
};
const expired = new Fault({
  cause: 'upstream.tls.certificate',
  hop: 'global',
  details: 'CERT_HAS_EXPIRED',
  evidence: { address: '10.1.2.3:443', stack: 'at secret.ts:1' },
});

describe('the surfaces of a fault', () => {
  test('a problem document has the members of the contract and the request id', () => {
    const problem = JSON.parse(render(expired, { accept: 'application/problem+json' }).text);
    assert.deepEqual(problem, {
      status: 533,
      title: 'Project Upstream TLS Error',
      detail: 'The certificate of the upstream was rejected.',
      code: 533,
      fault: 'upstream',
      phase: 'tls',
      hop: 'global',
      requestId: 'r-1',
      help: describeCode(533)!.remedy,
      details: 'CERT_HAS_EXPIRED',
    });
    const branding = brandingOf('selvedge', { helpUrl: 'https://help.example/codes' });
    assert.equal(
      JSON.parse(render(expired, { accept: 'application/json', branding }).text).type,
      'https://help.example/codes#533',
    );
  });

  test('nothing of the evidence reaches the public', () => {
    for (const accept of ['text/html', 'application/json', '*/*']) {
      const { text, headers } = render(expired, { accept });
      assert.doesNotMatch(text + JSON.stringify(headers), /10\.1\.2\.3|secret/);
    }
  });

  test('host, request id and details cannot inject markup or header lines', () => {
    const attack = '"><script>alert(1)</script>\r\nx-evil: 1';
    const fault = new Fault({
      cause: 'compute.uncaught',
      hop: 'compute',
      details: attack,
      parameters: { rcode: attack },
    });
    const { text, headers } = render(fault, { accept: 'text/html', host: attack, requestId: attack });
    assert.doesNotMatch(text, /<script/);
    for (const [name, value] of headers) assert.doesNotMatch(value, /[\r\n]/, name);
    assert.equal(parseProxyStatus(new Map(headers).get('proxy-status')!).length, 1);
  });
});

describe('the HTML page', () => {
  const page = (fault: Fault, options: Partial<RenderOptions> = {}) =>
    render(fault, { accept: 'text/html', host: 'shop.example', ...options });

  test('stands alone: below 10 KB, no script, nothing loaded, and a policy that allows nothing else', () => {
    for (const cause of causes) {
      const { text, body, fields } = page(new Fault({ cause, hop: 'edge', details: 'x'.repeat(300) }));
      assert.ok(body.length < 10_240, `${cause}: ${body.length} bytes`);
      assert.doesNotMatch(text, /<script|<img|<link|@import|url\(|\son\w+=/i, cause);
      assert.match(fields.get('content-security-policy')!, /^default-src 'none'; style-src 'unsafe-inline';/);
      assert.equal(fields.get('cache-control'), 'no-store');
    }
  });

  test('has language, title, landmarks, one first heading, and a way that names every station', () => {
    const { text } = page(expired, { viaGlobal: true });
    assert.match(text, /^<!doctype html>\n<html lang="en">/);
    assert.match(text, /<meta name="viewport" content="width=device-width, initial-scale=1">/);
    for (const tag of ['header', 'main', 'footer', 'h1']) assert.equal(text.split(`<${tag}>`).length, 2, tag);
    const stations = [...text.matchAll(/<li class="(\w+)"><i aria-hidden="true">.?<\/i><b>([^<]+)/g)];
    assert.deepEqual(
      stations.map(([, state, name]) => `${name} ${state}`),
      ['You passed', 'Edge passed', 'Global POP passed', 'Upstream failed'],
    );
    assert.match(text, /<code class="id">r-1<\/code>/);
    assert.match(text, /selvedge why r-1/);
  });

  test('offers no command with an id that a shell would take apart, and none under another name', () => {
    const command = (options: Partial<RenderOptions>) => page(expired, options).text.includes('selvedge why');
    assert.equal(command({ requestId: 'a;reboot' }), false);
    assert.equal(command({ requestId: '$(reboot)' }), false);
    assert.equal(command({ requestId: '--to' }), false);
    assert.equal(command({ branding: brandingOf('selvedge', { productName: 'Acme' }) }), false);
  });

  test('every text can be read on its ground, in the light and in the dark', () => {
    for (const palette of [LIGHT, DARK]) {
      for (const ground of ['ground', 'card'] as const) {
        for (const text of ['ink', 'soft', 'thread', 'red'] as const)
          assert.ok(contrast(palette, text, ground) >= 4.5, `${text} on ${ground}: ${contrast(palette, text, ground)}`);
      }
      assert.ok(contrast(palette, 'ink', 'weave') >= 4.5);
    }
  });

  test('characters that turn the reading direction are shown as such', () => {
    const { text } = page(expired, { host: 'shop\u202egnp.example' });
    assert.ok(text.includes('shop\ufffdgnp.example'));
  });
});

/** WCAG 2.2: contrast ratio. */
function contrast(palette: Palette, text: keyof Palette, ground: keyof Palette): number {
  const luminance = (hex: string): number => {
    const [r, g, b] = [1, 3, 5].map((at) => {
      const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
      return value <= 0.040_45 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
  };
  const [light, dark] = [luminance(palette[text]), luminance(palette[ground])].sort((a, b) => b - a);
  return (light! + 0.05) / (dark! + 0.05);
}

describe('the form of the body', () => {
  const typeFor = (accept: string | undefined) => render(expired, { accept }).fields.get('content-type')!.split(';')[0];
  const cases: readonly (readonly [string | undefined, string])[] = [
    [undefined, 'text/plain'],
    ['*/*', 'text/plain'],
    ['image/png', 'text/plain'],
    ['image/avif,image/webp,*/*;q=0.8', 'text/plain'],
    ['', 'text/plain'],
    [';;;,,', 'text/plain'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'text/html'],
    ['application/json, text/plain, */*', 'application/problem+json'],
    ['application/problem+json', 'application/problem+json'],
    ['text/html;q=0.2, application/json;q=0.9', 'application/problem+json'],
    ['text/*', 'text/plain'],
  ];
  for (const [accept, type] of cases) {
    test(`is ${type} for Accept: ${accept}`, () => assert.equal(typeFor(accept), type));
  }
});

describe('status and headers', () => {
  test('the standard style sends what RFC 9209 recommends and keeps the code', () => {
    const statusOf = (cause: Cause) => {
      const answer = render(new Fault({ cause, hop: 'edge' }), { style: 'standard' });
      assert.equal(answer.fields.get('x-sv-error'), String(CAUSES[cause].code));
      return answer.status;
    };
    assert.equal(statusOf('request.url-bytes'), 414);
    assert.equal(statusOf('upstream.head.timeout'), 504);
    assert.equal(statusOf('compute.queue-timeout'), 503);
    assert.equal(statusOf('compute.uncaught'), 502);
    assert.equal(statusOf('host.syntax'), 400);
    for (const cause of causes) {
      const status = standardStatus(new Fault({ cause, hop: 'edge' }));
      assert.ok(status >= 400 && status <= 504, `${cause}: ${status}`);
    }
  });

  test('541 and 545 say when to come back; others do not', () => {
    const retry = (cause: Cause) => render(new Fault({ cause, hop: 'edge' })).fields.get('retry-after');
    assert.equal(retry('compute.queue-full'), '5');
    assert.equal(retry('platform.draining'), '5');
    assert.equal(retry('compute.timeout'), undefined);
  });

  test('a breach names the limit', () => {
    const { fields, text } = render(new Fault({ cause: 'request.url-bytes', hop: 'client' }));
    assert.match(fields.get('proxy-status')!, /status-code=414.*details="400 url-bytes \(url\.pathQueryBytes\)"/);
    assert.match(text, /^Limit {4}url\.pathQueryBytes$/m);
  });

  test('with its value and what was seen, unless that tells how large an installation is', () => {
    const problem = (cause: Cause, hop: 'client' | 'compute') =>
      JSON.parse(
        render(new Fault({ cause, hop, evidence: { value: 70, seen: 71 } }), { accept: 'application/json' }).text,
      );
    const { limit, limitValue, seen } = problem('request.header-count', 'client');
    assert.deepEqual([limit, limitValue, seen], ['request.headerCount', 70, 71]);
    for (const cause of ['compute.memory', 'compute.queue-full'] as const) {
      const private_ = problem(cause, 'compute');
      assert.ok(private_.limit);
      assert.deepEqual([private_.limitValue, private_.seen], [undefined, undefined]);
    }
  });

  test('the header prefix is that of the installation', () => {
    assert.equal(render(expired, { branding: brandingOf('layer0') }).fields.get('x-0-error'), '533');
  });
});

describe('Proxy-Status', () => {
  test('our member follows those that a trusted hop sent, and garbage is dropped', () => {
    const received = '"worker-1"; error=http_response_timeout; details="539"';
    const value = render(expired, { receivedProxyStatus: received }).fields.get('proxy-status')!;
    assert.deepEqual(
      parseProxyStatus(value).map(({ identity, error }) => [identity, error]),
      [
        ['worker-1', 'http_response_timeout'],
        ['global-fra1', 'tls_certificate_error'],
      ],
    );
    const alone = render(expired, { receivedProxyStatus: '"open; =' }).fields.get('proxy-status')!;
    assert.equal(parseProxyStatus(alone).length, 1);
  });

  test('a hop that passes a failure on says what it received, and parameters keep their types', () => {
    assert.equal(passedOnMember('edge-waw2', 533), '"edge-waw2";received-status=533');
    const alert = new Fault({ cause: 'upstream.tls.alert', hop: 'global', parameters: { 'alert-id': 70 } });
    const [member] = parseProxyStatus(render(alert).fields.get('proxy-status')!);
    assert.equal(member!.parameters['alert-id'], 70);
    assert.equal(parseProxyStatus('nonsense;;').length, 0);
  });
});
