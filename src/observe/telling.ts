/**
 * The parts of a request's story put together: what the outermost hop tells, with the inner hops where their link
 * calls are. A client may use an id more than once; every use is a telling of its own.
 */

import { type Actor, CAUSES, type Cause } from '../status/causes.ts';
import type { Hop } from '../status/fault.ts';
import type { LoggedAccess } from './log-fields.ts';
import { redactUrl } from './redact.ts';
import { STORY_FORMAT, type Story, type StoryEnd } from './story.ts';

export interface Telling {
  readonly story: Story;
  /** Of inner hops, by the span of the link call that led there. */
  readonly inner: readonly Story[];
  /** What went on when the client had its answer already. */
  readonly afterwards: readonly Story[];
}

/** Newest first. An inner part whose outer part is not here (another machine, lost) is a telling of its own. */
export function joinStories(stories: readonly Story[]): Telling[] {
  const latest = new Map<string, Story>();
  for (const story of stories)
    latest.set(`${story.hop} ${story.span} ${story.end === 'afterwards'}`, newer(story, latest));
  const parts = [...latest.values()].sort((a, b) => a.atMs - b.atMs);
  const outer = parts.filter((story) => story.hop === 'edge' && story.end !== 'afterwards');
  const spans = new Set(parts.filter(({ hop }) => hop === 'edge').flatMap(linkSpans));
  const alone = parts.filter((story) => story.hop === 'global' && !spans.has(story.span));
  const orphans = parts.filter(
    (story) => story.end === 'afterwards' && story.hop === 'edge' && !outer.some(({ span }) => span === story.span),
  );
  return [...outer, ...alone, ...orphans]
    .map((story) => tellingOf(story, parts))
    .sort((a, b) => b.story.atMs - a.story.atMs);
}

/** A tunnel that was closed replaces the one that was open. */
function newer(story: Story, latest: ReadonlyMap<string, Story>): Story {
  const before = latest.get(`${story.hop} ${story.span} ${story.end === 'afterwards'}`);
  return before !== undefined && before.durationMs > story.durationMs ? before : story;
}

function tellingOf(story: Story, parts: readonly Story[]): Telling {
  const afterwards = parts.filter(
    (part) => part !== story && part.end === 'afterwards' && part.hop === story.hop && part.span === story.span,
  );
  const spans = new Set([story, ...afterwards].flatMap(linkSpans));
  return {
    story,
    inner: parts.filter((part) => part.hop === 'global' && part !== story && spans.has(part.span)),
    afterwards,
  };
}

const linkSpans = ({ calls = [] }: Story): string[] => calls.flatMap(({ span }) => (span === undefined ? [] : [span]));

/** The story that a line of the access log tells: all there is of a plain hit, and of what was not kept. */
export function storyOfLine(line: LoggedAccess): Story {
  const text = (name: keyof LoggedAccess): string => String(line[name] ?? '');
  const number = (name: keyof LoggedAccess): number => Number(line[name] ?? 0);
  const timings = text('t') || text('xmt');
  const deployment = line.eid === undefined ? {} : { deployment: { environment: text('eid'), number: number('bld') } };
  const routes = text('xmr');
  return {
    format: STORY_FORMAT,
    requestId: text('rid'),
    span: '',
    hop: 'edge',
    pop: '',
    atMs: number('timestamp'),
    durationMs: Number(/(?:^|,)eh=(\d+)/.exec(timings)?.[1] ?? 0),
    end: endOfLine(line),
    ...(line.code === undefined ? {} : { status: number('code') }),
    bytes: number('s_rs'),
    client: {
      ip: text('ip'),
      protocol: number('ssl') === 1 ? 'https' : 'http',
      httpVersion: text('h2') === '1' ? '2' : '1.1',
    },
    request: { method: text('met'), host: text('hh'), url: redactUrl(text('url')), fields: fieldsOfLine(line) },
    ...deployment,
    ...(routes === '' ? {} : { routes: routes.split(';') }),
    ...cacheOfLine(line),
    ...faultOfLine(line),
    timings,
    statuses: text('xms'),
  };
}

const endOfLine = (line: LoggedAccess): StoryEnd =>
  line.done === '1' ? 'sent' : line.code === undefined || line.fault === undefined ? 'client-left' : 'cut';

function faultOfLine({ fault, hop, act, pstat }: LoggedAccess): Pick<Story, 'fault'> {
  if (fault === undefined || !Object.hasOwn(CAUSES, fault)) return {};
  const { code, phase, acts } = CAUSES[fault as Cause];
  const details = /;\s*details="(?:\d{3} )?([^"]*)"/.exec(String(pstat ?? ''))?.[1];
  return {
    fault: {
      ...{ code, phase, cause: fault as Cause, hop: (hop ?? 'edge') as Hop, acts: (act ?? acts) as Actor },
      ...(details ? { details } : {}),
    },
  };
}

function fieldsOfLine(line: LoggedAccess): Story['request']['fields'] {
  const known = [
    ['user-agent', line.ua],
    ['referer', line.rfr],
    ['accept-encoding', line.ac],
    ['x-forwarded-for', line.xff],
  ] as const;
  return known.flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [[name, redactUrl(String(value))] as const],
  );
}

function cacheOfLine(line: LoggedAccess): Pick<Story, 'cache'> {
  // With neither a key nor a request that filled the store, no cache was asked.
  if (line.cs === undefined || !(line.ckh || line.hrid)) return {};
  const hit = line.hrid !== undefined && line.hrid !== '';
  const level = line.clv === 2 ? 2 : 1;
  return {
    cache: {
      level,
      metric: hit ? 'hit' : 'miss',
      status: String(line.cs),
      reason: '',
      verdict: '',
      ...(line.ckh ? { hash: String(line.ckh) } : {}),
      ...(line.ttl === undefined || line.ttl === '' ? {} : { ttlSeconds: Number(line.ttl) }),
      ...(line.stl === 1 ? { stale: true } : {}),
      ...(hit ? { filledBy: String(line.hrid) } : {}),
    },
  };
}
