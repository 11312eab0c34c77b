/**
 * The checks that belong to the client side, in their fixed order: framing, then sizes (400), then Host absent (535)
 * or malformed (544). Pure: raw head in, verdict out, so that every way in (Node's parser, a fast path) decides alike.
 * llhttp has already refused what is not HTTP at all; here is what it lets through.
 * Source: spec "Status codes", rule R12 and trap T8; RFC 9112 sections 3.2, 6.1 and 6.3.
 */
import type { Cause } from '../status/causes.ts';
import type { Fields } from './fields.ts';
import { parseHost } from './host.ts';

export interface RequestHead {
  readonly method: string;
  /** Request target as received, one character per byte. */
  readonly target: string;
  /** `1.0`, `1.1`, or `2` for a stream of HTTP/2; llhttp may report others, which are refused. */
  readonly httpVersion: string;
  /** Flat `[name, value…]` lines as received, one character per byte. */
  readonly rawHeaders: readonly string[];
}

/** Infinity switches a limit off. */
export interface EntryLimits {
  readonly pathQueryBytes: number;
  readonly cookieBytes: number;
  readonly headerBytes: number;
}

export interface Entered {
  readonly ok: true;
  /** Host with port as received, lower case. */
  readonly host: string;
  readonly path: string;
  readonly query: string;
  /** Null: no body. Otherwise its length in bytes, or undefined when it is chunked. */
  readonly bodyLength: number | undefined | null;
}

export interface Refused {
  readonly ok: false;
  readonly cause: Cause;
  /** For operators: what was seen, and the limit where there is one. */
  readonly evidence: Readonly<Record<string, string | number>>;
}

export type EntryVerdict = Entered | Refused;

export function checkEntry(head: RequestHead, limits: EntryLimits): EntryVerdict {
  const seen = survey(head.rawHeaders);
  const target = splitTarget(head);
  return (
    checkFraming(head, seen, target) ??
    checkSizes(head, seen, limits) ??
    checkHost(seen) ?? {
      ok: true,
      host: seen.hosts[0]!.toLowerCase(),
      path: target!.path,
      query: target!.query,
      bodyLength: bodyLength(seen),
    }
  );
}

/**
 * Lines outside the reserved prefixes against `request.headerCount`. Apart from the rest because host lookup and
 * the loop check come before it (R12). Prefixes are lower case without the final hyphen.
 */
export function checkHeaderCount(fields: Fields, prefixes: readonly string[], limit: number): Refused | null {
  if (fields.length <= limit) return null;
  let lines = 0;
  for (const [name] of fields) if (!isReserved(name.toLowerCase(), prefixes)) lines++;
  if (lines <= limit) return null;
  return refuse('request.header-count', { limit: 'request.headerCount', value: limit, seen: lines });
}

const isReserved = (lowerName: string, prefixes: readonly string[]): boolean =>
  prefixes.some((prefix) => lowerName.startsWith(`${prefix}-`));

const refuse = (cause: Cause, evidence: Refused['evidence']): Refused => ({ ok: false, cause, evidence });

interface Survey {
  readonly hosts: string[];
  readonly transferCodings: string[];
  readonly contentLengths: string[];
  cookieBytes: number;
  headerBytes: number;
}

/** One pass; only names of a length that matters are lowered. */
function survey(raw: readonly string[]): Survey {
  const seen: Survey = { hosts: [], transferCodings: [], contentLengths: [], cookieBytes: 0, headerBytes: 0 };
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!;
    const value = raw[at + 1]!;
    seen.headerBytes += name.length + value.length + 4;
    if (name.length === 4 && name.toLowerCase() === 'host') seen.hosts.push(value);
    else if (name.length === 6 && name.toLowerCase() === 'cookie') seen.cookieBytes += value.length;
    else if (name.length === 14 && name.toLowerCase() === 'content-length') seen.contentLengths.push(value);
    else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') seen.transferCodings.push(value);
  }
  return seen;
}

interface Target {
  readonly path: string;
  readonly query: string;
  /** Of an absolute-form target. */
  readonly authority?: string;
  readonly scheme?: string;
}

const ABSOLUTE = /^(https?):\/\/([^/?]*)(.*)$/i;

/** Null when the target is none that a server may be asked for. */
function splitTarget({ method, target }: RequestHead): Target | null {
  if (target === '*') return method === 'OPTIONS' ? { path: '*', query: '' } : null;
  if (target.includes('#')) return null;
  if (target.startsWith('/')) return splitPath(target);
  const absolute = ABSOLUTE.exec(target);
  if (!absolute) return null;
  const rest = absolute[3]!;
  return {
    ...splitPath(rest.startsWith('/') ? rest : `/${rest}`),
    scheme: absolute[1]!.toLowerCase(),
    authority: absolute[2]!,
  };
}

function splitPath(target: string): Target {
  const mark = target.indexOf('?');
  return mark < 0 ? { path: target, query: '' } : { path: target.slice(0, mark), query: target.slice(mark + 1) };
}

const VERSIONS: ReadonlySet<string> = new Set(['1.0', '1.1', '2']);

function checkFraming(head: RequestHead, seen: Survey, target: Target | null): Refused | null {
  const framing = (seenThing: string): Refused => refuse('request.framing', { seen: seenThing });
  if (!VERSIONS.has(head.httpVersion)) return framing(`HTTP version ${head.httpVersion}`);
  const codings = seen.transferCodings;
  if (codings.length > 0) {
    if (codings.length > 1 || codings[0]!.toLowerCase() !== 'chunked') return framing('transfer coding not chunked');
    if (head.httpVersion === '1.0') return framing('transfer coding in HTTP/1.0');
    if (seen.contentLengths.length > 0) return framing('both transfer coding and content length');
  }
  if (seen.contentLengths.length > 1) return framing('several content lengths');
  if (!/^\d{1,15}$/.test(seen.contentLengths[0] ?? '0')) return framing('content length not a number');
  if (seen.hosts.length > 1) return refuse('request.multiple-host', { lines: seen.hosts.length });
  if (head.method === 'TRACE' || head.method === 'CONNECT') return refuse('request.method', { method: head.method });
  if (target === null) return framing('request target');
  return target.authority === undefined ? null : checkAuthority(target, seen.hosts[0]);
}

/** An absolute-form target must name the same place as Host, default ports aside; routing on either would differ. */
function checkAuthority({ authority, scheme }: Target, host: string | undefined): Refused | null {
  const defaultPort = scheme === 'https' ? 443 : 80;
  const ofTarget = parseHost(authority);
  const ofHost = parseHost(host);
  if (!ofTarget.ok) return refuse('request.framing', { seen: 'authority of the request target' });
  if (!ofHost.ok) return null; // absent or malformed: told by the Host check
  const same = ofTarget.host === ofHost.host && (ofTarget.port ?? defaultPort) === (ofHost.port ?? defaultPort);
  return same ? null : refuse('request.authority-mismatch', { authority: authority!, host: host! });
}

function checkSizes(head: RequestHead, seen: Survey, limits: EntryLimits): Refused | null {
  const over = (cause: Cause, limit: string, value: number, bytes: number): Refused | null =>
    bytes > value ? refuse(cause, { limit, value, seen: bytes }) : null;
  return (
    over('request.url-bytes', 'url.pathQueryBytes', limits.pathQueryBytes, head.target.length) ??
    over('request.cookie-bytes', 'request.cookieBytes', limits.cookieBytes, seen.cookieBytes) ??
    over('request.header-bytes', 'request.headerBytes', limits.headerBytes, seen.headerBytes)
  );
}

function checkHost({ hosts }: Survey): Refused | null {
  const parsed = parseHost(hosts[0]);
  return parsed.ok ? null : refuse(parsed.cause, { seen: parsed.reason });
}

function bodyLength({ transferCodings, contentLengths }: Survey): number | undefined | null {
  if (transferCodings.length > 0) return undefined;
  return Number(contentLengths[0] ?? 0) || null;
}
