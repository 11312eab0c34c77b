/** Where a call goes and how long each phase may take, from a backend's record or from the global POP's URL. */
import { isIP } from 'node:net';
import type { Origin, OriginLimits } from './types.ts';

/** The limits that both legs take their numbers from; keys and defaults: spec page limits, section 1. */
export type UpstreamLimitKey =
  | 'upstream.dnsMs'
  | 'upstream.connectMs'
  | 'upstream.tlsMs'
  | 'upstream.writeIdleMs'
  | 'upstream.responseMs'
  | 'upstream.bodyIdleMs'
  | 'upstream.bodyBytes'
  | 'upstream.poolSize'
  | 'upstream.poolWaitMs'
  | 'response.headerCount'
  | 'response.headerBytes'
  | 'response.cookieBytes'
  | 'response.headerFieldBytes'
  | 'pop.dnsMs'
  | 'pop.connectMs'
  | 'pop.tlsMs'
  | 'pop.silenceMs'
  | 'pop.poolSize';
export type UpstreamLimits = Readonly<Record<UpstreamLimitKey, number>>;

/** A backend as projects declare it. */
export interface BackendRecord {
  readonly domainOrIp: string;
  readonly port?: number;
  readonly scheme?: 'https' | 'http' | 'match';
  /** Host that is sent; where `domainOrIp` is an address also the name that the certificate must cover. */
  readonly hostHeader?: string;
  readonly disableCheckCert?: boolean;
  readonly passUnknownTransferCoding?: boolean;
  /** Milliseconds; replaces `upstream.responseMs`. */
  readonly firstByteTimeout?: number;
}

/** `domainOrIp` may carry its own port (`localhost:3000`), which an explicit `port` replaces. */
export function backendOrigin(
  backend: BackendRecord,
  limits: UpstreamLimits,
  clientProtocol: 'http' | 'https',
): Origin {
  const { scheme: wanted = 'https' } = backend;
  const scheme = wanted === 'match' ? clientProtocol : wanted;
  const { host, port } = splitHost(backend.domainOrIp);
  // No certificate of a public authority covers a bare address, so there the name that is sent has to be covered.
  const servername = isIP(host) !== 0 && backend.hostHeader ? splitHost(backend.hostHeader).host : undefined;
  return {
    leg: 'upstream',
    scheme,
    host,
    port: backend.port ?? port ?? defaultPort(scheme),
    ...(servername === undefined ? {} : { servername }),
    verifyCertificate: backend.disableCheckCert !== true,
    ...(backend.passUnknownTransferCoding === true ? { passUnknownTransferCoding: true } : {}),
    limits: upstreamLimits(limits, backend.firstByteTimeout),
  };
}

function upstreamLimits(limits: UpstreamLimits, firstByteTimeout: number | undefined): OriginLimits {
  return {
    dnsMs: limits['upstream.dnsMs'],
    connectMs: limits['upstream.connectMs'],
    tlsMs: limits['upstream.tlsMs'],
    writeIdleMs: limits['upstream.writeIdleMs'],
    responseMs: firstByteTimeout ?? limits['upstream.responseMs'],
    bodyIdleMs: limits['upstream.bodyIdleMs'],
    bodyBytes: limits['upstream.bodyBytes'],
    poolSize: limits['upstream.poolSize'],
    poolWaitMs: limits['upstream.poolWaitMs'],
    headerCount: limits['response.headerCount'],
    headerBytes: limits['response.headerBytes'],
    cookieBytes: limits['response.cookieBytes'],
    headerFieldBytes: limits['response.headerFieldBytes'],
  };
}

export interface LinkOptions {
  readonly servername?: string;
  readonly verifyCertificate?: boolean;
  /** Mutual TLS: the platform's own certificate, PEM. */
  readonly clientCertificate?: { readonly cert: string; readonly key: string };
  /** Authorities of the platform's own certificates, PEM; trusted alone. */
  readonly authorities?: string;
}

/** What a global POP adds to a head that just fitted: its own lines must not make it too large. */
const LINK_HEAD_SLACK = { lines: 32, bytes: 16 * 1024 };

/** Throws a `TypeError` for a URL that is not http or https. */
export function linkOrigin(url: string | URL, limits: UpstreamLimits, options: LinkOptions = {}): Origin {
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== 'http:' && protocol !== 'https:') throw new TypeError(`not an address of a POP: ${String(url)}`);
  const scheme = protocol === 'http:' ? 'http' : 'https';
  const { servername, clientCertificate, authorities, verifyCertificate = true } = options;
  return {
    leg: 'link',
    scheme,
    host: withoutBrackets(hostname),
    port: port === '' ? defaultPort(scheme) : Number(port),
    verifyCertificate,
    ...(servername === undefined ? {} : { servername }),
    ...(clientCertificate === undefined ? {} : { clientCertificate }),
    ...(authorities === undefined ? {} : { authorities }),
    limits: linkLimits(limits),
  };
}

/**
 * No timer of the edge may mask one of the global POP (rule R4): where the global POP cannot send heartbeats,
 * because the head is out or the request is still coming in, the edge waits longer than it does.
 */
export function linkLimits(limits: UpstreamLimits): OriginLimits {
  const silenceMs = limits['pop.silenceMs'];
  return {
    dnsMs: limits['pop.dnsMs'],
    connectMs: limits['pop.connectMs'],
    tlsMs: limits['pop.tlsMs'],
    writeIdleMs: limits['upstream.writeIdleMs'] + silenceMs,
    responseMs: silenceMs,
    bodyIdleMs: limits['upstream.bodyIdleMs'] + silenceMs,
    bodyBytes: limits['upstream.bodyBytes'],
    poolSize: limits['pop.poolSize'],
    poolWaitMs: limits['upstream.poolWaitMs'],
    headerCount: limits['response.headerCount'] + LINK_HEAD_SLACK.lines,
    headerBytes: limits['response.headerBytes'] + LINK_HEAD_SLACK.bytes,
    cookieBytes: limits['response.cookieBytes'],
    // Measured where the line was made; here it may have been joined with others.
    headerFieldBytes: Number.POSITIVE_INFINITY,
  };
}

const defaultPort = (scheme: 'http' | 'https'): number => (scheme === 'http' ? 80 : 443);
const withoutBrackets = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');

function splitHost(text: string): { host: string; port?: number } {
  if (isIP(text) !== 0) return { host: text };
  const [, host = text, port] = /^(.*?)(?::(\d{1,5}))?$/.exec(text) ?? [];
  return { host: withoutBrackets(host), ...(port === undefined ? {} : { port: Number(port) }) };
}
