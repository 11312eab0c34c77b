/** Accept-Encoding reduced to what matters for keys and upstream requests (caching page, section 11). */
import Negotiator from 'negotiator';

/** As sent to the upstream; `identity` when the client takes neither. */
export type AcceptedEncodings = 'identity' | 'gzip' | 'br' | 'br, gzip';

/** Weights only tell allowed from forbidden: which one is used is for the upstream and the platform to choose. */
export function normaliseAcceptEncoding(value: string | undefined): AcceptedEncodings {
  if (value === undefined || value === '') return 'identity';
  const accepted = new Negotiator({ headers: { 'accept-encoding': value } }).encodings(['br', 'gzip']);
  const names = ['br', 'gzip'].filter((name) => accepted.includes(name));
  return names.length === 0 ? 'identity' : (names.join(', ') as AcceptedEncodings);
}
