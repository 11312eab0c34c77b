/**
 * Proxy-Status (RFC 9209): a list of members, the first closest to the origin, the last closest to the client. Our
 * member is made from a fault; members of hops behind us that we trust are kept in front of it, others are dropped.
 * Only what is public goes in: addresses, names and figures of a fault's evidence never do.
 */
import { type Item, type List, parseList, serializeList, Token } from 'structured-headers';
import { CAUSE_LIMITS } from './cause-texts.ts';
import type { ProxyError } from './causes.ts';
import type { Fault } from './fault.ts';

/** RFC 9209 section 2.3, "Recommended HTTP status code"; `http_request_error` brings its own as a parameter. */
const RECOMMENDED_STATUS: Readonly<Record<ProxyError, number>> = {
  dns_timeout: 504,
  dns_error: 502,
  destination_not_found: 500,
  destination_unavailable: 503,
  destination_ip_prohibited: 502,
  destination_ip_unroutable: 502,
  connection_refused: 502,
  connection_terminated: 502,
  connection_timeout: 504,
  connection_read_timeout: 504,
  connection_write_timeout: 504,
  connection_limit_reached: 503,
  tls_protocol_error: 502,
  tls_certificate_error: 502,
  tls_alert_received: 502,
  http_request_error: 400,
  http_request_denied: 403,
  http_response_incomplete: 502,
  http_response_header_section_size: 502,
  http_response_header_size: 502,
  http_response_body_size: 502,
  http_response_trailer_section_size: 502,
  http_response_trailer_size: 502,
  http_response_transfer_coding: 502,
  http_response_content_coding: 502,
  http_response_timeout: 504,
  http_upgrade_failed: 502,
  http_protocol_error: 502,
  proxy_internal_response: 502,
  proxy_internal_error: 500,
  proxy_configuration_error: 500,
  proxy_loop_detected: 502,
};

/** The status that RFC 9209 recommends for a fault: what is sent in style `standard`. */
export function standardStatus({ proxyError, parameters }: Fault): number {
  const own = proxyError === 'http_request_error' ? parameters['status-code'] : undefined;
  return typeof own === 'number' ? own : RECOMMENDED_STATUS[proxyError];
}

/** Parameters whose value is a token in the RFC; every other text is a string. */
const TOKEN_PARAMETERS: ReadonlySet<string> = new Set(['coding', 'next-protocol']);

/** One member, e.g. `"global-fra1"; error=tls_certificate_error; details="533 CERT_HAS_EXPIRED"`. */
export function proxyStatusMember(fault: Fault, identity: string): string {
  const parameters = new Map<string, number | string | Token>([['error', new Token(fault.proxyError)]]);
  for (const [name, value] of Object.entries(fault.parameters)) {
    if (!/^[a-z*][a-z0-9_.*-]*$/.test(name) || parameters.has(name)) continue;
    parameters.set(name, parameterValue(name, value));
  }
  parameters.set('details', printable(publicDetails(fault)));
  return serializeList([[printable(identity), parameters]]);
}

/** Code, token and, for a breach, the key of the limit: `400 url-bytes (url.pathQueryBytes)`. */
export function publicDetails({ code, details, why }: Fault): string {
  const limit = CAUSE_LIMITS[why];
  return [String(code), details, limit && `(${limit})`].filter(Boolean).join(' ');
}

/** A member of a hop that passes on what it received, without a failure of its own. */
export const passedOnMember = (identity: string, receivedStatus: number): string =>
  serializeList([[printable(identity), new Map([['received-status', receivedStatus]])]]);

/**
 * Our member behind those that were received. `received` must come from a peer that is trusted; what cannot be
 * parsed is dropped, so that our own member is always readable.
 */
export function appendMember(received: string | undefined, member: string): string {
  const kept = received === undefined ? [] : (parseMembers(received) ?? []);
  return kept.length === 0 ? member : `${serializeList(kept)}, ${member}`;
}

export interface ProxyStatusMember {
  readonly identity: string;
  readonly error: string | undefined;
  readonly details: string | undefined;
  readonly receivedStatus: number | undefined;
  /** All parameters by name, tokens as plain text. */
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
}

/** Members in order, first closest to the origin; empty when the value is not a valid list. */
export function parseProxyStatus(value: string): readonly ProxyStatusMember[] {
  return (parseMembers(value) ?? []).map(([identity, parameters]) => {
    const plain = Object.fromEntries([...parameters].map(([name, item]) => [name, plainValue(item)]));
    const textOf = (name: string) => (typeof plain[name] === 'string' ? plain[name] : undefined);
    return {
      identity: String(plainValue(identity)),
      error: textOf('error'),
      details: textOf('details'),
      receivedStatus: typeof plain['received-status'] === 'number' ? plain['received-status'] : undefined,
      parameters: plain,
    };
  });
}

function parseMembers(value: string): Item[] | undefined {
  let list: List;
  try {
    list = parseList(value);
  } catch {
    return undefined;
  }
  return list.filter((member): member is Item => !Array.isArray(member[0]));
}

function parameterValue(name: string, value: string | number): number | string | Token {
  if (typeof value === 'number') return Number.isFinite(value) ? value : 0;
  return TOKEN_PARAMETERS.has(name) && /^[A-Za-z*][\w!#$%&'*+.^`|~:/-]*$/.test(value)
    ? new Token(value)
    : printable(value);
}

function plainValue(item: Item[0]): string | number | boolean {
  return typeof item === 'number' || typeof item === 'boolean' ? item : String(item);
}

/** Structured strings are printable ASCII; anything else becomes `?`, and nothing is longer than a line. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?').slice(0, 200);
}
