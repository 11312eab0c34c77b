/**
 * What feeds the fast path: when the ordinary path has answered a request from the memory tier, the answer and its log
 * line go to the table with holes for what changes, under a key that covers everything of the request that was looked
 * at. Nothing is decided twice, and what is not understood here is simply not offered. See docs/fast-path.md.
 */

import type { ServerExchange } from '../http/exchange.ts';
import type { Hole, Meter, Piece } from '../http/fast/answer.ts';
import type { AgentTraits } from '../http/fast/client.ts';
import type { Need } from '../http/fast/needs.ts';
import { Scanner } from '../http/fast/scan.ts';
import { type AnswerTable, KEYED_FIELDS } from '../http/fast/table.ts';
import { frameResponse } from '../http/frame.ts';
import type { HttpResponse } from '../http/message.ts';
import { ObservedFields } from '../http/observed-fields.ts';
import { type AccessRecord, encodeAccessPieces, type LogField } from '../observe/log-fields.ts';
import { detectDevice } from './device.ts';
import type { Exchange } from './exchange.ts';
import { limitsOf } from './limits.ts';
import { LINK_PRELOAD } from './link.ts';
import { accessRecord } from './record.ts';
import type { PopSettings } from './settings.ts';

/** The pipeline looks at these before or beside its decision: a request that has one is never answered from a table. */
export const REFUSED_FIELDS = ['x-request-id', 'cdn-loop', 'authorization', LINK_PRELOAD] as const;

/** Longer heads are not worth their place. */
const HEAD_BYTES = 32 * 1024;

export interface HotOptions {
  readonly table: AnswerTable;
  readonly scanner: Scanner;
  /** What counts the answers that are like this one. */
  readonly meterOf: (record: Partial<AccessRecord>) => Meter;
}

export class Hot {
  readonly #table: AnswerTable;
  readonly #scanner: Scanner;
  readonly #meterOf: HotOptions['meterOf'];
  /** Grows whenever decisions may be different from now on. */
  #generation = 0;
  #closed = false;

  constructor({ table, scanner, meterOf }: HotOptions) {
    this.#meterOf = meterOf;
    this.#table = table;
    this.#scanner = scanner;
  }

  /** The request's fields, watched from now on, where its answer may be worth keeping. */
  observe({ request, httpVersion, upgradeTo }: ServerExchange): ObservedFields | undefined {
    const { method, body, fields } = request;
    if (this.#closed || (method !== 'GET' && method !== 'HEAD') || body !== null) return undefined;
    // The table is that of the plain port: over TLS other routes may apply.
    if (request.protocol !== 'http' || httpVersion !== '1.1' || upgradeTo !== undefined) return undefined;
    return new ObservedFields(fields.raw, this.#generation);
  }

  /** Another configuration is served: nothing that was decided before holds. */
  forget(): void {
    this.#generation++;
    this.#table.clear();
  }

  /** Nothing is answered from the table any more. */
  close(): void {
    this.#closed = true;
    this.forget();
  }

  /** Takes a delivered answer for requests like this one. Call before anybody else looks at the request's fields. */
  offer(exchange: Exchange, response: HttpResponse, settings: PopSettings): void {
    const { request, cached } = exchange;
    const { fields } = request;
    if (!(fields instanceof ObservedFields) || fields.generation !== this.#generation || fields.sawAll) return;
    if (!isRepeatable(exchange, response) || !cached?.entry?.held.alive) return;
    const needs = needsOf(fields);
    const head = headPieces(exchange, response, settings);
    if (head === null) return;
    const query = request.query === '' ? '' : `?${request.query}`;
    const seen = {
      method: request.method as 'GET' | 'HEAD',
      target: request.path + query,
      raw: fields.raw,
      traits: Buffer.from(describeAgent(fields.agent()).text, 'latin1'),
    };
    if (this.#table.knows(seen, this.#scanner, settings.clock.nowMs())) return;
    const body = request.method === 'HEAD' ? null : (response.body as Buffer | null);
    const record = accessRecord(exchange, settings, response, { bytes: 0, completed: true });
    const mostLines = limitsOf(exchange.destination, settings)['request.headerCount'];
    const parts = {
      head,
      line: linePieces(record),
      body,
      lifetime: cached.entry,
      meter: this.#meterOf(record),
      mostLines,
    };
    this.#table.put(seen, this.#scanner, needs, parts);
  }
}

/** Whether the answer is a function of the request, what is stored, and holes that can be filled. */
function isRepeatable(exchange: Exchange, { body, trailers, fields }: HttpResponse): boolean {
  const { cached, level, fault, prefetch, preload, caught, jwt, loadingPage } = exchange;
  if (cached?.metric !== 'hit' || cached.stale || level !== 1 || fault !== null) return false;
  if (prefetch || preload || caught || loadingPage || jwt !== undefined) return false;
  if (trailers !== undefined || !(body === null || Buffer.isBuffer(body))) return false;
  // The boundary between parts is another one every time.
  return !fields.get('content-type')?.startsWith('multipart/byteranges');
}

function needsOf({ names, cookies, sawAgent }: ObservedFields): Need[] {
  const refused = Scanner.refuses({ refused: REFUSED_FIELDS });
  return [
    ...[...names].filter((name) => !KEYED_FIELDS.has(name) && !refused.has(name)).map(aField),
    ...[...cookies].map((name): Need => ({ kind: 'cookie', name })),
    ...(sawAgent ? [{ kind: 'agent' } as const] : []),
  ];
}

const aField = (name: string): Need => ({ kind: 'field', name });
const hole = (name: Hole): Piece => ({ hole: name });

/** As the listener frames it on a connection that stays open. Null when something in it cannot be said again. */
function headPieces(exchange: Exchange, response: HttpResponse, settings: PopSettings): Piece[] | null {
  // Without a date of its own it would get the one of now.
  if (!response.fields.has('date')) return null;
  const { method } = exchange.request;
  const { status, reason, head } = frameResponse(response, { method, httpVersion: '1.1', close: false, date: '' });
  const pieces: Piece[] = [`HTTP/1.1 ${status} ${reason}\r\n`];
  for (let at = 0; at < head.length; at += 2) {
    const value = valuePieces(head[at]!, head[at + 1]!, exchange, settings);
    if (value === null) return null;
    pieces.push(`${head[at]}: `, ...value, '\r\n');
  }
  const bytes = pieces.reduce((sum, piece) => sum + (typeof piece === 'string' ? piece.length : 0), 0);
  return bytes > HEAD_BYTES ? null : joined([...pieces, '\r\n']);
}

function valuePieces(name: string, value: string, exchange: Exchange, settings: PopSettings): Piece[] | null {
  const { headerPrefix } = settings.branding;
  const { requestId, cached } = exchange;
  switch (name.toLowerCase()) {
    case 'x-request-id':
    case `${headerPrefix}-request-id`:
      return value === requestId ? [hole('id')] : null;
    case `${headerPrefix}-t`:
      return timingPieces(value);
    case 'age':
      return value === String(Math.max(0, Math.floor(cached!.ageSeconds))) ? [hole('age')] : null;
    case 'cache-status':
      return lifetimePieces(value, cached!.ttlSeconds!);
    default:
      return value.includes(requestId) ? null : [value];
  }
}

/** Of a plain hit. The time in the cache is that of one look at a table: none that could be told in milliseconds. */
const timingPieces = (text: string): Piece[] | null =>
  /^eh=\d+,ect=\d+,ecc=hit$/.test(text) ? ['eh=', hole('elapsed'), ',ect=0,ecc=hit'] : null;

/** What other caches said stands before our own member, which ends with the freshness left. */
function lifetimePieces(text: string, ttlSeconds: number): Piece[] | null {
  const end = `; ttl=${ttlSeconds}`;
  return text.endsWith(end) ? [text.slice(0, -String(ttlSeconds).length), hole('ttl')] : null;
}

const LINE_HOLES: Partial<Record<LogField, readonly Piece[]>> = {
  timestamp: [hole('time')],
  rid: ['"', hole('id'), '"'],
  ip: ['"', hole('address'), '"'],
  xff: ['"', hole('forwarded-for'), '"'],
  rfr: ['"', hole('referer'), '"'],
  ua: ['"', hole('agent'), '"'],
  s_rq: [hole('request-bytes')],
  s_rs: [hole('sent-bytes')],
  done: ['"', hole('done'), '"'],
  ttl: ['"', hole('ttl'), '"'],
  xmt: ['"eh=', hole('elapsed'), ',ect=0,ecc=hit"'],
  t: ['"eh=', hole('elapsed'), ',ect=0,ecc=hit"'],
  dv: [hole('trait-0')],
  vn: [hole('trait-1')],
  br: [hole('trait-2')],
  bot: [hole('trait-3')],
};
const OPEN = new Set(Object.keys(LINE_HOLES) as LogField[]);

function linePieces(record: Partial<AccessRecord>): Piece[] {
  const pieces = encodeAccessPieces(record, OPEN);
  return joined(pieces.flatMap((piece) => (typeof piece === 'string' ? [piece] : LINE_HOLES[piece.field]!)));
}

/** Texts beside one another become one. */
function joined(pieces: readonly Piece[]): Piece[] {
  const result: Piece[] = [];
  for (const piece of pieces) {
    const last = result.at(-1);
    if (typeof piece === 'string' && typeof last === 'string') result[result.length - 1] = last + piece;
    else result.push(piece);
  }
  return result;
}

/** What the log and cache keys know of a user agent. */
export function describeAgent(userAgent: string | undefined): AgentTraits {
  const { device, vendor, browser, isBot } = detectDevice(userAgent);
  const json = [device, vendor, browser, isBot ? 1 : 0].map((value) => JSON.stringify(value));
  return { json, text: json.join() };
}
