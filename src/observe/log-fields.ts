/**
 * The access log's fields: one table from which the type of a record, its encoding and docs/log-fields.md follow.
 * Source: spec page platform, section 5.
 */

/** How a field is written: number, text, flag as number (0, 1), flag as text ("0", "1"). */
export type FieldType = 'n' | 's' | 'f' | 'fs';

export interface FieldRow {
  readonly type: FieldType;
  readonly doc: string;
}

const n = <const D extends string>(doc: D) => ({ type: 'n', doc }) as const;
const s = <const D extends string>(doc: D) => ({ type: 's', doc }) as const;
const f = <const D extends string>(doc: D) => ({ type: 'f', doc }) as const;
const fs = <const D extends string>(doc: D) => ({ type: 'fs', doc }) as const;

export const LOG_FIELDS = {
  timestamp: n('Start of the request, milliseconds since the epoch.'),
  rid: s('Request id.'),
  hrid: s('On cache hits: id of the request that filled the cache.'),
  bld: s('Number of the deployment.'),
  eid: s('Environment id.'),
  ev: n('Version of the environment.'),
  v: s('Version of the platform.'),
  cv: s('Version of the compiler that made the deployment.'),
  prod: f('The environment is a production environment.'),
  ip: s('Address of the client; that of the peer when no trusted proxy is in front.'),
  xff: s('`X-Forwarded-For` as received.'),
  ssl: f('The client spoke HTTPS.'),
  h2: fs('The client spoke HTTP/2.'),
  psh: f('Server push was used; always 0.'),
  met: s('Method.'),
  hh: s('Host as received.'),
  url: s('Path with query, as received.'),
  rfr: s('Referrer.'),
  ua: s('User agent.'),
  ac: s('`Accept-Encoding` as received.'),
  code: s('Status that was sent; absent when the client left before.'),
  s_rq: n('Bytes of the request.'),
  s_rs: n('Bytes of the response.'),
  ct: s('Content type.'),
  ce: s('Content encoding.'),
  zip: fs('The response was sent compressed.'),
  uv: s("The upstream's `Vary`."),
  done: fs('The response was sent completely; "0": the client left, or the transfer was aborted.'),
  er: f('The answer was made by the edge itself (cache hits are not).'),
  ds: s('Split-test destination.'),
  bk: s('Split-test bucket, 1 to 100.'),
  be: s('Name of the backend.'),
  bip: s('Address of the backend.'),
  ic: f('The response could be cached in principle.'),
  cs: s('Caching status.'),
  clv: n('Cache level that answered: 1 edge, 2 global.'),
  sh: f('The request went through the global POP.'),
  stl: f('A stale response was served.'),
  ckh: s('Hash of the cache key.'),
  ttl: s('Time to live of the stored response, seconds.'),
  pre: n('1 on a prefetch, otherwise absent.'),
  prl: f('A prerender request.'),
  lp: f('A loading page was served.'),
  xmr: s('Matched routes.'),
  xmt: s('Timings: value of the `t` header.'),
  t: s('The same timings again, under the name that older tools read.'),
  xms: s('Value of the `status` header.'),
  xut: s('User timings, cut after `limits.log.userTimingBytes`.'),
  dv: s('Device.'),
  vn: s('Vendor.'),
  br: s('Browser.'),
  bot: f('The client says that it is a bot.'),
  cc: s('Country.'),
  sc: s('State.'),
  cy: s('City.'),
  pc: s('Postal code.'),
  lt: s('Latitude.'),
  lo: s('Longitude.'),
  asn: s('Number of the autonomous system.'),
  waf: s('State of the firewall: geo, block list, list name, allow list, bypass, flagged.'),
  wafv: s('Version of the firewall rules.'),
  sec: s('`ip_block_list` or `country_block_list` when one of them refused the request.'),
  jwt: s('Empty, `blocked`, `permit` or `redirect`.'),
  bse: s('Reserved.'),
  xcode: s('Code that the platform itself answered with.'),
  fault: s('Cause of the failure, e.g. `upstream.connect.refused`.'),
  hop: s('Hop that saw the failure first-hand: client, edge, global, compute.'),
  act: s('Party that has to act: client, project, upstream, platform, capacity, nobody.'),
  pstat: s('Proxy-Status as sent.'),
} as const satisfies Record<string, FieldRow>;

export type LogField = keyof typeof LOG_FIELDS;

/** Values as the code has them; flags are booleans until they are written. */
interface ValueTypes {
  readonly n: number;
  readonly s: string;
  readonly f: boolean;
  readonly fs: boolean;
}

/** What every line has, whatever happened to the request. */
type AlwaysLogged = 'timestamp' | 'rid' | 'ip' | 'met' | 'url' | 'done';

/** One request in the access log. A field without a value is left away. */
export type AccessRecord = {
  readonly [K in Exclude<LogField, AlwaysLogged>]?: ValueTypes[(typeof LOG_FIELDS)[K]['type']] | undefined;
} & { readonly [K in AlwaysLogged]: ValueTypes[(typeof LOG_FIELDS)[K]['type']] };

/** A line as it stands in the log, read back: flags are 0, 1, "0", "1". */
export type LoggedAccess = Readonly<Partial<Record<LogField, string | number>>>;

export const LOG_FIELD_NAMES = Object.keys(LOG_FIELDS) as readonly LogField[];

const ENCODERS: Readonly<Record<FieldType, (value: unknown) => string | number>> = {
  n: (value) => (Number.isFinite(value) ? (value as number) : 0),
  s: (value) => String(value),
  f: (value) => (value ? 1 : 0),
  fs: (value) => (value ? '1' : '0'),
};

const WRITERS = LOG_FIELD_NAMES.map((name) => ({ name, encode: ENCODERS[LOG_FIELDS[name].type] }));

/**
 * The same line in pieces: text, and the names of fields in `open` where their values belong, whoever writes them.
 * `open` fields without a value are left away like others.
 */
export function encodeAccessPieces(
  record: Partial<AccessRecord>,
  open: ReadonlySet<LogField>,
): (string | { readonly field: LogField })[] {
  const pieces: (string | { readonly field: LogField })[] = [];
  let text = '{';
  for (const { name, encode } of WRITERS) {
    const value = record[name];
    if (value === undefined) continue;
    text += `${text === '{' && pieces.length === 0 ? '' : ','}"${name}":`;
    if (!open.has(name)) text += JSON.stringify(encode(value));
    else {
      pieces.push(text, { field: name });
      text = '';
    }
  }
  return [...pieces, `${text}}`];
}

/** The record as one line of JSON, fields in the order of the table, without the line break. */
export function encodeAccess(record: Partial<AccessRecord>): string {
  const line: Record<string, string | number> = {};
  for (const { name, encode } of WRITERS) {
    const value = record[name];
    if (value !== undefined) line[name] = encode(value);
  }
  return JSON.stringify(line);
}
