/**
 * Why something failed: the one table from which code, phase, Proxy-Status error type (RFC 9209) and acting
 * party follow. A room that detects a failure names its cause; nothing else ever picks a status code.
 * Source: the platform's status-code page; one failure, one code, one party that has to act.
 */
export type Actor = 'client' | 'project' | 'upstream' | 'platform' | 'capacity' | 'nobody';

/** Where in the exchange a failure happened. */
export type Phase =
  | 'request'
  | 'identify'
  | 'route'
  | 'cache'
  | 'dns'
  | 'connect'
  | 'tls'
  | 'send'
  | 'response-head'
  | 'response-body'
  | 'queue'
  | 'run'
  | 'internal';

/** RFC 9209 section 2.3: the registered error types that the platform uses. */
export type ProxyError =
  | 'dns_timeout'
  | 'dns_error'
  | 'destination_not_found'
  | 'destination_unavailable'
  | 'destination_ip_prohibited'
  | 'destination_ip_unroutable'
  | 'connection_refused'
  | 'connection_terminated'
  | 'connection_timeout'
  | 'connection_read_timeout'
  | 'connection_write_timeout'
  | 'connection_limit_reached'
  | 'tls_protocol_error'
  | 'tls_certificate_error'
  | 'tls_alert_received'
  | 'http_request_error'
  | 'http_request_denied'
  | 'http_response_incomplete'
  | 'http_response_header_section_size'
  | 'http_response_header_size'
  | 'http_response_body_size'
  | 'http_response_trailer_section_size'
  | 'http_response_trailer_size'
  | 'http_response_transfer_coding'
  | 'http_response_content_coding'
  | 'http_response_timeout'
  | 'http_upgrade_failed'
  | 'http_protocol_error'
  | 'proxy_internal_response'
  | 'proxy_internal_error'
  | 'proxy_configuration_error'
  | 'proxy_loop_detected';

interface CauseRow {
  readonly code: number;
  readonly phase: Phase;
  readonly error: ProxyError;
  readonly acts: Actor;
  /** The status that RFC 9209 recommends to accompany `error` where it is a parameter (`http_request_error`). */
  readonly statusCode?: number;
  /** Public, coarse token for `details`; a fault may give a more exact one. */
  readonly details?: string;
}

const row = (code: number, phase: Phase, error: ProxyError, acts: Actor, details?: string, statusCode?: number) =>
  ({ code, phase, error, acts, details, statusCode }) satisfies CauseRow;

export const CAUSES = {
  // 400: the client's bytes
  'request.url-bytes': row(400, 'request', 'http_request_error', 'client', 'url-bytes', 414),
  'request.cookie-bytes': row(400, 'request', 'http_request_error', 'client', 'cookie-bytes', 431),
  'request.header-bytes': row(400, 'request', 'http_request_error', 'client', 'header-bytes', 431),
  'request.framing': row(400, 'request', 'http_request_error', 'client', 'framing', 400),
  'request.multiple-host': row(400, 'request', 'http_request_error', 'client', 'multiple-host', 400),
  'request.authority-mismatch': row(400, 'request', 'http_request_error', 'client', 'framing', 400),
  'request.timeout': row(408, 'request', 'http_request_error', 'client', 'head-timeout', 408),
  'request.body-bytes': row(413, 'request', 'http_request_error', 'client', 'body-bytes', 413),
  'request.header-count': row(542, 'request', 'http_request_error', 'client', 'header-count', 431),
  'request.unauthorized': row(401, 'route', 'http_request_error', 'client', 'basic-auth', 401),
  'request.denied': row(403, 'route', 'http_request_denied', 'client', 'denied', 403),
  'request.expectation': row(417, 'request', 'http_request_error', 'client', 'expectation', 417),
  'request.upgrade': row(400, 'request', 'http_request_error', 'client', 'upgrade', 400),
  'request.method': row(400, 'request', 'http_request_error', 'client', 'method', 405),
  // identify
  'host.missing': row(535, 'identify', 'destination_not_found', 'client', 'host-missing'),
  'host.unknown': row(535, 'identify', 'destination_not_found', 'project', 'host-unknown'),
  'host.syntax': row(544, 'identify', 'http_request_error', 'client', 'host-syntax', 400),
  'platform.warming': row(545, 'identify', 'destination_unavailable', 'platform', 'warming'),
  'platform.draining': row(545, 'identify', 'destination_unavailable', 'platform', 'draining'),
  'platform.no-configuration': row(545, 'identify', 'proxy_configuration_error', 'platform', 'no-configuration'),
  'platform.internal': row(530, 'internal', 'proxy_internal_error', 'platform'),
  'platform.loop': row(538, 'identify', 'proxy_loop_detected', 'project'),
  // route and cache
  'route.none': row(404, 'route', 'http_request_error', 'project', 'no-route', 404),
  'route.asset-missing': row(404, 'route', 'http_request_error', 'project', 'asset-missing', 404),
  'cache.prefetch-miss': row(412, 'cache', 'http_request_error', 'nobody', 'prefetch-not-cached', 412),
  'cache.only-if-cached': row(504, 'cache', 'http_request_error', 'client', 'only-if-cached', 504),
  // POP → upstream
  'upstream.dns.nxdomain': row(537, 'dns', 'dns_error', 'project', 'NXDOMAIN'),
  'upstream.dns.servfail': row(537, 'dns', 'dns_error', 'upstream', 'SERVFAIL'),
  'upstream.dns.refused': row(537, 'dns', 'dns_error', 'upstream', 'REFUSED'),
  'upstream.dns.formerr': row(537, 'dns', 'dns_error', 'upstream', 'FORMERR'),
  'upstream.dns.notimp': row(537, 'dns', 'dns_error', 'upstream', 'NOTIMP'),
  'upstream.dns.nodata': row(537, 'dns', 'dns_error', 'project', 'nodata'),
  'upstream.dns.bad-name': row(537, 'dns', 'dns_error', 'project', 'bad-name'),
  'upstream.dns.timeout': row(537, 'dns', 'dns_timeout', 'upstream', 'no answer'),
  'upstream.dns.unreachable': row(537, 'dns', 'dns_error', 'platform', 'resolver unreachable'),
  'upstream.connect.refused': row(531, 'connect', 'connection_refused', 'upstream'),
  'upstream.connect.timeout': row(531, 'connect', 'connection_timeout', 'upstream'),
  'upstream.connect.unroutable': row(531, 'connect', 'destination_ip_unroutable', 'upstream'),
  'upstream.connect.prohibited': row(531, 'connect', 'destination_ip_prohibited', 'project'),
  'upstream.connect.pool-full': row(531, 'connect', 'connection_limit_reached', 'upstream'),
  'upstream.tls.certificate': row(533, 'tls', 'tls_certificate_error', 'upstream'),
  'upstream.tls.alert': row(533, 'tls', 'tls_alert_received', 'upstream'),
  'upstream.tls.protocol': row(533, 'tls', 'tls_protocol_error', 'upstream'),
  'upstream.tls.closed': row(533, 'tls', 'connection_terminated', 'upstream', 'tls handshake'),
  'upstream.tls.timeout': row(533, 'tls', 'connection_timeout', 'upstream', 'tls handshake'),
  'upstream.send.timeout': row(536, 'send', 'connection_write_timeout', 'upstream'),
  'upstream.head.timeout': row(536, 'response-head', 'http_response_timeout', 'upstream'),
  'upstream.head.closed': row(536, 'response-head', 'connection_terminated', 'upstream'),
  'upstream.head.malformed': row(536, 'response-head', 'http_protocol_error', 'upstream'),
  'upstream.head.transfer-coding': row(536, 'response-head', 'http_response_transfer_coding', 'upstream'),
  'upstream.head.count': row(542, 'response-head', 'http_response_header_section_size', 'upstream', 'header-count'),
  'upstream.head.bytes': row(542, 'response-head', 'http_response_header_section_size', 'upstream', 'header-bytes'),
  'upstream.head.cookie-bytes': row(
    542,
    'response-head',
    'http_response_header_section_size',
    'upstream',
    'cookie-bytes',
  ),
  'upstream.head.field-bytes': row(542, 'response-head', 'http_response_header_size', 'upstream', 'field-bytes'),
  'upstream.head.upgrade': row(536, 'response-head', 'http_upgrade_failed', 'upstream', 'upgrade'),
  'upstream.body.timeout': row(536, 'response-body', 'connection_read_timeout', 'upstream'),
  'upstream.body.incomplete': row(536, 'response-body', 'http_response_incomplete', 'upstream'),
  'upstream.body.malformed': row(536, 'response-body', 'http_protocol_error', 'upstream'),
  'upstream.body.bytes': row(532, 'response-body', 'http_response_body_size', 'upstream', 'upstream-body'),
  'upstream.trailer.count': row(
    542,
    'response-body',
    'http_response_trailer_section_size',
    'upstream',
    'trailer-count',
  ),
  'upstream.trailer.bytes': row(
    542,
    'response-body',
    'http_response_trailer_section_size',
    'upstream',
    'trailer-bytes',
  ),
  'upstream.trailer.field-bytes': row(542, 'response-body', 'http_response_trailer_size', 'upstream', 'field-bytes'),
  // edge → global
  'link.dns.nxdomain': row(548, 'dns', 'dns_error', 'platform', 'NXDOMAIN'),
  'link.dns.servfail': row(548, 'dns', 'dns_error', 'platform', 'SERVFAIL'),
  'link.dns.refused': row(548, 'dns', 'dns_error', 'platform', 'REFUSED'),
  'link.dns.formerr': row(548, 'dns', 'dns_error', 'platform', 'FORMERR'),
  'link.dns.notimp': row(548, 'dns', 'dns_error', 'platform', 'NOTIMP'),
  'link.dns.nodata': row(548, 'dns', 'dns_error', 'platform', 'nodata'),
  'link.dns.timeout': row(548, 'dns', 'dns_timeout', 'platform', 'no answer'),
  'link.dns.unreachable': row(548, 'dns', 'dns_error', 'platform', 'resolver unreachable'),
  'link.connect.refused': row(547, 'connect', 'connection_refused', 'platform'),
  'link.connect.timeout': row(543, 'connect', 'connection_timeout', 'platform'),
  'link.connect.unroutable': row(547, 'connect', 'destination_ip_unroutable', 'platform'),
  'link.connect.pool-full': row(543, 'connect', 'connection_limit_reached', 'platform'),
  'link.tls.certificate': row(546, 'tls', 'tls_certificate_error', 'platform'),
  'link.tls.alert': row(546, 'tls', 'tls_alert_received', 'platform'),
  'link.tls.protocol': row(546, 'tls', 'tls_protocol_error', 'platform'),
  'link.tls.closed': row(546, 'tls', 'connection_terminated', 'platform', 'tls handshake'),
  'link.tls.timeout': row(546, 'tls', 'connection_timeout', 'platform', 'tls handshake'),
  'link.send.timeout': row(543, 'send', 'connection_write_timeout', 'platform'),
  'link.head.timeout': row(543, 'response-head', 'http_response_timeout', 'platform'),
  'link.head.closed': row(547, 'response-head', 'connection_terminated', 'platform'),
  'link.head.malformed': row(547, 'response-head', 'http_protocol_error', 'platform'),
  'link.head.transfer-coding': row(547, 'response-head', 'http_response_transfer_coding', 'platform'),
  'link.head.count': row(542, 'response-head', 'http_response_header_section_size', 'platform', 'header-count'),
  'link.head.bytes': row(542, 'response-head', 'http_response_header_section_size', 'platform', 'header-bytes'),
  'link.head.cookie-bytes': row(542, 'response-head', 'http_response_header_section_size', 'platform', 'cookie-bytes'),
  'link.body.timeout': row(543, 'response-body', 'connection_read_timeout', 'platform'),
  'link.body.incomplete': row(547, 'response-body', 'http_response_incomplete', 'platform'),
  'link.body.malformed': row(547, 'response-body', 'http_protocol_error', 'platform'),
  'link.body.bytes': row(532, 'response-body', 'http_response_body_size', 'platform', 'link-body'),
  'link.trailer.count': row(542, 'response-body', 'http_response_trailer_section_size', 'platform', 'trailer-count'),
  'link.trailer.bytes': row(542, 'response-body', 'http_response_trailer_section_size', 'platform', 'trailer-bytes'),
  // compute
  'compute.queue-timeout': row(541, 'queue', 'connection_limit_reached', 'capacity', 'queue-timeout'),
  'compute.queue-full': row(541, 'queue', 'connection_limit_reached', 'capacity', 'queue-full'),
  'compute.timeout': row(539, 'run', 'http_response_timeout', 'project'),
  'compute.uncaught': row(534, 'run', 'http_response_incomplete', 'project', 'uncaught'),
  'compute.unhandled-rejection': row(534, 'run', 'http_response_incomplete', 'project', 'unhandled-rejection'),
  'compute.load-failed': row(534, 'run', 'http_response_incomplete', 'project', 'load-failed'),
  'compute.malformed': row(534, 'run', 'http_protocol_error', 'project', 'malformed'),
  'compute.exited': row(534, 'run', 'connection_terminated', 'project'),
  'compute.crashed': row(549, 'run', 'connection_terminated', 'project'),
  'compute.incomplete': row(534, 'run', 'http_response_incomplete', 'project', 'incomplete'),
  // Project code reads what an upstream sent; nobody else decodes bodies.
  'compute.upstream-coding': row(536, 'response-body', 'http_response_content_coding', 'upstream', 'content-coding'),
  'compute.memory': row(540, 'run', 'connection_terminated', 'project'),
  'compute.body-bytes': row(532, 'response-body', 'http_response_body_size', 'project', 'response-bytes'),
  'compute.header-count': row(542, 'response-head', 'http_response_header_section_size', 'project', 'header-count'),
  'compute.header-bytes': row(542, 'response-head', 'http_response_header_section_size', 'project', 'header-bytes'),
  'compute.cookie-bytes': row(542, 'response-head', 'http_response_header_section_size', 'project', 'cookie-bytes'),
  'compute.header-field-bytes': row(542, 'response-head', 'http_response_header_size', 'project', 'field-bytes'),
  'compute.trailer-count': row(542, 'response-body', 'http_response_trailer_section_size', 'project', 'trailer-count'),
  'compute.trailer-bytes': row(542, 'response-body', 'http_response_trailer_section_size', 'project', 'trailer-bytes'),
  'compute.trailer-field-bytes': row(542, 'response-body', 'http_response_trailer_size', 'project', 'field-bytes'),
} as const satisfies Record<string, CauseRow>;

export type Cause = keyof typeof CAUSES;

/** The two legs share their stages; only the table knows which code a stage has on which leg. */
export type Leg = 'upstream' | 'link';
type StageOf<C> = C extends `upstream.${infer Stage}` ? Stage : never;
/** A stage of a dialled exchange, such as `connect.refused` or `head.timeout`. */
export type LegStage = StageOf<Cause>;

/** A stage that a leg cannot fail in (nothing prohibits the platform's own addresses to it) is a hole of ours. */
export const legCause = (leg: Leg, stage: LegStage): Cause => {
  const cause = `${leg}.${stage}`;
  return cause in CAUSES ? (cause as Cause) : 'platform.internal';
};
