/**
 * The head of an HTTP/2 request in the terms of the checks that every way in shares (RFC 9113 section 8.3.1):
 * `:authority` is Host, crumbs of Cookie are one field again. nghttp2 has already refused what the RFC calls
 * malformed: wrong or repeated pseudo-fields, connection-specific fields, upper-case names. Pure.
 */
import type { RequestHead } from '../entry.ts';

export interface StreamHead extends RequestHead {
  readonly scheme: string;
}

/** `raw` as Node reports it: flat, pseudo-fields included. */
export function streamHead(raw: readonly string[]): StreamHead {
  const pseudo: Record<string, string> = {};
  const rawHeaders: string[] = [];
  let hosts = 0;
  let crumbsAt = -1;
  for (let at = 0; at < raw.length; at += 2) {
    const name = raw[at]!;
    const value = raw[at + 1]!;
    if (name.startsWith(':')) pseudo[name] = value;
    else if (name === 'cookie' && crumbsAt >= 0) rawHeaders[crumbsAt] += `; ${value}`;
    else {
      if (name === 'host') hosts++;
      rawHeaders.push(name, value);
      if (name === 'cookie') crumbsAt = rawHeaders.length - 1;
    }
  }
  const { ':method': method = '', ':path': path = '', ':authority': authority, ':scheme': scheme = 'https' } = pseudo;
  if (authority !== undefined && hosts === 0) rawHeaders.unshift('host', authority);
  return { method, scheme, rawHeaders, httpVersion: '2', target: targetOf(path, authority, hosts, scheme) };
}

/** Both given: the absolute form, whose check is that they agree. */
function targetOf(path: string, authority: string | undefined, hosts: number, scheme: string): string {
  const both = authority !== undefined && hosts > 0 && path.startsWith('/');
  return both ? `${scheme}://${authority}${path}` : path;
}
