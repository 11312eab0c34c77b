/**
 * The cache key: what makes two requests the same (caching page, section 4). One environment's space, protocol,
 * host, path, sorted query, normalised accept-encoding, split-test destination, method and body of body routes,
 * and the parts of a custom key. Injective: different inputs never give the same key.
 * The protocol counts, beyond what the page lists, because the answer to plain HTTP may be a redirect to HTTPS.
 */
import { createHash } from 'node:crypto';
import { RE2JS } from 're2js';
import type { Fields } from '../http/fields.ts';
import type { KeyPart, KeySettings } from '../router/table.ts';
import { joinKey } from './key-text.ts';

export type Trait = Exclude<KeyPart['kind'], 'header' | 'cookie'>;

export interface KeyInput {
  /** Name of the environment's cache space; `Cache.dropSpace` takes the same. */
  readonly space: string;
  readonly protocol: 'http' | 'https';
  /** With port as received, lower case. */
  readonly host: string;
  readonly path: string;
  /** Query without `?`. */
  readonly query: string;
  /** From `normaliseAcceptEncoding` of the http room. */
  readonly acceptEncoding: string;
  /** Split-test destination, `default` otherwise. */
  readonly destination: string;
  readonly method: string;
  readonly fields: Fields;
  /** A body route: method and body count. */
  readonly bodyKey: boolean;
  /** The whole request body of a body route; null when it was too long to be collected. */
  readonly body: Buffer | null;
  readonly settings: KeySettings | undefined;
  /** What the platform detected. A member is read only when the key asks for it, so getters may compute. */
  readonly traits: Readonly<Record<Trait, string>>;
  /** The branding's cookie and parameter prefix, e.g. `selvedge`. */
  readonly cookiePrefix: string;
  /** `cache.keyBodyBytes`. */
  readonly keyBodyBytes: number;
}

export interface CacheKey {
  readonly key: string;
  /** 128 bits of SHA-256 over `key`, hexadecimal: `{prefix}-cache-hash`. */
  readonly hash: string;
  /** What the upstream sees: order as received, without excluded and platform-owned parameters. */
  readonly upstreamQuery: string;
  /** The query as received, set only when a custom key removed parameters: `{prefix}-original-qs`. */
  readonly originalQuery?: string;
  /** Request headers (lower case) that the key covers: for `CacheRequest.keyedHeaders`. */
  readonly keyedHeaders: readonly string[];
  /** Why this request cannot be keyed: for `CacheRequest.bypass`. */
  readonly bypass?: { readonly status: 'body-too-big'; readonly reason: string };
}

/** The key of one request. Throws only for group patterns that RE2 refuses, which the build reports first. */
export function cacheKey(input: KeyInput): CacheKey {
  const { settings } = input;
  const { unowned, kept } = readQuery(input);
  const key = joinKey([
    ...urlComponents(input, kept),
    ...[input.acceptEncoding, input.destination],
    ...(input.bodyKey ? bodyComponents(input) : []),
    ...(settings?.parts ?? []).flatMap((part) => partComponents(part, input)),
  ]);
  return {
    key,
    hash: sha256(key).slice(0, 32),
    upstreamQuery: kept.map(({ text }) => text).join('&'),
    ...(kept.length < unowned.length ? { originalQuery: input.query } : {}),
    keyedHeaders: keyedHeaders(settings),
    ...(isBodyTooBig(input) ? { bypass: bodyTooBig(input.keyBodyBytes) } : {}),
  };
}

type UrlInput = Pick<KeyInput, 'space' | 'protocol' | 'host' | 'path' | 'query' | 'settings' | 'cookiePrefix'>;

/** What every key of a URL starts with: for `Cache.invalidate`. */
export const urlKey = (input: UrlInput): string => joinKey(urlComponents(input, readQuery(input).kept));

const urlComponents = ({ space, protocol, host, path }: UrlInput, kept: readonly Parameter[]): string[] => [
  ...[space, protocol, host, path, sortedQuery(kept)],
];

function readQuery({ query, cookiePrefix, settings }: UrlInput) {
  const unowned = splitQuery(query).filter(({ name }) => !isOwned(name, cookiePrefix));
  return { unowned, kept: unowned.filter(({ name }) => countsInQuery(name, settings?.query)) };
}

const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');

// ── query ──

interface Parameter {
  /** As received: `name=value`. */
  readonly text: string;
  /** Decoded, so that `%75tm` cannot slip past a rule about `utm`. */
  readonly name: string;
}

function splitQuery(query: string): Parameter[] {
  if (query === '') return [];
  return query.split('&').map((text) => ({ text, name: decodedName(text) }));
}

function decodedName(parameter: string): string {
  const end = parameter.indexOf('=');
  const name = (end < 0 ? parameter : parameter.slice(0, end)).replaceAll('+', ' ');
  if (!name.includes('%')) return name;
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/**
 * The platform's own parameters never count and never reach an upstream: what is not keyed must not have effects.
 * Those that carry the body of a POST in a GET are the project's content: they count, and reach its transform.
 */
const isOwned = (name: string, cookiePrefix: string) => name.startsWith(`${cookiePrefix}_`);

function countsInQuery(name: string, rule: KeySettings['query']): boolean {
  if (rule === undefined) return true;
  if (rule.mode === 'none') return false;
  return rule.names.includes(name) === (rule.mode === 'only');
}

/** By name; parameters of one name keep their order, which may mean something. */
function sortedQuery(parameters: readonly Parameter[]): string {
  const byName = (a: Parameter, b: Parameter) => (a.name < b.name ? -1 : Number(a.name > b.name));
  return parameters
    .toSorted(byName)
    .map(({ text }) => text)
    .join('&');
}

// ── method and body ──

/** HEAD shares the key of GET, so that it is answered from a stored GET. */
function bodyComponents({ method, body, settings }: KeyInput): string[] {
  return [
    ...(settings?.removeMethod ? [] : ['method', method === 'HEAD' ? 'GET' : method]),
    ...(settings?.removeBody ? [] : ['body', sha256(body ?? '')]),
  ];
}

const isBodyTooBig = ({ bodyKey, body, settings, keyBodyBytes }: KeyInput) =>
  bodyKey && !settings?.removeBody && (body === null || body.length > keyBodyBytes);

const bodyTooBig = (keyBodyBytes: number) =>
  ({ status: 'body-too-big', reason: `the request body is longer than ${keyBodyBytes} bytes` }) as const;

// ── custom parts; each starts with a tag that tells how many components follow ──

function partComponents(part: KeyPart, { fields, traits }: KeyInput): string[] {
  if (part.kind !== 'header' && part.kind !== 'cookie') return [part.kind, traits[part.kind]];
  const values = part.kind === 'header' ? fields.all(part.name) : cookieValues(fields, part.name);
  const name = part.kind === 'header' ? part.name.toLowerCase() : part.name;
  const group = values.length === 1 ? groupOf(values[0]!, part.groups) : undefined;
  if (group !== undefined) return [`${part.kind}-group`, name, group];
  return [part.kind, name, String(values.length), ...values];
}

/** Every value of the name: which of several a project takes is unknown, so all of them count. */
function cookieValues(fields: Fields, name: string): string[] {
  const pairs = fields.cookieLines(name).flatMap((line) => line.split(';'));
  const split = pairs.map((pair) => [pair.split('=', 1)[0]!.trim(), pair.slice(pair.indexOf('=') + 1).trim()]);
  return split.filter(([candidate]) => candidate === name).map(([, value]) => value!);
}

/** The first group whose pattern is found in the value. Without one the value itself counts. */
function groupOf(value: string, groups: GroupedPart['groups']): string | undefined {
  return groups?.find((group) => compiled(group.pattern).matcher(value).find())?.name;
}

type GroupedPart = Extract<KeyPart, { readonly groups?: unknown }>;

/** Patterns come from route tables, so there are few; RE2 is linear in the value's length. */
const patterns = new Map<string, RE2JS>();
const PATTERNS_KEPT = 1000;

function compiled(pattern: string): RE2JS {
  let regex = patterns.get(pattern);
  if (!regex) {
    if (patterns.size >= PATTERNS_KEPT) patterns.clear();
    regex = RE2JS.compile(pattern);
    patterns.set(pattern, regex);
  }
  return regex;
}

/**
 * A cookie in the key does not cover the header: a response that varies on Cookie may depend on any of them. Nor
 * does a group cover what identifies a person.
 */
function keyedHeaders(settings: KeySettings | undefined): readonly string[] {
  const names = (settings?.parts ?? []).map((part) => {
    if (part.kind === 'cookie') return undefined;
    if (part.kind !== 'header') return 'user-agent';
    const name = part.name.toLowerCase();
    return part.groups && PERSONAL_HEADERS.has(name) ? undefined : name;
  });
  return [...new Set(names.filter((name) => name !== undefined))];
}

const PERSONAL_HEADERS = new Set(['authorization', 'cookie']);
