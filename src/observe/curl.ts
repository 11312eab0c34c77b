/**
 * The commands that repeat a request: as the client sent it, and as the upstream got it, sent there directly, so that
 * what only the way through the platform meets (an allow list, another name in TLS) shows at once. What was redacted
 * stays redacted: the operator fills it in.
 */
import { isIP } from 'node:net';
import type { Story, StoryCall } from './story.ts';

/** What curl says by itself, what belongs to one connection, and what browsers add to everything. */
const NOT_REPEATED =
  /^(?:host|connection|keep-alive|content-length|transfer-encoding|upgrade|upgrade-insecure-requests|expect|te|trailer|proxy-connection|x-request-id|priority|dnt|sec-.*)$/i;
/** Added on the way to an upstream: marks of the way, and what the platform tells of the client. */
const OF_THE_WAY =
  /^(?:via|cdn-loop|forwarded|traceparent|tracestate|x-forwarded-(?:for|host|proto)|x-\w+-(?:client-ip|destination|protocol|device|vendor|browser|device-is-bot|version|matched-routes|original-qs|preload))$/i;

/** The request as the client sent it. */
export function clientCommand({ request, client }: Story): string {
  const { method, host, url, fields, bodyBytes, upgrade } = request;
  const lines = fields.filter(([name]) => !NOT_REPEATED.test(name));
  const target = url.startsWith('/') ? url : `/${url}`;
  return command([
    ...methodParts(method),
    ...(client.httpVersion === '1.0' ? ['--http1.0'] : []),
    ...(upgrade === undefined ? [] : upgradeParts(upgrade)),
    ...addressParts(`${client.protocol}://${host || 'HOST'}${target}`),
    ...headerParts(lines),
    ...bodyParts(method, bodyBytes),
  ]);
}

/** The call as it was sent, past the platform. Undefined for a call over the link. */
export function upstreamCommand(call: StoryCall, bodyBytes?: number): string | undefined {
  if (call.leg === 'link') return undefined;
  const { scheme, host, port, servername = host, method, path, fields } = call;
  const address = call.attempts.findLast((attempt) => attempt.address !== undefined)?.address?.replace(/:\d+$/, '');
  const named = scheme === 'https' ? servername : host;
  const hostLine = fields.find(([name]) => /^host$/i.test(name))?.[1];
  const authority = `${isIP(named) === 6 ? `[${named}]` : named}:${port}`;
  const resolve =
    address !== undefined && isIP(named) === 0 ? ['--resolve', quoted(`${named}:${port}:${address}`)] : [];
  const lines = fields.filter(([name]) => !NOT_REPEATED.test(name) && !OF_THE_WAY.test(name));
  return command([
    ...methodParts(method),
    ...(call.insecure ? ['-k'] : []),
    ...resolve,
    ...addressParts(`${scheme}://${authority}${path}`),
    ...(hostLine === undefined ? [] : headerParts([['host', hostLine]])),
    ...headerParts(lines),
    ...bodyParts(method, bodyBytes),
  ]);
}

const command = (parts: readonly string[]): string => ['curl', ...parts].join(' ');

/** `-i` shows the head; HEAD has nothing else. */
const methodParts = (method: string): string[] =>
  method === 'HEAD' ? ['-I'] : method === 'GET' || method === '' ? ['-i'] : ['-i', '-X', quoted(method)];

const addressParts = (url: string): string[] => [
  ...(/\/\.\.?(?:[/?]|$)/.test(url) ? ['--path-as-is'] : []),
  ...(/[[\]{}]/.test(url) ? ['-g'] : []),
  quoted(url),
];

const headerParts = (lines: Story['request']['fields']): string[] =>
  lines.flatMap(([name, value]) => ['-H', quoted(value === '' ? `${name};` : `${name}: ${value}`)]);

const bodyParts = (method: string, bodyBytes: number | undefined): string[] =>
  bodyBytes === undefined || method === 'GET' || method === 'HEAD' ? [] : ['--data-binary', '@BODY'];

const upgradeParts = (protocol: string): string[] => [
  '--http1.1',
  ...headerParts([
    ['connection', 'Upgrade'],
    ['upgrade', protocol],
    ['sec-websocket-version', '13'],
    ['sec-websocket-key', 'c2VsdmVkZ2Utd2h5LTAwMA=='],
  ]),
];

/** One word for a POSIX shell, whatever a client wrote; control characters could still trick a terminal. */
function quoted(text: string): string {
  const shown = text.replace(/\p{Cc}/gu, (character) => encodeURIComponent(character));
  return /^[\w@%+=:,./-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`;
}
