/**
 * The link: how an edge POP and its global POP speak to each other. Plain HTTP/1.1 with two private fields, which
 * are believed only together with the link's token and never leave the platform:
 *
 * - a request carries `selvedge-link` (token) and `selvedge-link-context` (what the edge knows of the client);
 * - a response carries `selvedge-link-report` (telemetry, length, and the fault if there was one).
 *
 * The body always ends with a trailer `selvedge-link-end`. Its absence means that the link broke; its presence with
 * a fault means that the body was cut behind the global POP, so that a failure keeps its first-hand attribution
 * even after the head was sent.
 */
import { timingSafeEqual } from 'node:crypto';
import { PassThrough, type Readable } from 'node:stream';
import { Fields } from '../http/fields.ts';
import { type Actor, CAUSES, type Cause } from '../status/causes.ts';
import { Fault, type Hop, type RaisedBy } from '../status/fault.ts';

export const LINK_TOKEN = 'selvedge-link';
export const LINK_CONTEXT = 'selvedge-link-context';
export const LINK_REPORT = 'selvedge-link-report';
/** Marks a request that the platform itself makes to fill its store; its value is the link's token. */
export const LINK_PRELOAD = 'selvedge-link-preload';
/** On a 102 that says that we are alive, and nothing of an upstream. */
export const LINK_HEARTBEAT = 'selvedge-link-heartbeat';
/** News of URLs that an unsafe request has changed, in place of a request. */
const LINK_CHANGED = 'selvedge-link-changed';
export const LINK_END = 'selvedge-link-end';
/** Why a global POP does not talk to whoever asked: `token`, or `certificate` and what is wrong with it. */
export const LINK_REFUSED = 'selvedge-link-refused';

/** What an edge tells its global POP about the client's request. */
export interface LinkContext {
  readonly requestId: string;
  /** What the edge's story calls this call. */
  readonly span: string;
  readonly clientIp: string;
  readonly peerIp?: string;
  readonly protocol: 'http' | 'https';
  /** Host as the client sent it. */
  readonly host: string;
  readonly environment: string;
  readonly deployment: number;
  /** `lookup`: answer from L2 or fail with `cache.prefetch-miss`, never fetch. `pass`: do not store. */
  readonly mode: 'normal' | 'lookup' | 'pass';
  /** Identity of the edge POP. */
  readonly edge: string;
  readonly httpVersion: string;
  /** The edge may store the answer: the whole is wanted. */
  readonly whole: boolean;
  /** The client takes trailers; on the link every request says so. */
  readonly trailers: boolean;
  /** Made by the platform itself, to fill the store. */
  readonly preload: boolean;
  /** Run the error routes for this status instead of the ordinary ones. */
  readonly catchStatus?: number;
}

/** What a global POP tells the edge beside the response. */
export interface LinkReport {
  /** Identity of the global POP. */
  readonly pop: string;
  readonly metrics: string;
  readonly statuses: string;
  readonly components: string;
  /** Content-Length of the response, when known; the link itself is always chunked. */
  readonly length?: string;
  readonly fault?: SerialisedFault;
  readonly backend?: string;
  readonly backendAddress?: string;
  /** Level that answered: 2 when L2 had it, 0 when it was fetched. */
  readonly level: number;
  /** The last purge that the global POP knew when the content was fetched. */
  readonly purgeSequence?: number;
  /** Freshness left at the global POP; negative when stale. */
  readonly freshForMs?: number;
}

interface SerialisedFault {
  readonly cause: string;
  readonly hop: Hop;
  readonly details?: string;
  readonly acts?: Actor;
  readonly parameters: Readonly<Record<string, string | number>>;
  readonly evidence: Readonly<Record<string, unknown>>;
  readonly message?: string;
}

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

function decode<Value>(text: string): Value | null {
  try {
    return JSON.parse(Buffer.from(text, 'base64url').toString()) as Value;
  } catch {
    return null;
  }
}

export const encodeContext = (context: LinkContext): string => encode(context);

/** The context of a request that proved to come from one of our edges, else null. */
export function readContext(fields: Fields, token: string): LinkContext | null {
  if (!proves(fields.get(LINK_TOKEN), token)) return null;
  const context = fields.get(LINK_CONTEXT);
  return context === undefined ? null : decode<LinkContext>(context);
}

/** A message that tells of changed URLs. */
export const changedFields = (urlKeys: readonly string[], token: string): Fields =>
  Fields.from([
    ['host', 'selvedge'],
    [LINK_TOKEN, token],
    [LINK_CHANGED, encode(urlKeys)],
  ]);

/** The URLs that a message of one of our edges tells of; null when it is none. */
export function readChanged(fields: Fields, token: string): readonly string[] | null {
  const text = fields.get(LINK_CHANGED);
  return text !== undefined && proves(fields.get(LINK_TOKEN), token) ? decode<readonly string[]>(text) : null;
}

/** Whether a request is one that the platform makes to fill its own store. */
export const isPreload = (fields: Fields, token: string): boolean => proves(fields.get(LINK_PRELOAD), token);

function proves(given: string | undefined, token: string): boolean {
  if (given === undefined) return false;
  const seen = Buffer.from(given);
  const wanted = Buffer.from(token);
  return seen.length === wanted.length && timingSafeEqual(seen, wanted);
}

/** What a peer without a valid certificate is told, before a byte of it was looked at. */
export const refusalOfCertificate = (reason: string): Buffer =>
  Buffer.from(
    `HTTP/1.1 403 Forbidden\r\n${LINK_REFUSED}: certificate ${reason.replace(/[^\w ]/g, '')}\r\n` +
      'content-length: 0\r\nconnection: close\r\n\r\n',
  );

/** The fault of an answer without a report: of a peer that is not a global POP, or that does not take us for an edge. */
export function unreported(fields: Fields): Fault {
  const [refused, ...reason] = (fields.get(LINK_REFUSED) ?? '').split(' ');
  if (refused === 'certificate') {
    const details = `our certificate was refused: ${reason.join(' ')}`;
    return new Fault({ cause: 'link.tls.certificate', hop: 'edge', details });
  }
  const details = refused === 'token' ? 'pop.linkToken was refused' : 'no report';
  return new Fault({ cause: 'link.head.malformed', hop: 'edge', details });
}

export const encodeReport = (report: LinkReport): string => encode(report);

/** Takes the report off a response; null when the peer is not a global POP of ours. */
export function takeReport(fields: Fields): LinkReport | null {
  const text = fields.get(LINK_REPORT);
  fields.delete(LINK_REPORT);
  return text === undefined ? null : decode<LinkReport>(text);
}

/** No link field of a client, an upstream or a worker is ever passed on. */
export const isLinkField = (lowerName: string): boolean => /^selvedge[-_]link/.test(lowerName);

export function serialiseFault(fault: Fault): SerialisedFault {
  const error = fault.cause;
  return {
    cause: fault.why,
    hop: fault.hop,
    acts: fault.acts,
    parameters: fault.parameters,
    evidence: fault.evidence,
    ...(fault.details === undefined ? {} : { details: fault.details }),
    ...(error instanceof Error ? { message: error.stack ?? error.message } : {}),
  };
}

export function restoreFault(serialised: SerialisedFault, raisedBy?: RaisedBy): Fault {
  const cause = (serialised.cause in CAUSES ? serialised.cause : 'platform.internal') as Cause;
  return new Fault({
    cause,
    hop: serialised.hop,
    details: serialised.details,
    acts: serialised.acts,
    parameters: serialised.parameters,
    evidence: serialised.evidence,
    error: serialised.message,
    ...(raisedBy === undefined ? {} : { raisedBy }),
  });
}

/** The trailers that end a body on the link, with the origin's own in front. */
export function endTrailers(fault: Fault | null, originTrailers: Fields | undefined): Fields {
  const fields = originTrailers?.clone() ?? new Fields();
  return fields.set(LINK_END, fault === null ? 'ok' : encode(serialiseFault(fault)));
}

/**
 * Reads a body that came over the link: passes the bytes on and, at the end, believes the body complete only when
 * the trailer says so.
 */
export function checkedLinkBody(body: Readable, trailers: () => Fields): { body: Readable; trailers: () => Fields } {
  const origin = new Fields();
  const check = new PassThrough({
    flush(done) {
      const fields = trailers();
      const end = fields.get(LINK_END);
      if (end === 'ok') {
        for (const [name, value] of fields) if (!isLinkField(name.toLowerCase())) origin.append(name, value);
        return done();
      }
      const fault = end === undefined ? null : decode<SerialisedFault>(end);
      done(fault ? restoreFault(fault) : new Fault({ cause: 'link.body.incomplete', hop: 'edge' }));
    },
  });
  body.on('error', (error) => check.destroy(error));
  check.on('close', () => body.destroy());
  return { body: body.pipe(check), trailers: () => origin };
}
