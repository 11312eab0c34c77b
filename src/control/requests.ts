/**
 * `GET /v1/requests/:id` and `GET /v1/requests`: what happened to a request, put together from the stories of its
 * hops, its line in the access log, what its code logged, and the deployment that served it.
 */
import { isRequestId, timeOfRequestId } from '../base/request-id.ts';
import { clientCommand, upstreamCommand } from '../observe/curl.ts';
import type { LoggedAccess } from '../observe/log-fields.ts';
import { redactText, type SecretValues } from '../observe/redact.ts';
import {
  type Explanation,
  type RequestSummary,
  type RequestView,
  type RouteView,
  type ServerLine,
  summaryOf,
  type TellingView,
} from '../observe/request-view.ts';
import type { Story, StoryFault } from '../observe/story.ts';
import { joinStories, storyOfLine, type Telling } from '../observe/telling.ts';
import { waterfall } from '../observe/waterfall.ts';
import { type Branding, DEFAULT_BRANDING } from '../status/branding.ts';
import { ACTORS, describeCode, fillNames } from '../status/catalogue.ts';
import { CAUSE_LIMITS, causeText } from '../status/cause-texts.ts';
import { invalidField, notFound, Problem } from './problem.ts';
import type { RouteBook } from './route-book.ts';
import type { ControlStore } from './store.ts';

/** Where stories and log lines come from; injected, as logs are. */
export interface StorySource {
  stories(requestId: string, signal: AbortSignal): Promise<readonly Story[]>;
  last(query: LastQuery, signal: AbortSignal): Promise<readonly Story[]>;
  /** `gaveUp`: not everything could be searched in time. */
  access(
    requestId: string,
    signal: AbortSignal,
  ): Promise<{ readonly lines: readonly LoggedAccess[]; readonly gaveUp: boolean }>;
  serverLines(requestId: string, fromMs: number, toMs: number, signal: AbortSignal): Promise<readonly ServerLine[]>;
  oldestMs(signal: AbortSignal): Promise<number | null>;
  readonly retentionHours: number;
}

export interface LastQuery {
  readonly code?: string;
  readonly environment?: string;
  readonly limit: number;
}

export interface RequestParts {
  readonly source: StorySource | undefined;
  readonly routes: RouteBook;
  readonly store: ControlStore;
  readonly branding?: Branding;
  readonly nowMs: () => number;
}

const DEFAULT_LIMIT = 20;
const MOST_LIMIT = 1_000;
/** The output may be long when a client uses one id for everything. */
const MOST_TELLINGS = 20;

export async function requestView(parts: RequestParts, requestId: string, signal: AbortSignal): Promise<RequestView> {
  const source = sourceOf(parts);
  if (!isRequestId(requestId)) {
    const detail = 'a request id is 1 to 128 visible ASCII characters, such as x-sv-request-id carries';
    throw new Problem({ status: 400, reason: 'request-id', detail });
  }
  const tellings = await tellingsOf(parts, source, requestId, signal, true);
  if (tellings.length === 0) throw await unknown(parts, source, requestId, signal);
  return { requestId, tellings };
}

export async function requestList(
  parts: RequestParts,
  parameters: URLSearchParams,
  signal: AbortSignal,
): Promise<{ readonly requests: readonly RequestSummary[] }> {
  const source = sourceOf(parts);
  const code = parameters.get('code') || undefined;
  if (code !== undefined && !/^[1-9](?:\d\d|xx)$/i.test(code)) {
    throw invalidField('code', `must be three digits or a class such as 5xx, not '${code}'`);
  }
  const limit = parameters.get('limit') || String(DEFAULT_LIMIT);
  if (!/^\d{1,4}$/.test(limit) || Number(limit) < 1 || Number(limit) > MOST_LIMIT) {
    throw invalidField('limit', `must be a number from 1 to ${MOST_LIMIT}, not '${limit}'`);
  }
  const environment = parameters.get('environment') || undefined;
  const query = {
    limit: Number(limit),
    ...(code === undefined ? {} : { code }),
    ...(environment === undefined ? {} : { environment }),
  };
  return { requests: (await source.last(query, signal)).map(summaryOf) };
}

function sourceOf({ source }: RequestParts): StorySource {
  if (source === undefined) throw notFound('this control plane keeps no stories of requests');
  return source;
}

async function unknown(
  parts: RequestParts,
  source: StorySource,
  requestId: string,
  signal: AbortSignal,
): Promise<Problem> {
  const madeMs = timeOfRequestId(requestId);
  const ageHours = madeMs === undefined ? 0 : (parts.nowMs() - madeMs) / 3_600_000;
  const { retentionHours } = source;
  if (ageHours > retentionHours) {
    const detail = `the request was made at ${time(madeMs!)}; stories and logs are kept for ${retentionHours} h`;
    return new Problem({ status: 404, reason: 'request-too-old', detail });
  }
  const { gaveUp } = await source.access(requestId, signal);
  const oldestMs = await source.oldestMs(signal);
  const reach = oldestMs === null ? 'there are no stories yet' : `stories reach back to ${time(oldestMs)}`;
  const searched = gaveUp ? '; the access log is too long to be searched to its end for an id of this form' : '';
  const detail = `no request with the id ${requestId} is known on this machine (${reach}${searched})`;
  return new Problem({ status: 404, reason: 'unknown-request', detail });
}

const time = (ms: number): string => new Date(ms).toISOString().replace('T', ' ');

async function tellingsOf(
  parts: RequestParts,
  source: StorySource,
  requestId: string,
  signal: AbortSignal,
  withFiller: boolean,
): Promise<TellingView[]> {
  const joined = joinStories(await source.stories(requestId, signal));
  if (joined.some(({ story }) => story.hop === 'edge')) {
    const newest = joined.slice(0, MOST_TELLINGS);
    return Promise.all(newest.map((telling) => viewOf(parts, source, telling, 'story', signal, withFiller)));
  }
  const { lines } = await source.access(requestId, signal);
  const fromLines = lines.map((line) => ({
    story: storyOfLine(line),
    inner: joined.map(({ story }) => story),
    afterwards: [],
  }));
  const tellings = fromLines.length > 0 ? fromLines.reverse() : joined;
  const kind = fromLines.length > 0 ? 'access-log' : 'story';
  return Promise.all(
    tellings.slice(0, MOST_TELLINGS).map((telling) => viewOf(parts, source, telling, kind, signal, withFiller)),
  );
}

async function viewOf(
  parts: RequestParts,
  source: StorySource,
  telling: Telling,
  kind: TellingView['source'],
  signal: AbortSignal,
  withFiller: boolean,
): Promise<TellingView> {
  const { story, inner } = telling;
  const filler = withFiller ? fillerOf(telling) : undefined;
  const filledBy = filler === undefined ? undefined : (await tellingsOf(parts, source, filler, signal, false))[0];
  const fault = [story, ...inner, ...telling.afterwards].find((part) => part.fault !== undefined)?.fault;
  const ranCode = [story, ...inner].some(({ run }) => run !== undefined);
  const log = ranCode
    ? await source.serverLines(story.requestId, story.atMs, story.atMs + story.durationMs, signal)
    : [];
  const secrets = log.length > 0 ? await secretsOf(parts.store, story) : [];
  return {
    ...telling,
    source: kind,
    waterfall: waterfall(telling),
    routes: await routesOf(parts.routes, telling),
    ...(fault ? { explanation: explain(fault, parts.branding ?? DEFAULT_BRANDING) } : {}),
    commands: commandsOf(telling),
    log: log.map((line) => ({ ...line, message: redactText(line.message, secrets) })),
    ...(filledBy ? { filledBy } : {}),
  };
}

/** Code may log what it likes; what is passed on from here has no secrets of its project in it. */
async function secretsOf(store: ControlStore, { deployment }: Story): Promise<SecretValues> {
  const place = (await store.environments()).find(({ id }) => id === deployment?.environment);
  if (!place) return [];
  const variables = await store.variables({ project: place.project, environment: place.name });
  return variables.filter(({ secret }) => secret).map(({ name, value }) => [name, value] as const);
}

const fillerOf = ({ story, inner }: Telling): string | undefined =>
  [story, ...inner].map(({ cache }) => cache?.filledBy).find((id) => id !== undefined && id !== story.requestId);

async function routesOf(book: RouteBook, { story, inner }: Telling): Promise<RouteView[]> {
  const { deployment } = story;
  if (!deployment) return [];
  const places = await book.of(deployment.environment, deployment.number);
  const told = story.routes ? story : (inner.find(({ routes }) => routes !== undefined) ?? story);
  const { routes = [], action, caught } = told;
  const view = (id: string, more: Pick<RouteView, 'caught' | 'sends'>): RouteView => ({
    id,
    ...places.get(id),
    ...more,
  });
  return [
    ...routes.map((id, at) => view(id, { caught: false, sends: action !== undefined && at === routes.length - 1 })),
    ...(caught?.routes ?? []).map((id) => view(id, { caught: true, sends: true })),
  ];
}

function explain(fault: StoryFault, branding: Branding): Explanation {
  const entry = describeCode(fault.code, branding) ?? describeCode(530, branding)!;
  const limit = CAUSE_LIMITS[fault.cause];
  return {
    code: fault.code,
    name: entry.name,
    cause: fault.cause,
    detail: causeText(fault.cause) ?? entry.description,
    phase: fault.phase,
    hop: fault.hop,
    acts: fault.acts,
    who: fillNames(ACTORS[fault.acts], branding),
    remedy: entry.remedy,
    ...(limit === undefined ? {} : { limit }),
  };
}

/** The call past the platform is the one that failed, or else the last one. */
function commandsOf({ story, inner }: Telling): TellingView['commands'] {
  const calls = [story, ...inner].flatMap((part) => part.calls ?? []).filter(({ leg }) => leg === 'upstream');
  const failed = calls.find(({ attempts }) => attempts.some(({ fault }) => fault !== undefined));
  const call = failed ?? calls.at(-1);
  const upstream = call === undefined ? undefined : upstreamCommand(call, story.request.bodyBytes);
  return { client: clientCommand(story), ...(upstream === undefined ? {} : { upstream }) };
}
