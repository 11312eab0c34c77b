/**
 * Conditional requests (RFC 9110 section 13): pure evaluation against the representation that would be sent.
 * A cache must leave If-Match and If-Unmodified-Since to the origin (RFC 9111 section 4.3.2); `asOrigin` says that
 * we are it.
 */
import { parseHttpDate } from './date.ts';
import type { Fields } from './fields.ts';

export type ConditionVerdict =
  | { readonly kind: 'send'; readonly reason: string }
  | { readonly kind: 'not-modified'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string };

export interface ConditionInput {
  readonly method: string;
  readonly request: Fields;
  /** Fields of the 200 response that would be sent. */
  readonly response: Fields;
  readonly asOrigin?: boolean;
  readonly fromStore?: boolean;
}

/** In the order of section 13.2.2, If-Range aside. */
export function evaluateConditions(input: ConditionInput): ConditionVerdict {
  return (input.asOrigin ? evaluateOriginConditions(input) : null) ?? evaluateFreshness(input);
}

function evaluateOriginConditions({ request, response }: ConditionInput): ConditionVerdict | null {
  const ifMatch = request.get('if-match');
  if (ifMatch !== undefined) {
    return matches(ifMatch, response.get('etag'), strongly) ? null : { kind: 'failed', reason: 'If-Match' };
  }
  const since = parseHttpDate(request.get('if-unmodified-since'));
  const modified = parseHttpDate(response.get('last-modified'));
  if (since === undefined || modified === undefined || modified <= since) return null;
  return { kind: 'failed', reason: 'If-Unmodified-Since' };
}

function evaluateFreshness({ method, request, response, fromStore }: ConditionInput): ConditionVerdict {
  const readOnly = method === 'GET' || method === 'HEAD';
  const ifNoneMatch = request.get('if-none-match');
  if (ifNoneMatch !== undefined) {
    if (!matches(ifNoneMatch, response.get('etag'), weakly)) return { kind: 'send', reason: 'If-None-Match differs' };
    return { kind: readOnly ? 'not-modified' : 'failed', reason: 'If-None-Match' };
  }
  if (!readOnly) return { kind: 'send', reason: 'no condition' };
  const since = parseHttpDate(request.get('if-modified-since'));
  const modified = parseHttpDate(response.get('last-modified') ?? (fromStore ? response.get('date') : undefined));
  if (since === undefined || modified === undefined) return { kind: 'send', reason: 'no condition' };
  return modified <= since
    ? { kind: 'not-modified', reason: 'If-Modified-Since' }
    : { kind: 'send', reason: 'modified since' };
}

/** Whether the ranges that were asked for are of this representation (section 13.1.5); true without If-Range. */
export function ifRangeHolds(request: Fields, response: Fields): boolean {
  const value = request.get('if-range');
  if (value === undefined) return true;
  if (/^(?:W\/)?"/.test(value)) return strongly(value, response.get('etag') ?? '');
  const date = parseHttpDate(value);
  const modified = parseHttpDate(response.get('last-modified'));
  const sent = parseHttpDate(response.get('date'));
  // A date is a strong validator only when it lies at least a second before the message (section 8.8.2.2).
  const strong = modified !== undefined && (sent === undefined || sent - modified >= 1_000);
  return date !== undefined && strong && date === modified;
}

type Comparison = (one: string, other: string) => boolean;
const opaque = (tag: string): string => (tag.startsWith('W/') ? tag.slice(2) : tag);
const weakly: Comparison = (one, other) => other !== '' && opaque(one) === opaque(other);
const strongly: Comparison = (one, other) => other !== '' && one === other && !one.startsWith('W/');

function matches(list: string, etag: string | undefined, same: Comparison): boolean {
  if (list.trim() === '*') return true;
  if (etag === undefined) return false;
  return entityTags(list).some((tag) => same(tag, etag));
}

/** Entity tags may hold commas, so the list cannot just be split. Unquoted members are ignored. */
const entityTags = (list: string): string[] => list.match(/(?:W\/)?"[^"]*"/g) ?? [];
