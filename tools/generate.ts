/**
 * Writes the documentation that is derived from tables: docs/status-codes.md, docs/configuration.md and
 * docs/log-fields.md. With `--check` nothing is written: exit 1 names the files that differ from their tables.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeOptions, type OptionDescription } from '../src/config/options.ts';
import { type FieldType, LOG_FIELD_NAMES, LOG_FIELDS } from '../src/observe/log-fields.ts';
import { METRIC_NAMES, METRICS } from '../src/observe/metrics.ts';
import { DEFAULT_BRANDING, PRESET_NAMES, PRESETS } from '../src/status/branding.ts';
import { ACTORS, type CodeDescription, describeCodes, fillNames } from '../src/status/catalogue.ts';
import { describeCause } from '../src/status/cause-record.ts';
import type { Cause } from '../src/status/causes.ts';
import { TRAFFIC_METRICS } from '../src/telemetry/traffic.ts';

const NOTE = '<!-- Generated from the tables of the source by `npm run generate`. Change those, not this file. -->';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const line = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`;
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
const code = (text: string | number): string => `\`${text}\``;
const page = (...blocks: readonly string[]): string => `${[NOTE, ...blocks].join('\n\n')}\n`;

function statusCodes(): string {
  const codes = describeCodes();
  const prefix = DEFAULT_BRANDING.headerPrefix;
  return page(
    '# Status codes',
    'One failure, one code, one party that has to act. A complete response of an upstream or of project code is forwarded unchanged, whatever its number; ' +
      `only a response that the platform itself made carries \`${prefix}-error: <code>\` and a \`Proxy-Status\` member with \`error\` (RFC 9209).`,
    'With `codes.style: standard` the status in the last column of the cause tables is sent instead of the code; the error header keeps the code.',
    table(
      ['Code', 'Name', 'Raised by', 'Acts'],
      codes.map((entry) => [`[${entry.code}](#${entry.code})`, entry.name, entry.raisedBy, entry.acts.join(', ')]),
    ),
    'Who that is:',
    table(
      ['Party', 'In words'],
      Object.entries(ACTORS).map(([actor, words]) => [actor, fillNames(words, DEFAULT_BRANDING)]),
    ),
    ...codes.map(statusCode),
  );
}

function statusCode(entry: CodeDescription): string {
  return [
    `<a id="${entry.code}"></a>`,
    `## ${entry.code} ${entry.name}`,
    entry.description,
    `**Visitors read:** ${entry.headline} ${entry.visitor}`,
    `**What to do.** ${entry.remedy}`,
    `**Not to be confused with** ${entry.not}`,
    `**For example:** ${entry.examples.map((example) => example.replace(/\.$/, '')).join('; ')}.`,
    ...(entry.retryAfterSeconds === undefined ? [] : [`Sent with \`Retry-After: ${entry.retryAfterSeconds}\`.`]),
    table(['Cause', 'What happened', 'Phase', 'Acts', 'Proxy-Status', 'Limit', 'Standard'], entry.causes.map(causeRow)),
  ].join('\n\n');
}

function causeRow(cause: Cause): readonly string[] {
  const { text, phase, acts, proxyStatus, limit, standardStatus } = describeCause(cause);
  return [code(cause), text, phase, acts, code(proxyStatus), limit ? code(limit) : '-', String(standardStatus)];
}

function configuration(): string {
  const options = describeOptions();
  const rows = (of: readonly OptionDescription[]) =>
    of.map(({ path, doc, allowed, default: value }) => [code(path), doc, allowed, value]);
  const limitRows = options.flatMap(({ path, doc, allowed, default: value, limit }) =>
    limit ? [[code(path), doc, allowed, value, limit.scope, limit.at, limit.breach]] : [],
  );
  return page(
    '# Configuration',
    'A YAML or JSON file, given with `selvedge start --config FILE`. Options may be nested or dotted (`limits: { upstream: { dnsMs: 100 } }` is `limits.upstream.dnsMs: 100`). ' +
      'Every option has a default. Whatever is wrong is told at once, and nothing is started. Relative file names are relative to the configuration file.',
    '## Options',
    table(['Option', 'What it is', 'Must be', 'Default'], rows(options.filter(({ limit }) => !limit))),
    '## Presets',
    table(
      ['Preset', 'Header prefix', 'Cookie prefix', 'Built-in path'],
      PRESET_NAMES.map((name) => {
        const { headerPrefix, cookiePrefix, builtInPath, alsoAccepts } = PRESETS[name];
        const also = alsoAccepts.length === 0 ? '' : ` (reads ${alsoAccepts.map(code).join(', ')} too)`;
        return [name, code(headerPrefix), code(cookiePrefix) + also, code(builtInPath)];
      }),
    ),
    '## Limits',
    'Equal to a limit passes, one above fails. Bytes are bytes, not characters; 1 KB is 1,024 of them. Where `off` is allowed it takes the limit away (for a time: the longest timer there is, 24.8 days). ' +
      'Where the narrowest scope is `environment` or `backend`, an environment may have a value of its own: `selvedge limits set LIMIT=VALUE --project P --environment E`, `selvedge limits unset LIMIT`, `selvedge limits list`.',
    table(['Limit', 'What it bounds', 'Must be', 'Default', 'Narrowest scope', 'Enforced at', 'Breach'], limitRows),
  );
}

const TYPE_NAMES: Readonly<Record<FieldType, string>> = {
  n: 'number',
  s: 'text',
  f: 'flag, 0 or 1',
  fs: 'flag, "0" or "1"',
};

function logFields(): string {
  return page(
    '# Log fields',
    'The access log is one JSON object per line in `logs/access.ndjson` below the data directory; rotated files stand beside it. A field without a value is left away.',
    table(
      ['Field', 'Type', 'Meaning'],
      LOG_FIELD_NAMES.map((name) => [code(name), TYPE_NAMES[LOG_FIELDS[name].type], LOG_FIELDS[name].doc]),
    ),
    '## Timings',
    `The metrics of the header \`${DEFAULT_BRANDING.headerPrefix}-t\` and of the fields \`xmt\` and \`t\`, in the order of processing. Where edge and global POP are one, only \`e…\` appears.`,
    table(
      ['Metric', 'Unit', 'Meaning'],
      METRIC_NAMES.map((name) => {
        const native = 'native' in METRICS[name] ? ' Only with the native preset.' : '';
        return [code(name), METRICS[name].unit, METRICS[name].doc + native];
      }),
    ),
    '## Metrics',
    'The control plane answers `GET /metrics` (bearer token, as everything of the Control API) in the Prometheus text format: counted from the records of the access log, summed over all POP processes of the machine. Every name starts with `selvedge_`; `environment` is `<project>-<environment>`, `none` where no site was found, and `other` beyond 2,000 series.',
    table(
      ['Metric', 'Type', 'Labels', 'Meaning'],
      Object.entries(TRAFFIC_METRICS).map(([name, { type, labels, doc }]) => [
        code(name),
        type,
        labels.map(code).join(', '),
        doc,
      ]),
    ),
    '## Server log',
    'What project code writes to its console and streams is in `logs/server.ndjson`, one JSON object per write.',
    table(
      ['Field', 'Meaning'],
      [
        [code('time'), 'Milliseconds since the epoch.'],
        [code('level'), '10 trace, 20 debug, 30 info, 40 warn, 50 error, 60 fatal.'],
        [code('requestId'), 'Request that was being handled.'],
        [code('clientIp'), 'Address of its client.'],
        [code('wi'), 'Worker instance.'],
        [code('fn'), 'Deployment, `<project>-<environment>-<number>`.'],
        [code('message'), 'What was written.'],
        [code('late'), '`true` when it was written after the response.'],
        [code('truncated'), '`true` when the message was cut.'],
      ],
    ),
  );
}

const FILES: readonly (readonly [path: string, render: () => string])[] = [
  ['docs/status-codes.md', statusCodes],
  ['docs/configuration.md', configuration],
  ['docs/log-fields.md', logFields],
];

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

const stale = FILES.filter(([path, render]) => read(path) !== render());
if (process.argv.includes('--check')) {
  for (const [path] of stale) console.error(`${path} differs from its tables: run npm run generate`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const [path, render] of stale) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, render());
  }
  console.log(stale.length === 0 ? 'nothing to write' : `written: ${stale.map(([path]) => path).join(', ')}`);
}
