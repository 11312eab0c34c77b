/**
 * The Host field (RFC 9110 section 7.2) taken apart strictly. What looks odd is refused rather than repaired, because
 * two readers that repair differently disagree about which project a request is for. Source: spec "Status codes", 544.
 */
import { isIPv6 } from 'node:net';
import type { Cause } from '../status/causes.ts';

export interface ParsedHost {
  readonly ok: true;
  /** Lower case, without port and without a final dot; an IPv6 literal keeps its brackets. */
  readonly host: string;
  /** Undefined when none is given. */
  readonly port: number | undefined;
}

export interface RefusedHost {
  readonly ok: false;
  readonly cause: Extract<Cause, 'host.missing' | 'host.syntax'>;
  /** For operators. */
  readonly reason: string;
}

const LABEL = /^[a-z0-9_-]{1,63}$/;
const AUTHORITY = /^(\[[^\]]*\]|[^:[\]]*)(?::([0-9]{0,5}))?$/;
const MAX_NAME_BYTES = 253;
const MAX_PORT = 65_535;

const refuse = (reason: string): RefusedHost => ({ ok: false, cause: 'host.syntax', reason });

/** Accepts domain names, single labels, IPv4 and bracketed IPv6 literals, each with an optional port. Never throws. */
export function parseHost(value: string | undefined): ParsedHost | RefusedHost {
  if (value === undefined || value === '') return { ok: false, cause: 'host.missing', reason: 'no host given' };
  const match = AUTHORITY.exec(value.toLowerCase());
  if (!match) return refuse('not a name with an optional port');
  const name = match[1]!;
  const port = match[2] ? Number(match[2]) : undefined;
  if (port !== undefined && port > MAX_PORT) return refuse('port above 65535');
  if (name.startsWith('[')) {
    const valid = isIPv6(name.slice(1, -1)) && !name.includes('%');
    return valid ? { ok: true, host: name, port } : refuse('not an IPv6 literal');
  }
  const host = name.endsWith('.') ? name.slice(0, -1) : name;
  if (host.length > MAX_NAME_BYTES) return refuse('longer than 253 bytes');
  if (!host.split('.').every((label) => LABEL.test(label))) return refuse('a label is empty, too long or not a name');
  return { ok: true, host, port };
}
