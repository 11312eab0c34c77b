/**
 * Content codings: what a client takes, reduced to the few values worth a variant of their own, and which types are
 * worth compressing. Source: spec "Caching", sections 4 and 11; RFC 9110 section 12.5.3.
 */
import Negotiator from 'negotiator';

/**
 * A normalised Accept-Encoding: cache key part and value for the upstream alike. A client that takes both is apart
 * from one that takes only br, because it may be sent gzip.
 */
export type AcceptedEncodings = 'identity' | 'gzip' | 'br' | 'br, gzip';

/** All of them, the commonest first. */
export const ACCEPTED_ENCODINGS: readonly AcceptedEncodings[] = ['br, gzip', 'gzip', 'identity', 'br'];

const REMEMBERED_VALUES = 1_000;
const remembered = new Map<string, AcceptedEncodings>();

/** Weights only tell allowed from forbidden: which one is used is for the upstream and the platform to choose. */
export function normaliseAcceptEncoding(value: string | undefined): AcceptedEncodings {
  if (value === undefined || value === '') return 'identity';
  const known = remembered.get(value);
  if (known !== undefined) return known;
  const accepted = new Negotiator({ headers: { 'accept-encoding': value } }).encodings(['br', 'gzip']);
  const names = ['br', 'gzip'].filter((name) => accepted.includes(name)).join(', ') || 'identity';
  if (remembered.size >= REMEMBERED_VALUES) remembered.clear();
  remembered.set(value, names as AcceptedEncodings);
  return names as AcceptedEncodings;
}

/** What the platform compresses with when the upstream sent plain content; null: as it is. */
export function platformCoding(accepted: AcceptedEncodings): 'gzip' | 'br' | null {
  if (accepted === 'identity') return null;
  return accepted === 'br' ? 'br' : 'gzip';
}

const COMPRESSIBLE_TYPES = new Set([
  'text/html',
  'text/css',
  'text/plain',
  'text/xml',
  'text/javascript',
  'application/javascript',
  'application/x-javascript',
  'application/json',
  'application/manifest+json',
  'application/ld+json',
  'application/problem+json',
  'application/xml',
  'application/xhtml+xml',
  'application/rss+xml',
  'application/atom+xml',
  'image/svg+xml',
  'image/x-icon',
  'image/vnd.microsoft.icon',
  'font/eot',
  'font/otf',
  'font/ttf',
  'font/opentype',
  'application/vnd.ms-fontobject',
  'application/x-font-opentype',
  'application/x-font-otf',
  'application/x-font-truetype',
  'application/x-font-ttf',
  'application/wasm',
]);
const COMPRESSIBLE_EXTENSIONS = /\.(?:css|js|mjs|html|eot|ico|otf|ttf|json|svg)$/i;

/** By type; where the type is absent or generic, by the extension of the path. */
export function isCompressible(contentType: string | undefined, path: string): boolean {
  const type = (contentType ?? '').split(';', 1)[0]!.trim().toLowerCase();
  if (type === '' || type === 'application/octet-stream') {
    return COMPRESSIBLE_EXTENSIONS.test(path);
  }
  return COMPRESSIBLE_TYPES.has(type);
}
