/**
 * From a host name to addresses, as a phase of its own: A and AAAA in parallel through c-ares with a configurable
 * server list, because the system's look-up cannot tell the rcodes apart. Answers are cached for as long as their
 * TTL allows, concurrent look-ups of a name share one query, and every way to fail has its stage (537 and 548 of the
 * status-code page; RFC 8305 section 3 for the two families, RFC 6761 section 6.3 for `localhost`).
 */

import { Resolver as CaresResolver } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';
import type { Clock } from '../base/clock.ts';
import type { LegStage } from '../status/causes.ts';
import { within } from './deadline.ts';
import { codeOf, StageFailure } from './failure.ts';
import { parseHosts } from './hosts.ts';

export interface Address {
  readonly address: string;
  readonly family: 4 | 6;
}

export interface Resolver {
  /**
   * Addresses of a host name or IP literal, families interleaved with IPv4 first, never empty.
   * Throws a `StageFailure` of a `dns.*` stage, or the signal's reason.
   */
  lookup(host: string, limits: { readonly timeoutMs: number; readonly signal?: AbortSignal }): Promise<Address[]>;
  /** Gives up all running queries. */
  close(): void;
}

export interface ResolverOptions {
  /** `ip`, `ip:port` or `[ipv6]:port`; empty or absent: the system's servers, and its hosts file first. */
  readonly servers?: readonly string[];
  readonly clock: Clock;
  /** Read only without `servers`. Default `/etc/hosts`. */
  readonly hostsFile?: string;
  /** Shortest and longest time that an answer is kept, whatever its TTL. Defaults 1,000 and 300,000. */
  readonly minTtlMs?: number;
  readonly maxTtlMs?: number;
  /** How long an answer without addresses is kept; silence never is. Default 1,000. */
  readonly negativeTtlMs?: number;
  /** Names kept at most; the oldest goes first. Default 1,000. */
  readonly maxEntries?: number;
}

type Answer = { readonly addresses: readonly Address[]; readonly ttlMs: number } | { readonly failure: StageFailure };

interface Entry {
  readonly answer: Answer;
  readonly expiresMs: number;
}

/** How long the first family with addresses waits for the other one. */
const FAMILY_DELAY_MS = 50;
/** One lost datagram must not cost a whole deadline, so queries are repeated well within it. */
const QUERY = { timeout: 800, maxTimeout: 1_600, tries: 4 };
const LOOPBACK: readonly Address[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/** Throws Node's `ERR_INVALID_IP_ADDRESS` for a server that is no address. */
export function createResolver(options: ResolverOptions): Resolver {
  return new CachingResolver(options);
}

class CachingResolver implements Resolver {
  readonly #options: Required<ResolverOptions>;
  readonly #cares = new CaresResolver(QUERY);
  readonly #entries = new Map<string, Entry>();
  readonly #running = new Map<string, Promise<Answer>>();

  constructor(options: ResolverOptions) {
    this.#options = {
      servers: [],
      hostsFile: '/etc/hosts',
      minTtlMs: 1_000,
      maxTtlMs: 300_000,
      negativeTtlMs: 1_000,
      maxEntries: 1_000,
      ...withoutUndefined(options),
    };
    if (this.#options.servers.length > 0) this.#cares.setServers(this.#options.servers);
  }

  async lookup(host: string, limits: { timeoutMs: number; signal?: AbortSignal }): Promise<Address[]> {
    const name = normalise(host);
    const family = isIP(name);
    if (family !== 0) return [{ address: name, family: family as 4 | 6 }];
    if (name === 'localhost' || name.endsWith('.localhost')) return [...LOOPBACK];
    const known = this.#entries.get(name);
    if (known !== undefined && known.expiresMs > this.#options.clock.monotonicMs()) return unwrap(known.answer);
    const bounds = { clock: this.#options.clock, limitMs: limits.timeoutMs, signal: limits.signal };
    const query = this.#shared(name);
    const late = (): Error => {
      // Whoever comes next asks anew: the name server may be there again long before this query is repeated.
      if (this.#running.get(name) === query) this.#running.delete(name);
      return new StageFailure('dns.timeout', { evidence: { host: name, value: limits.timeoutMs } });
    };
    return unwrap(await within(query, bounds, late));
  }

  close(): void {
    this.#cares.cancel();
  }

  #shared(name: string): Promise<Answer> {
    const running = this.#running.get(name);
    if (running !== undefined) return running;
    const query = this.#resolve(name);
    this.#running.set(name, query);
    return query;
  }

  async #resolve(name: string): Promise<Answer> {
    const local = this.#options.servers.length === 0 ? await this.#fromHosts(name) : null;
    if (local !== null) return this.#finish(name, local);
    return new Promise((resolve) => {
      const answers: Answer[] = [];
      const arrived = (answer: Answer): void => {
        answers.push(answer);
        if (answers.length === 2) resolve(this.#finish(name, combine(answers)));
        else if ('addresses' in answer) this.#options.clock.setTimer(FAMILY_DELAY_MS, () => resolve(answer));
      };
      void this.#ask(name, 4).then(arrived);
      void this.#ask(name, 6).then(arrived);
    });
  }

  async #ask(name: string, family: 4 | 6): Promise<Answer> {
    try {
      const ttl = { ttl: true } as const;
      const records = await (family === 4 ? this.#cares.resolve4(name, ttl) : this.#cares.resolve6(name, ttl));
      if (records.length === 0) return { failure: new StageFailure('dns.nodata', { evidence: { host: name } }) };
      return {
        addresses: records.map(({ address }) => ({ address, family })),
        ttlMs: Math.min(...records.map((record) => record.ttl)) * 1000,
      };
    } catch (error) {
      return { failure: failureOf(error, name) };
    }
  }

  async #fromHosts(name: string): Promise<Answer | null> {
    const text = await readFile(this.#options.hostsFile, 'utf8').catch(() => '');
    const addresses = parseHosts(text).get(name);
    return addresses === undefined ? null : { addresses: interleave(addresses), ttlMs: 0 };
  }

  /** The complete answer goes into the cache, also when an early half of it has already been used. */
  #finish(name: string, answer: Answer): Answer {
    const ttlMs = this.#ttlMs(answer);
    const expiresMs = this.#options.clock.monotonicMs() + ttlMs;
    this.#running.delete(name);
    this.#entries.delete(name);
    if (ttlMs > 0) this.#entries.set(name, { answer, expiresMs });
    if (this.#entries.size > this.#options.maxEntries) this.#entries.delete(this.#entries.keys().next().value!);
    return answer;
  }

  #ttlMs(answer: Answer): number {
    const { minTtlMs, maxTtlMs, negativeTtlMs } = this.#options;
    if ('addresses' in answer) return Math.min(Math.max(answer.ttlMs, minTtlMs), maxTtlMs);
    return UNANSWERED.has(answer.failure.stage) ? 0 : negativeTtlMs;
  }
}

/** Failures without an answer of a name server: nothing that may be remembered. */
const UNANSWERED: ReadonlySet<LegStage> = new Set(['dns.timeout', 'dns.unreachable']);

/** c-ares error codes. A closed port of a name server is `ECONNREFUSED`, too: the phase decides, not the text. */
const STAGES: Readonly<Record<string, readonly [stage: LegStage, rcode?: string]>> = {
  ENOTFOUND: ['dns.nxdomain', 'NXDOMAIN'],
  ENODATA: ['dns.nodata'],
  ESERVFAIL: ['dns.servfail', 'SERVFAIL'],
  EREFUSED: ['dns.refused', 'REFUSED'],
  EFORMERR: ['dns.formerr', 'FORMERR'],
  EBADRESP: ['dns.formerr'],
  ENOTIMP: ['dns.notimp', 'NOTIMP'],
  EBADNAME: ['dns.bad-name'],
  EBADQUERY: ['dns.bad-name'],
  ETIMEOUT: ['dns.timeout'],
  ECANCELLED: ['dns.timeout'],
  ECONNREFUSED: ['dns.unreachable'],
};

function failureOf(error: unknown, host: string): StageFailure {
  const [stage, rcode] = STAGES[codeOf(error) ?? ''] ?? ['dns.unreachable'];
  return new StageFailure(stage, {
    error,
    evidence: { host, error: codeOf(error) },
    ...(rcode === undefined ? {} : { parameters: { rcode } }),
  });
}

/** Of two failures the one that says more about the name goes out. */
const TELLING: readonly LegStage[] = [
  'dns.bad-name',
  'dns.nxdomain',
  'dns.refused',
  'dns.formerr',
  'dns.notimp',
  'dns.servfail',
  'dns.unreachable',
  'dns.timeout',
  'dns.nodata',
];

function combine(answers: readonly Answer[]): Answer {
  const found = answers.filter((answer) => 'addresses' in answer);
  if (found.length > 0) {
    const addresses = interleave(found.flatMap((answer) => answer.addresses));
    return { addresses, ttlMs: Math.min(...found.map((answer) => answer.ttlMs)) };
  }
  const failures = answers.flatMap((answer) => ('failure' in answer ? [answer.failure] : []));
  failures.sort((a, b) => TELLING.indexOf(a.stage) - TELLING.indexOf(b.stage));
  return { failure: failures[0]! };
}

/** IPv4, IPv6, IPv4 …: a broken family costs one step only. IPv4 first, because that is what allow-lists hold. */
function interleave(addresses: readonly Address[]): Address[] {
  const four = addresses.filter(({ family }) => family === 4);
  const six = addresses.filter(({ family }) => family === 6);
  const longest = Math.max(four.length, six.length);
  return Array.from({ length: longest }, (_, at) => [four[at], six[at]].filter((one) => one !== undefined)).flat();
}

function unwrap(answer: Answer): Address[] {
  if ('failure' in answer) throw answer.failure;
  return [...answer.addresses];
}

const LABEL = /^[a-z0-9_-]{1,63}$/;

function normalise(host: string): string {
  let name = host.toLowerCase();
  if (name.startsWith('[') && name.endsWith(']')) name = name.slice(1, -1);
  if (isIP(name) !== 0) return name;
  if (name.endsWith('.')) name = name.slice(0, -1);
  if (/[^\0-\x7f]/.test(name)) name = domainToASCII(name);
  if (name.length > 253 || !name.split('.').every((label) => LABEL.test(label)))
    throw new StageFailure('dns.bad-name', { evidence: { host } });
  return name;
}

function withoutUndefined<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as Value;
}
