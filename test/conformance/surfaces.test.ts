/**
 * One record, many surfaces: for every cause, on every hop, in every form of the page, under every preset and in both
 * styles, each surface is made by the code that makes it in a POP, read back, and held against the tables.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { DEFAULT_LIMITS } from '../../src/config/limits.ts';
import { Fields } from '../../src/http/fields.ts';
import type { HttpResponse } from '../../src/http/message.ts';
import { type AccessRecord, encodeAccess } from '../../src/observe/log-fields.ts';
import type { Story } from '../../src/observe/story.ts';
import { Exchange } from '../../src/pop/exchange.ts';
import { faultResponse, takeFault } from '../../src/pop/faults.ts';
import { restoreFault, serialiseFault } from '../../src/pop/link.ts';
import { recordEnd } from '../../src/pop/record.ts';
import type { PopSettings } from '../../src/pop/settings.ts';
import { brandingOf, PRESET_NAMES, type Preset } from '../../src/status/branding.ts';
import { describeCode } from '../../src/status/catalogue.ts';
import { CAUSE_LIMITS, causeText, PRIVATE_FIGURES } from '../../src/status/cause-texts.ts';
import { CAUSES, type Cause, type ProxyError } from '../../src/status/causes.ts';
import type { StatusStyle } from '../../src/status/error-page.ts';
import { Fault, type Hop } from '../../src/status/fault.ts';
import { moveSentence } from '../../src/status/problem.ts';
import { parseProxyStatus, standardStatus } from '../../src/status/proxy-status.ts';
import { Traffic } from '../../src/telemetry/traffic.ts';

const CAUSE_NAMES = Object.keys(CAUSES) as Cause[];
const HOPS: readonly Hop[] = ['client', 'edge', 'global', 'compute'];
const FORMS = ['text/html', 'application/problem+json', 'application/json', 'text/plain', '*/*', undefined] as const;
const STYLES: readonly StatusStyle[] = ['native', 'standard'];
const ID = 'surfaces-0123456789';
const EVIDENCE = { value: 8_192, seen: 8_193, address: '10.1.2.3:443', stack: 'Error: secret\n    at secret.ts:1:1' };

/** What a surface may say; each says some of it, and what it says must be this. */
interface Told {
  readonly code: number;
  readonly status: number;
  readonly name: string;
  readonly detail: string;
  readonly details: string | undefined;
  readonly hop: string;
  readonly phase: string;
  readonly acts: string;
  readonly move: string;
  readonly help: string;
  readonly limit: string | undefined;
  readonly limitValue: number | undefined;
  readonly seen: number | undefined;
  readonly requestId: string;
  readonly cause: string;
}

interface Made {
  readonly fault: Fault;
  readonly truth: Told;
  readonly response: HttpResponse;
  readonly text: string;
  readonly line: Record<string, string | number>;
  readonly metrics: string;
  readonly story: Story;
  readonly prefix: string;
}

function settingsFor(preset: Preset, style: StatusStyle): PopSettings {
  const fixed = { role: 'edge', name: 'edge-waw2', version: '1', limits: DEFAULT_LIMITS, clock: systemClock };
  return { ...fixed, branding: brandingOf(preset), style, report: () => {} } as unknown as PopSettings;
}

/** As the edge makes it; what was seen behind the link has crossed it as data. */
function make(cause: Cause, hop: Hop, accept: string | undefined, settings: PopSettings): Made {
  const raised = new Fault({ cause, hop, evidence: EVIDENCE });
  const crossed = hop === 'global' || hop === 'compute';
  const fault = crossed ? restoreFault(JSON.parse(JSON.stringify(serialiseFault(raised)))) : raised;
  const fields = Fields.from([
    ['host', 'shop.example'],
    ...(accept === undefined ? [] : [['accept', accept] as const]),
  ]);
  const exchange = new Exchange({
    requestId: ID,
    client: { ip: '192.0.2.1', protocol: 'http', httpVersion: '1.1' },
    request: { method: 'GET', protocol: 'http', host: 'shop.example', path: '/', query: '', fields, body: null },
    startedMs: 0,
    receivedAtMs: 0,
  });
  if (crossed) {
    exchange.faultRaisedBy = 'global-fra1';
    exchange.telemetry.status('gd', fault.code);
  }
  takeFault(fault, exchange, settings);
  const response = faultResponse(exchange, settings);
  const { record, story } = recorded(exchange, settings, response);
  const traffic = new Traffic();
  traffic.observe(record, 1);
  return {
    fault,
    truth: truthOf(cause, hop, settings),
    response,
    text: String(response.body),
    line: JSON.parse(encodeAccess(record)),
    metrics: traffic.text(),
    story,
    prefix: settings.branding.headerPrefix,
  };
}

function recorded(exchange: Exchange, settings: PopSettings, response: HttpResponse) {
  const records: Partial<AccessRecord>[] = [];
  const stories: Story[] = [];
  const keeping: PopSettings = {
    ...settings,
    record: (record) => void records.push(record),
    story: (story) => void stories.push(story),
  };
  recordEnd(exchange, keeping, { response, delivery: { bytes: 1, completed: true } });
  return { record: records[0]!, story: stories[0]! };
}

/** From the tables alone. */
function truthOf(cause: Cause, hop: Hop, { branding, style }: PopSettings): Told {
  const row: { code: number; phase: string; acts: Fault['acts']; details: string | undefined } = CAUSES[cause];
  const { name, remedy } = describeCode(row.code, branding)!;
  const limit = CAUSE_LIMITS[cause];
  const figures = limit !== undefined && !PRIVATE_FIGURES.has(cause);
  return {
    ...{ code: row.code, name, cause, hop, phase: row.phase, acts: row.acts, help: remedy, limit, requestId: ID },
    status: style === 'standard' ? standardStatus(new Fault({ cause, hop })) : row.code,
    detail: causeText(cause)!,
    details: row.details,
    move: moveSentence(row.acts, branding),
    limitValue: figures ? EVIDENCE.value : undefined,
    seen: figures ? EVIDENCE.seen : undefined,
  };
}

// Each surface, read back.

const READERS: Readonly<Record<string, (text: string) => Partial<Told>>> = {
  'text/html': readHtml,
  'application/problem+json': readJson,
  'text/plain': readText,
};

function readJson(text: string): Partial<Told> {
  const { title, fault, help, ...rest } = JSON.parse(text);
  const absent = { details: undefined, limit: undefined, limitValue: undefined, seen: undefined };
  return { ...absent, ...rest, name: title, acts: fault, help };
}

function readHtml(html: string): Partial<Told> {
  const found = (pattern: RegExp): string | undefined => {
    const value = pattern.exec(html)?.[1];
    return value === undefined ? undefined : unescaped(value);
  };
  const row = (name: string) => found(new RegExp(`<dt>${name}</dt><dd>(.*?)</dd>`));
  const [, title, name] = /<title>(\d{3}) (.*?)<\/title>/.exec(html)!;
  assert.equal(found(/<span class="code">(.*?)<\/span>/), `${title} ${unescaped(name!)}`);
  const [hop, phase] = row('Seen by')!.split(', phase ');
  return {
    ...{ code: Number(title), name: unescaped(name!), hop: hop!, phase: phase!, details: row('Detail') },
    detail: found(/What happened<\/h2><p>(.*?)<\/p>/)!,
    move: found(/<strong>(.*?)<\/strong>/)!,
    help: found(/<\/strong> (.*?)<\/p>/)!,
    requestId: row('Request id')!.replace(/<[^>]*>/g, ''),
    ...readLimit(row('Limit')?.replace(/<[^>]*>/g, '')),
  };
}

function readText(text: string): Partial<Told> {
  const [first, , , , , ...lines] = text.split('\n');
  const rows = new Map<string, string>();
  let name = '';
  for (const line of lines) {
    name = line.slice(0, 9).trim() || name;
    if (line !== '') rows.set(name, `${rows.has(name) ? `${rows.get(name)} ` : ''}${line.slice(9)}`);
  }
  const [hop, phase] = rows.get('Where')!.split(', ');
  const [, detail, details] = /^(.*?\.)(?: \((.*)\))?$/.exec(rows.get('What')!)!;
  return {
    ...{ code: Number(first!.slice(0, 3)), name: first!.slice(4), hop: hop!, phase: phase!, detail: detail!, details },
    ...{ move: rows.get('Who')!, help: rows.get('Do')!, requestId: rows.get('Request')! },
    ...readLimit(rows.get('Limit')),
  };
}

function readLimit(text: string | undefined): Partial<Told> {
  const [, limit, value, seen] = /^([\w.]+)(?:, at most (\d+))?(?:, seen (\d+))?$/.exec(text ?? '') ?? [];
  const number = (digits: string | undefined) => (digits === undefined ? undefined : Number(digits));
  return { limit, limitValue: number(value), seen: number(seen) };
}

const unescaped = (text: string): string =>
  text.replace(/&(?:amp|lt|gt|quot|#39);/g, (entity) => {
    const plain: Record<string, string> = { '&amp;': '&', '&lt;': '<', '&gt;': '>', '&quot;': '"', '&#39;': "'" };
    return plain[entity]!;
  });

/** What it says is true; how much it says is the surface's own. */
function agrees(told: Partial<Told>, truth: Told, where: string): void {
  for (const [name, value] of Object.entries(told)) {
    if (name in truth) assert.equal(value, truth[name as keyof Told], `${where}: ${name}`);
  }
}

function checkBody({ response, text, truth }: Made, accept: string | undefined, where: string): void {
  const form = response.fields.get('content-type')!.split(';')[0]!;
  const wanted = accept === undefined || accept === '*/*' ? 'text/plain' : accept;
  assert.equal(form, wanted === 'application/json' ? 'application/problem+json' : wanted, where);
  const told = READERS[form]!(text);
  assert.ok(Object.keys(told).length >= 11, where);
  agrees(told, truth, `${where} ${form}`);
  assert.doesNotMatch(text, /10\.1\.2\.3|secret/, where);
}

function checkHead({ response, truth, prefix, fault }: Made, where: string): void {
  const { fields } = response;
  const { code, status, name, details, hop, limit } = truth;
  assert.deepEqual([response.status, response.reason], [status, name], where);
  assert.equal(fields.get(`${prefix}-error`), String(code), where);
  assert.equal(fields.get('cache-control'), 'no-store', where);
  assert.equal(fields.get(`${prefix}-request-id`), ID, where);
  const crossed = hop === 'global' || hop === 'compute';
  assert.equal(fields.get(`${prefix}-status`), crossed ? `eh=${status},gd=${code}` : `eh=${status}`, where);
  const [raised, ...passedOn] = parseProxyStatus(fields.get('proxy-status')!);
  const { error, details: told, ...parameters } = raised!.parameters;
  assert.equal(error, CAUSES[truth.cause as Cause].error, where);
  assert.equal(told, [code, details, limit && `(${limit})`].filter(Boolean).join(' '), where);
  assert.deepEqual(parameters, fault.parameters, where);
  const others = passedOn.map(({ identity, parameters: own }) => [identity, own]);
  assert.equal(raised!.identity, crossed ? 'global-fra1' : 'edge-waw2', where);
  assert.deepEqual(others, crossed ? [['edge-waw2', { 'received-status': code }]] : [], where);
}

function checkRecords({ line, metrics, story, response, truth }: Made, where: string): void {
  const { code, status, cause, hop, acts, phase } = truth;
  const { xcode, fault, hop: seenBy, act, er, pstat, code: sent, rid } = line;
  assert.deepEqual(
    { xcode, fault, seenBy, act, er, pstat, sent, rid },
    {
      ...{ xcode: String(code), fault: cause, seenBy: hop, act: acts, er: 1, sent: String(status), rid: ID },
      pstat: response.fields.get('proxy-status'),
    },
    where,
  );
  const told = story.fault!;
  assert.deepEqual([told.cause, told.code, told.hop, told.acts, story.status], [cause, code, hop, acts, status], where);
  const labels = `environment="none",code="${code}",cause="${cause}",hop="${hop}",phase="${phase}",acts="${acts}"`;
  assert.ok(metrics.includes(`selvedge_failures_total{${labels}} 1\n`), `${where}\n${metrics}`);
  const request = `selvedge_requests_total{environment="none",code="${status}",cache="none"} 1\n`;
  assert.ok(metrics.includes(request), where);
}

describe('the surfaces of a failure', () => {
  for (const preset of PRESET_NAMES) {
    for (const style of STYLES) {
      test(`agree for every cause, hop and form: ${preset}, ${style}`, () => {
        const settings = settingsFor(preset, style);
        for (const cause of CAUSE_NAMES) {
          for (const hop of HOPS) {
            for (const accept of FORMS) {
              const where = `${cause} at ${hop} for ${accept}`;
              const made = make(cause, hop, accept, settings);
              checkHead(made, where);
              checkBody(made, accept, where);
              checkRecords(made, where);
            }
          }
        }
      });
    }
  }
});

describe('the documentation', () => {
  let rows: Map<string, string[]>;
  before(() => {
    const text = readFileSync(new URL('../../docs/status-codes.md', import.meta.url), 'utf8');
    let code = '';
    rows = new Map();
    for (const line of text.split('\n')) {
      code = /^## (\d{3}) /.exec(line)?.[1] ?? code;
      const cells = line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '').replaceAll('`', ''));
      if (cells.length === 7) rows.set(cells[0]!, [code, ...cells.slice(1)]);
    }
  });

  for (const cause of CAUSE_NAMES) {
    test(`says of ${cause} what the platform does`, () => {
      const { code, detail, phase, acts, limit } = truthOf(cause, 'edge', settingsFor('selvedge', 'native'));
      const standard = truthOf(cause, 'edge', settingsFor('selvedge', 'standard')).status;
      const wanted = [String(code), detail, phase, acts, CAUSES[cause].error, limit ?? '-', String(standard)];
      assert.deepEqual(rows.get(cause), wanted);
    });
  }
});

/** Registered types that no failure of ours is, and why. */
const NOT_OURS: readonly ProxyError[] = [
  // Answers made here that are no failure (redirects, fixed bodies) carry no Proxy-Status at all.
  'proxy_internal_response',
];

test('every error type of RFC 9209 is the type of some cause, or is known not to be', () => {
  const registered = [
    ...['dns_timeout', 'dns_error', 'destination_not_found', 'destination_unavailable', 'destination_ip_prohibited'],
    ...['destination_ip_unroutable', 'connection_refused', 'connection_terminated', 'connection_timeout'],
    ...['connection_read_timeout', 'connection_write_timeout', 'connection_limit_reached', 'tls_protocol_error'],
    ...['tls_certificate_error', 'tls_alert_received', 'http_request_error', 'http_request_denied'],
    ...['http_response_incomplete', 'http_response_header_section_size', 'http_response_header_size'],
    ...['http_response_body_size', 'http_response_trailer_section_size', 'http_response_trailer_size'],
    ...['http_response_transfer_coding', 'http_response_content_coding', 'http_response_timeout'],
    ...['http_upgrade_failed', 'http_protocol_error', 'proxy_internal_response', 'proxy_internal_error'],
    ...['proxy_configuration_error', 'proxy_loop_detected'],
  ];
  const used = new Set<string>(Object.values(CAUSES).map(({ error }) => error));
  const unused = registered.filter((error) => !used.has(error));
  assert.deepEqual(unused, NOT_OURS);
  assert.deepEqual(
    [...used].filter((error) => !registered.includes(error)),
    [],
  );
});
