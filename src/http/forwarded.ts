/**
 * What a proxy tells the next hop about the way so far: Via (RFC 9110 section 7.6.3), X-Forwarded-For and Forwarded
 * (RFC 7239), and what a proxy in front of us told, if we trust it.
 */
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net';
import { splitOutsideQuotes } from './cdn-loop.ts';
import type { Fields } from './fields.ts';

/** `pseudonym` names the POP, never the machine. */
export function appendVia(fields: Fields, httpVersion: string, pseudonym: string): Fields {
  return appendMember(fields, 'via', `${httpVersion} ${pseudonym}`);
}

export function appendForwardedFor(fields: Fields, ip: string): Fields {
  return appendMember(fields, 'x-forwarded-for', ip);
}

/** Adds one element; `host` and `protocol` as the client spoke them. */
export function appendForwarded(
  fields: Fields,
  element: { readonly ip: string; readonly host?: string; readonly protocol?: 'http' | 'https' },
): Fields {
  const pairs = [`for=${node(element.ip)}`];
  if (element.host !== undefined) pairs.push(`host=${token(element.host)}`);
  if (element.protocol !== undefined) pairs.push(`proto=${element.protocol}`);
  return appendMember(fields, 'forwarded', pairs.join(';'));
}

function appendMember(fields: Fields, name: string, member: string): Fields {
  const earlier = fields.get(name);
  return fields.set(name, earlier ? `${earlier}, ${member}` : member);
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const node = (ip: string): string => (isIPv6(ip) ? `"[${ip}]"` : ip);
const token = (value: string): string => (TOKEN.test(value) ? value : `"${value.replace(/["\\]/g, '\\$&')}"`);

/** Networks in CIDR notation or single addresses, as `trustedProxies` lists them. Throws a RangeError naming a bad one. */
export function networkList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address, bits] = network.split('/', 2) as [string, string?];
    const family = isIPv4(address) ? 'ipv4' : 'ipv6';
    if (isIP(address) === 0 || (bits !== undefined && !/^\d{1,3}$/.test(bits))) {
      throw new RangeError(`not an address or network: ${network}`);
    }
    if (bits === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(bits), family);
  }
  return list;
}

/** An IPv4 address that arrived on an IPv6 socket, without its wrapping. */
export const plainIp = (address: string): string => (address.startsWith('::ffff:') ? address.slice(7) : address);

export interface ClientIdentity {
  /** The nearest address that no trusted proxy stands behind. */
  readonly ip: string;
  readonly protocol: 'http' | 'https';
  /** The peer itself is a trusted proxy. */
  readonly viaTrustedProxy: boolean;
}

/**
 * Who the client is. Without a trusted peer that is the peer itself; with one, X-Forwarded-For (or Forwarded where
 * that is absent) is read from the right until an address is met that is not a trusted proxy.
 */
export function identifyClient(
  peer: { readonly remoteAddress: string; readonly protocol: 'http' | 'https' },
  fields: Fields,
  trusted: BlockList,
): ClientIdentity {
  const peerIp = plainIp(peer.remoteAddress);
  if (!isTrusted(peerIp, trusted)) return { ip: peerIp, protocol: peer.protocol, viaTrustedProxy: false };
  const elements = forwardedElements(fields);
  let ip = peerIp;
  for (let at = elements.length - 1; at >= 0; at--) {
    const address = elements[at]!.ip;
    if (address === undefined) break; // obfuscated or malformed: whatever lies before cannot be believed
    ip = address;
    if (!isTrusted(address, trusted)) break;
  }
  const told = fields.get('x-forwarded-proto')?.split(',').at(-1)?.trim().toLowerCase() ?? elements.at(-1)?.protocol;
  const protocol = told === 'http' || told === 'https' ? told : peer.protocol;
  return { ip, protocol, viaTrustedProxy: true };
}

/** Whether an address, without IPv6 wrapping, is on the list. */
export const isTrusted = (ip: string, trusted: BlockList): boolean =>
  isIP(ip) !== 0 && trusted.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4');

interface Element {
  readonly ip: string | undefined;
  readonly protocol?: string;
}

function forwardedElements(fields: Fields): Element[] {
  const simple = fields.get('x-forwarded-for');
  if (simple !== undefined) return simple.split(',').map((part) => ({ ip: addressOf(part.trim()) }));
  const standard = fields.get('forwarded');
  return standard === undefined ? [] : splitOutsideQuotes(standard, ',').map(standardElement);
}

function standardElement(element: string): Element {
  const pairs = new Map(
    splitOutsideQuotes(element, ';').map((pair) => {
      const [name = '', value = ''] = pair.split('=', 2);
      return [name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, '$1')] as const;
    }),
  );
  const protocol = pairs.get('proto')?.toLowerCase();
  return { ip: addressOf(pairs.get('for') ?? ''), ...(protocol === undefined ? {} : { protocol }) };
}

/** `1.2.3.4`, `1.2.3.4:5678`, `::1`, `[::1]`, `[::1]:5678`. */
function addressOf(text: string): string | undefined {
  const bracketed = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1];
  const address = plainIp(bracketed ?? (/^[\d.]+:\d+$/.test(text) ? text.slice(0, text.indexOf(':')) : text));
  return isIP(address) === 0 ? undefined : address;
}
