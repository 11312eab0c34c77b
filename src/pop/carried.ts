/**
 * A prefetch of something that is asked for with a body: browsers prefetch with GET, so method and body travel in
 * the query, and the look-up is made for the request that they stand for. Only for prefetches, which never reach an
 * upstream: otherwise a link on any page could make a visitor's browser send a POST. Source: spec "Caching", section 9.
 */
import type { HttpRequest } from '../http/message.ts';

const METHOD = /^(?:POST|PUT|PATCH)$/;

/** The request that a prefetch stands for; the same one when it carries none. */
export function carriedRequest(request: HttpRequest, cookiePrefix: string): HttpRequest {
  const prefix = `pref_${cookiePrefix}_`;
  if (request.method !== 'GET' || !request.query.includes(prefix)) return request;
  const parameters = new URLSearchParams(request.query);
  const method = parameters.get(`${prefix}method`)?.toUpperCase() ?? 'POST';
  const text = parameters.get(`${prefix}body`);
  if (text === null || !METHOD.test(method)) return request;
  const body = Buffer.from(text);
  const others = request.query.split('&').filter((parameter) => !parameter.startsWith(prefix));
  const fields = request.fields.clone().set('content-length', String(body.length));
  return { ...request, method, body, fields, query: others.join('&') };
}
