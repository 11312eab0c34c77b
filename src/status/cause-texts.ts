/**
 * One public sentence per cause: what happened, exactly, without any name, address or figure of this request. And
 * the limit that a breach is about, by its key in the configuration. A cause without a sentence falls back on the
 * description of its code; a test names the ones that are missing.
 */
import type { Cause, LegStage } from './causes.ts';

/** `{peer}` is the upstream or the global POP. */
const STAGES: Readonly<Partial<Record<LegStage, string>>> = {
  'dns.nxdomain': 'The host name of {peer} does not exist.',
  'dns.servfail': 'The name server could not resolve the host name of {peer}.',
  'dns.refused': 'The name server refused to resolve the host name of {peer}.',
  'dns.formerr': 'The name server did not understand the question for the host name of {peer}.',
  'dns.notimp': 'The name server does not support the question for the host name of {peer}.',
  'dns.nodata': 'The host name of {peer} exists, but has no address.',
  'dns.bad-name': 'The configured host name of {peer} is not a valid name.',
  'dns.unreachable': 'No name server could be reached to resolve the host name of {peer}.',
  'dns.timeout': 'No name server answered in time for the host name of {peer}.',
  'connect.refused': '{Peer} refused the connection.',
  'connect.timeout': '{Peer} did not accept a connection in time.',
  'connect.unroutable': 'There is no network route to {peer}.',
  'connect.prohibited': 'The address of {peer} is one that this platform may not connect to.',
  'connect.pool-full': 'All connections to {peer} were in use for too long.',
  'tls.certificate': 'The certificate of {peer} was rejected.',
  'tls.alert': '{Peer} ended the TLS handshake with an alert.',
  'tls.protocol': '{Peer} does not speak TLS in a way that could be agreed on.',
  'tls.closed': '{Peer} closed the connection during the TLS handshake.',
  'tls.timeout': '{Peer} did not complete the TLS handshake in time.',
  'send.timeout': '{Peer} stopped taking the request.',
  'head.timeout': '{Peer} did not start to answer in time.',
  'head.closed': '{Peer} closed the connection without an answer.',
  'head.malformed': 'What {peer} answered is not valid HTTP.',
  'head.transfer-coding': '{Peer} answered with a transfer coding that is not supported.',
  'head.content-coding': '{Peer} answered with a content coding that could not be decoded.',
  'head.count': '{Peer} answered with too many header lines.',
  'head.bytes': '{Peer} answered with headers that are too large in total.',
  'head.cookie-bytes': '{Peer} set cookies that are too large in total.',
  'body.timeout': '{Peer} stopped sending in the middle of its answer.',
  'body.incomplete': 'The answer of {peer} ended before it was complete.',
  'body.malformed': 'The body of the answer of {peer} is not validly framed.',
  'body.bytes': 'The body of the answer of {peer} is larger than allowed.',
};

const TEXTS: Readonly<Partial<Record<Cause, string>>> = {
  'request.url-bytes': 'Path and query of the address are longer than allowed.',
  'request.cookie-bytes': 'The cookies of the request are larger than allowed.',
  'request.header-bytes': 'The headers of the request are larger than allowed in total.',
  'request.framing': 'The request is not validly framed HTTP.',
  'request.multiple-host': 'The request names its host more than once.',
  'request.authority-mismatch': 'The request line and the Host header name different hosts.',
  'request.timeout': 'The request did not arrive completely in time.',
  'request.body-bytes': 'The body of the request is larger than allowed.',
  'request.header-count': 'The request has too many header lines.',
  'request.unauthorized': 'This site asks for a user name and a password.',
  'request.denied': 'A rule of this site refuses the request.',
  'request.expectation': 'The request expects something that is not known here.',
  'request.upgrade': 'The request asks for a protocol that this address does not offer.',
  'request.method': 'The request has a method that is not served here.',
  'host.missing': 'The request does not say which host it is for.',
  'host.unknown': 'No site is deployed here for the host of this request.',
  'host.syntax': 'The host of the request is not a valid domain name.',
  'platform.warming': 'The component that took the request is still preparing.',
  'platform.draining': 'The component that took the request is about to stop.',
  'platform.no-configuration': 'The component that took the request has no configuration yet.',
  'platform.internal': 'Something unexpected went wrong inside the platform.',
  'platform.loop': 'The request has come back to this platform too often.',
  'route.none': 'No route of this site matches the address.',
  'route.asset-missing': 'A route matches the address, but its file is not part of the deployment.',
  'cache.prefetch-miss': 'Nothing is stored for this prefetch, and prefetching never causes a fetch.',
  'cache.only-if-cached': 'Nothing is stored for this request, and it allows stored answers only.',
  'compute.queue-timeout': 'No worker became free in time.',
  'compute.queue-full': 'Too many requests are waiting for a worker already.',
  'compute.timeout': "The project's code did not answer in time.",
  'compute.uncaught': "The project's code threw an exception that nothing caught.",
  'compute.unhandled-rejection': "A promise in the project's code was rejected and nothing handled it.",
  'compute.load-failed': "The project's code could not be loaded.",
  'compute.malformed': "What the project's code sent is not a valid response.",
  'compute.exited': "The process of the project's code ended while it had the request.",
  'compute.crashed': "The process of the project's code ended while it had the request.",
  'compute.incomplete': "The response of the project's code ended before it was complete.",
  'compute.memory': "The project's code used up its memory.",
  'compute.body-bytes': "The response body of the project's code is larger than allowed.",
  'compute.header-count': "The response of the project's code has too many header lines.",
  'compute.header-bytes': "The headers of the project's response are too large in total.",
  'compute.cookie-bytes': "The cookies that the project's response sets are too large in total.",
};

/** The limit that was breached; a key of the limit table of the configuration. */
export const CAUSE_LIMITS: Readonly<Partial<Record<Cause, string>>> = {
  'request.url-bytes': 'url.pathQueryBytes',
  'request.cookie-bytes': 'request.cookieBytes',
  'request.header-bytes': 'request.headerBytes',
  'request.header-count': 'request.headerCount',
  'request.timeout': 'client.headMs',
  'request.body-bytes': 'compute.requestBytes',
  'platform.loop': 'nestedRequests',
  'upstream.dns.timeout': 'upstream.dnsMs',
  'upstream.connect.timeout': 'upstream.connectMs',
  'upstream.connect.pool-full': 'upstream.poolWaitMs',
  'upstream.tls.timeout': 'upstream.tlsMs',
  'upstream.send.timeout': 'upstream.writeIdleMs',
  'upstream.head.timeout': 'upstream.responseMs',
  'upstream.head.count': 'response.headerCount',
  'upstream.head.bytes': 'response.headerBytes',
  'upstream.head.cookie-bytes': 'response.cookieBytes',
  'upstream.body.timeout': 'upstream.bodyIdleMs',
  'upstream.body.bytes': 'upstream.bodyBytes',
  'link.dns.timeout': 'pop.dnsMs',
  'link.connect.timeout': 'pop.connectMs',
  'link.tls.timeout': 'pop.tlsMs',
  'link.head.timeout': 'pop.silenceMs',
  'link.body.timeout': 'pop.silenceMs',
  'link.head.count': 'response.headerCount',
  'link.head.bytes': 'response.headerBytes',
  'link.head.cookie-bytes': 'response.cookieBytes',
  'compute.queue-timeout': 'compute.scheduleMs',
  'compute.queue-full': 'compute.queueDepth',
  'compute.timeout': 'compute.responseMs',
  'compute.memory': 'compute.memoryMiB',
  'compute.body-bytes': 'compute.responseBytes',
  'compute.header-count': 'response.headerCount',
  'compute.header-bytes': 'response.headerBytes',
  'compute.cookie-bytes': 'response.cookieBytes',
};

/** Causes whose figures say how large an installation is: its operators see them, the public does not. */
export const PRIVATE_FIGURES: ReadonlySet<Cause> = new Set<Cause>([
  'compute.memory',
  'compute.queue-full',
  'upstream.connect.pool-full',
  'link.connect.pool-full',
]);

/** Undefined when nobody has written the sentence yet. */
export function causeText(cause: Cause): string | undefined {
  const leg = /^(upstream|link)\.(.*)$/.exec(cause);
  if (!leg) return TEXTS[cause];
  const peer = leg[1] === 'link' ? 'the global POP' : 'the upstream';
  const sentence = STAGES[leg[2] as LegStage];
  return sentence?.replace('{peer}', peer).replace('{Peer}', `T${peer.slice(1)}`);
}
