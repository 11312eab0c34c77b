/**
 * The story of an exchange that is over, as this hop knows it. A plain cache hit has none: its line in the access log
 * says it all, and recording must cost the hit path nothing.
 */
import type { HttpResponse } from '../http/message.ts';
import type { Delivery } from '../http/send.ts';
import type { SecretValues } from '../observe/redact.ts';
import { isSecretField, redacted, redactFields, redactText, redactUrl, redactValue } from '../observe/redact.ts';
import {
  STORY_FORMAT,
  type Story,
  type StoryAttempt,
  type StoryCache,
  type StoryCall,
  type StoryEnd,
  type StoryFault,
} from '../observe/story.ts';
import { asFault, type Fault } from '../status/fault.ts';
import type { Attempt } from '../upstream/types.ts';
import type { CallRecord } from './calls.ts';
import type { Exchange } from './exchange.ts';
import type { PopSettings } from './settings.ts';

/** `response` null: the client left before an answer. `delivery` null: it was cut while it went out. */
export interface Ending {
  readonly response: HttpResponse | null;
  readonly delivery: Delivery | null;
  /** Where the two do not say it. */
  readonly end?: StoryEnd;
}

/** Tells the story of the exchange, unless it is a plain hit or stories are switched off. */
export function tellStory(exchange: Exchange, settings: PopSettings, ending: Ending): void {
  if (settings.story === null || isPlainHit(exchange, settings, ending)) return;
  settings.story(storyOf(exchange, settings, ending));
}

function isPlainHit({ cached, fault }: Exchange, { role }: PopSettings, { delivery, end }: Ending): boolean {
  if (role !== 'edge' || cached?.metric !== 'hit' || cached.stale || fault !== null) return false;
  return end === undefined && delivery?.completed === true;
}

export function storyOf(exchange: Exchange, settings: PopSettings, ending: Ending): Story {
  const { requestId, client, plan, failedPlan, destination, telemetry, idFromClient } = exchange;
  const secrets = secretsOf(exchange);
  const routes = failedPlan?.plan ?? plan;
  const { clock, role, name } = settings;
  return {
    format: STORY_FORMAT,
    requestId,
    ...(idFromClient ? { idFromClient } : {}),
    span: exchange.span,
    hop: role,
    pop: name,
    atMs: exchange.receivedAtMs,
    durationMs: rounded(clock.monotonicMs() - exchange.startedMs),
    end: ending.end ?? endOf(exchange, ending),
    ...(ending.response === null ? {} : { status: ending.response.status }),
    ...(ending.delivery === null ? {} : { bytes: ending.delivery.bytes }),
    client: { ip: client.ip, protocol: client.protocol, httpVersion: client.httpVersion },
    request: requestOf(exchange, settings, secrets),
    ...(destination
      ? { deployment: { environment: destination.environment.id, number: destination.site.ref.number } }
      : {}),
    ...(routes
      ? { routes: routes.routes.map(({ id }) => id), ...(routes.action ? { action: routes.action.kind } : {}) }
      : {}),
    ...(failedPlan ? { caught: { status: failedPlan.status, routes: plan!.routes.map(({ id }) => id) } } : {}),
    ...cacheOf(exchange, settings, secrets),
    ...(exchange.calls.length > 0 ? { calls: exchange.calls.map((call) => callOf(call, exchange, secrets)) } : {}),
    ...runOf(exchange),
    ...(exchange.fault ? { fault: faultOf(exchange.fault, secrets) } : {}),
    timings: telemetry.metricsText(false),
    statuses: telemetry.statuses,
  };
}

function endOf({ fault }: Exchange, { response, delivery }: Ending): StoryEnd {
  if (response === null) return 'client-left';
  if (delivery === null) return 'cut';
  if (delivery.completed) return 'sent';
  return fault === null && delivery.error === undefined ? 'client-left' : 'cut';
}

const rounded = (ms: number): number => Math.round(ms * 100) / 100;

/** Values of the variables that the project's owners have set as secrets. */
function secretsOf({ destination }: Exchange): SecretValues {
  if (!destination) return [];
  const { secrets = [], variables } = destination.environment;
  return secrets.map((name) => [name, variables[name] ?? ''] as const);
}

function requestOf({ request, upgradeTo }: Exchange, { role }: PopSettings, secrets: SecretValues): Story['request'] {
  const { method, host, path, query, fields, body } = request;
  const length = Buffer.isBuffer(body) ? body.length : Number(fields.get('content-length') ?? 0);
  return {
    method,
    host,
    url: redactText(redactUrl(query ? `${path}?${query}` : path), secrets),
    // On an inner hop they are the edge's to tell.
    fields: role === 'edge' ? fieldsOf(fields, secrets) : [],
    ...(length > 0 ? { bodyBytes: length } : {}),
    ...(upgradeTo === undefined ? {} : { upgrade: upgradeTo }),
  };
}

const fieldsOf = (fields: Iterable<readonly [string, string]>, secrets: SecretValues) =>
  redactFields(fields)
    .filter(([name]) => !name.toLowerCase().startsWith('selvedge-link'))
    .map(([name, value]) => [name, redactText(value, secrets)] as const);

// ── cache ──

function cacheOf(exchange: Exchange, { role }: PopSettings, secrets: SecretValues): Pick<Story, 'cache'> {
  const { cached, keyed, asked, fault } = exchange;
  const level = role === 'edge' ? 1 : 2;
  const key = keyed ? { key: redactText(redactKey(keyed.key), secrets), hash: keyed.hash } : {};
  if (cached) {
    const { metric, verdict, cacheStatus, ageSeconds, ttlSeconds, stale, coalescedMs, hitRequestId } = cached;
    return {
      cache: {
        ...{ level, metric, status: verdict.status, reason: verdict.reason, verdict: cacheStatus, ...key },
        ...(metric === 'hit' ? { ageSeconds } : {}),
        ...(ttlSeconds === undefined ? {} : { ttlSeconds }),
        ...(stale ? { stale } : {}),
        ...(coalescedMs === undefined ? {} : { coalescedMs: rounded(coalescedMs) }),
        ...(hitRequestId === undefined ? {} : { filledBy: hitRequestId }),
      },
    };
  }
  if (asked === null) return {};
  return { cache: { level, ...withoutAnswer(asked, fault), ...key } };
}

/** The cache was asked, and what it was to answer with never came. */
function withoutAnswer(asked: NonNullable<Exchange['asked']>, fault: Fault | null): Omit<StoryCache, 'level'> {
  const said = (metric: string, reason: string) => ({ metric, status: '', reason, verdict: '' });
  if (fault?.phase === 'cache') return said('miss', 'nothing is stored, and the request allows nothing else');
  const { fetch, bypass } = asked;
  if (bypass !== undefined) return said('pass', bypass);
  if (fetch === undefined) return said('miss', "shared another request's fetch, which failed");
  if (fetch.ifNoneMatch !== undefined || fetch.ifModifiedSince !== undefined)
    return said('miss', 'what is stored was stale, and refreshing it failed');
  return fetch.whole
    ? said('miss', 'nothing usable was stored, and the fetch failed')
    : said('pass', 'not to be stored, and the fetch failed');
}

/** Query parameters, and the values of keyed cookies and credentials. */
function redactKey(key: string): string {
  const parts = redactUrl(key).split('|');
  for (let at = 7; at < parts.length; at++) {
    if (parts[at] !== 'cookie' && !(parts[at] === 'header' && isSecretField(parts[at + 1] ?? ''))) continue;
    const count = Number(parts[at + 2]);
    for (let value = 0; value < count; value++) {
      const place = at + 3 + value;
      if (parts[place] !== undefined) parts[place] = redacted(parts[place]);
    }
  }
  return parts.join('|');
}

// ── calls ──

function callOf(call: CallRecord, exchange: Exchange, secrets: SecretValues): StoryCall {
  const { origin, method, path, fields, hop, backend, span, attempts, status } = call;
  const { leg, scheme, host, port, servername } = origin;
  return {
    ...{ leg, by: hop, scheme, host, port, method },
    ...(backend === undefined ? {} : { backend }),
    ...(servername === undefined ? {} : { servername }),
    ...(scheme === 'https' && !origin.verifyCertificate ? { insecure: true } : {}),
    ...(span === undefined ? {} : { span }),
    atMs: since(exchange, call.startedMs),
    path: redactText(redactUrl(path), secrets),
    // The fields of the link prove who we are; what they carry is the inner hop's own story.
    fields: leg === 'link' ? [] : fieldsOf(fields, secrets),
    attempts: attempts.map((attempt) => attemptOf(attempt, exchange, secrets)),
    ...(status === undefined ? {} : { status }),
  };
}

const since = ({ startedMs }: Exchange, ms: number): number => Math.max(0, rounded(ms - startedMs));

function attemptOf({ startedMs, fault, ...attempt }: Attempt, exchange: Exchange, secrets: SecretValues): StoryAttempt {
  const numbers = Object.entries(attempt).map(([name, value]) => [
    name,
    typeof value === 'number' ? rounded(value) : value,
  ]);
  return {
    ...(Object.fromEntries(numbers) as typeof attempt),
    atMs: since(exchange, startedMs),
    ...(fault ? { fault: faultOf(fault, secrets) } : {}),
  };
}

/** Without what stands elsewhere in the story. */
const TOLD_ELSEWHERE = new Set(['attempts', 'telemetry']);

function faultOf(fault: Fault, secrets: SecretValues): StoryFault {
  const { code, why, phase, hop, acts, details, parameters, cause } = fault;
  const evidence = Object.entries(fault.evidence).filter(([name]) => !TOLD_ELSEWHERE.has(name));
  return {
    ...{ code, cause: why, phase, hop, acts },
    ...(details === undefined ? {} : { details }),
    ...(Object.keys(parameters).length > 0 ? { parameters } : {}),
    ...(evidence.length > 0
      ? { evidence: redactValue(Object.fromEntries(evidence), secrets) as StoryFault['evidence'] }
      : {}),
    ...(cause === undefined ? {} : { error: textOfError(cause, secrets) }),
  } as StoryFault;
}

const textOfError = (error: unknown, secrets: SecretValues): string =>
  redactText(error instanceof Error ? (error.stack ?? error.message) : String(error), secrets);

// ── project code ──

function runOf(exchange: Exchange): Pick<Story, 'run'> {
  const { run } = exchange;
  if (run === null) return {};
  const { startedMs, endedMs, target, status } = run;
  const worker = exchange.workerInstance ?? (exchange.fault?.evidence.worker as string | undefined);
  return {
    run: {
      atMs: since(exchange, startedMs),
      durationMs: rounded((endedMs ?? startedMs) - startedMs),
      target,
      metrics: run.metrics,
      ...(worker === undefined ? {} : { worker }),
      ...(status === undefined ? {} : { status }),
    },
  };
}

/** What a background refresh or an abandoned fetch came to, told when the request itself has been told already. */
export function tellAfterwards(exchange: Exchange, settings: PopSettings, error: unknown): void {
  if (settings.story === null) return;
  const story = storyOf(exchange, settings, { response: null, delivery: null, end: 'afterwards' });
  const fault = error === undefined ? {} : { fault: faultOf(asFault(error, settings.role), secretsOf(exchange)) };
  settings.story({ ...story, ...fault });
}
