/**
 * May a stored response be used for a request (RFC 9111 section 4), and what else is there to do. Pure, time is an
 * argument. Requests: `Cache-Control` and `Pragma` of a client are ignored, as in other edges, because they would
 * hand the origin's load to any client, unless the project wants them obeyed; `only-if-cached` asks for less, so it
 * always is.
 */
import type { Fields } from '../../http/fields.ts';
import type { StoreVerdict } from '../types.ts';
import { type CacheControl, parseCacheControl } from './cache-control.ts';

/** What there is to know of a stored response. */
export interface Stored {
  readonly verdict: StoreVerdict;
  readonly madeAtMs: number;
  readonly freshUntilMs: number;
  readonly staleUntilMs: number;
  /** The next hop has just failed; until then it is not asked again. */
  readonly refreshNotBeforeMs: number;
}

/** `serve`: as it is, `refresh`: and a new one is fetched meanwhile, `forward`: the next hop has to be asked. */
export type Use =
  | { readonly kind: 'serve'; readonly refresh: boolean }
  | { readonly kind: 'forward'; readonly reason: 'stale' | 'request' };

/** What a request asks of caches. `obeyed` directives are null where they are ignored. */
export interface RequestDirectives {
  readonly onlyIfCached: boolean;
  readonly obeyed: CacheControl | null;
}

const NOTHING_ASKED: RequestDirectives = { onlyIfCached: false, obeyed: null };

export function requestDirectives(fields: Fields, obey: boolean): RequestDirectives {
  const lines = fields.all('cache-control');
  if (lines.length === 0 && !(obey && fields.has('pragma'))) return NOTHING_ASKED;
  // Pragma counts only where there is no Cache-Control (RFC 9111 section 5.4)
  const control = parseCacheControl(lines.length > 0 ? lines : fields.all('pragma'));
  return { onlyIfCached: control.has('only-if-cached'), obeyed: obey ? control : null };
}

export function useOf(stored: Stored, { obeyed }: RequestDirectives, nowMs: number): Use {
  if (!stored.verdict.validate && obeyed && !suits(stored, obeyed, nowMs))
    return { kind: 'forward', reason: 'request' };
  if (nowMs < stored.freshUntilMs) return SERVE;
  if (nowMs < stored.staleUntilMs) return { kind: 'serve', refresh: true };
  if (bridges(stored, nowMs) && nowMs < stored.refreshNotBeforeMs) return SERVE;
  if (obeyed && takesStale(stored, obeyed, nowMs)) return SERVE;
  return { kind: 'forward', reason: 'stale' };
}

/** While the next hop fails it may take its place (RFC 5861 section 4). */
export const bridges = ({ staleUntilMs, verdict }: Stored, nowMs: number): boolean =>
  verdict.staleIfErrorMs > 0 && nowMs < staleUntilMs + verdict.staleIfErrorMs;

const SERVE: Use = { kind: 'serve', refresh: false };

/** RFC 9111 section 5.2.1: no-cache, max-age and min-fresh ask for something fresher. */
function suits({ madeAtMs, freshUntilMs }: Stored, obeyed: CacheControl, nowMs: number): boolean {
  const maxAge = obeyed.seconds('max-age') ?? Number.POSITIVE_INFINITY;
  const minFresh = obeyed.seconds('min-fresh') ?? Number.NEGATIVE_INFINITY;
  return !obeyed.has('no-cache') && nowMs - madeAtMs <= maxAge * 1000 && freshUntilMs - nowMs >= minFresh * 1000;
}

/** Not against the upstream, which may forbid all stale use. */
function takesStale({ freshUntilMs, verdict }: Stored, obeyed: CacheControl, nowMs: number): boolean {
  if (!obeyed.has('max-stale') || verdict.mustRevalidate || verdict.validate) return false;
  const limit = obeyed.hasArgument('max-stale') ? obeyed.seconds('max-stale')! : Number.POSITIVE_INFINITY;
  return nowMs - freshUntilMs <= limit * 1000;
}
