/** One telling for people: what happened and whose move it is first, then the times, then what it was decided from. */
import type { RouteView, TellingView } from '../../observe/request-view.ts';
import {
  ATTEMPT_PHASES,
  type Story,
  type StoryAttempt,
  type StoryCache,
  type StoryCall,
  type StoryFault,
} from '../../observe/story.ts';
import { drawWaterfall } from './draw.ts';
import { duration, entry, type Page, shown, wrap } from './paint.ts';

export function tell(view: TellingView, page: Page): string[] {
  const { story, commands } = view;
  return [
    ...headline(view, page),
    '',
    ...drawWaterfall(view.waterfall, page),
    '',
    ...entry(page, 'request', requestLine(story)),
    ...entry(page, 'client', clientLine(story)),
    ...deploymentEntry(view, page),
    ...routeEntries(view.routes, page),
    ...parts(view).flatMap((part, at) => cacheEntry(part, at > 0 ? view.story.cache : undefined, page)),
    ...parts(view).flatMap((part) => (part.calls ?? []).flatMap((call) => callEntries(call, page))),
    ...parts(view).flatMap((part) => runEntry(part, page)),
    ...evidenceEntries(view, page),
    ...logEntries(view, page),
    ...fillerEntries(view, page),
    '',
    ...entry(page, 'again', commands.client, { unbroken: true }),
    ...(commands.upstream === undefined ? [] : entry(page, 'directly', commands.upstream, { unbroken: true })),
  ];
}

const parts = ({ story, inner, afterwards }: TellingView): Story[] => [story, ...inner, ...afterwards];

// ── what happened ──

function headline(view: TellingView, page: Page): string[] {
  const { explanation: why, story } = view;
  const note = view.source === 'access-log' && story.cache?.metric !== 'hit' ? ` ${FROM_LOG}` : '';
  if (why === undefined)
    return wrap(`${sentence(view)}${note}`, page.width - 2).map((line, at) => (at === 0 ? page.bold(line) : line));
  const late = story.end === 'cut' ? ' The head had been sent already, so the answer was cut.' : '';
  const afterwards = story.fault === undefined ? ` The client itself got ${story.status ?? 'nothing'}.` : '';
  const fault = faultOf(view);
  return [
    `${page.red(page.bold(`${why.code} ${why.name}`))}  ${page.dim(`${why.cause}${fault?.details ? ` (${fault.details})` : ''}`)}`,
    ...wrap(`${why.detail}${late}${afterwards}${note}`, page.width - 2).map((line) => `  ${line}`),
    ...summaryEntry(fault, page),
    ...entry(page, 'where', `${why.hop}, ${why.phase}`),
    ...entry(page, 'next move', `${why.who}. ${why.remedy}`),
    ...limitEntry(why.limit, fault, page),
  ];
}

/** What whoever saw it says of it in one sentence. */
const summaryEntry = (fault: StoryFault | undefined, page: Page): string[] =>
  typeof fault?.evidence?.summary === 'string' ? entry(page, 'because', fault.evidence.summary) : [];

const UNITS = [
  [/Ms$/, ' ms'],
  [/Bytes$/, ' bytes'],
  [/MiB$/, ' MiB'],
] as const;

/** Which limit, what it is, and what was seen. */
function limitEntry(known: string | undefined, fault: StoryFault | undefined, page: Page): string[] {
  const { limit = known, value, limitMs, seen } = fault?.evidence ?? {};
  if (typeof limit !== 'string') return [];
  const unit = UNITS.find(([ending]) => ending.test(limit))?.[1] ?? '';
  const is = value ?? limitMs;
  const figures = [is === undefined ? '' : ` = ${is}${unit}`, seen === undefined ? '' : `, seen: ${seen}`];
  return entry(page, 'limit', `limits.${limit}${figures.join('')}`);
}

const FROM_LOG = 'Its story is not there; this is what the access log has.';

/** How a request went that did not fail. */
function sentence({ story, inner }: TellingView): string {
  const all = [story, ...inner];
  const { cache, status, end } = story;
  const code = status === undefined ? '' : `${status}: `;
  if (end === 'client-left')
    return `${code}the client left after ${duration(story.durationMs)}, before the answer was complete.`;
  const stale = cache?.stale ? ', stale, to be refreshed' : '';
  if (cache?.metric === 'hit') return `${code}answered from the cache of level ${cache.level}${stale}.`;
  const retries = all
    .flatMap(({ calls = [] }) => calls)
    .flatMap(({ attempts }) => attempts)
    .filter(({ fault }) => fault).length;
  const after = retries === 0 ? '' : ` after ${retries} failed ${retries === 1 ? 'attempt' : 'attempts'}`;
  return `${code}${sourceOf(all)}${after}${endWords(story)}.`;
}

function sourceOf(all: readonly Story[]): string {
  const shared = all.find(({ cache }) => cache?.coalescedMs !== undefined);
  if (shared) return 'answered by the fetch of another request';
  if (all.some(({ cache }) => cache?.metric === 'hit')) return 'answered from the cache of level 2';
  if (all.some(({ run }) => run !== undefined)) return 'answered by project code';
  const call = all.flatMap(({ calls = [] }) => calls).findLast(({ leg }) => leg === 'upstream');
  if (call) return `answered by the upstream ${call.backend ?? call.host}`;
  const action = all.map((part) => part.action).find((it) => it !== undefined);
  return action === undefined ? 'answered by the platform' : `answered by the route itself (${action})`;
}

const endWords = ({ end, durationMs }: Story): string =>
  end === 'tunnel'
    ? '; the tunnel is open'
    : end === 'tunnel-closed'
      ? `; the tunnel was open for ${duration(durationMs)}`
      : '';

// ── what was asked, and by what it was decided ──

function requestLine({ request, atMs, requestId, idFromClient }: Story): string[] {
  const { method, host, url } = request;
  const id = idFromClient ? `${requestId} (chosen by the client)` : requestId;
  return [`${method} ${host}${url}`, `${new Date(atMs).toISOString().replace('T', ' ')}  ${id}`];
}

const clientLine = ({ client, bytes }: Story): string =>
  `${client.ip || 'unknown'} over ${client.protocol}/${client.httpVersion}${bytes === undefined ? '' : `, ${bytes} bytes of body sent`}`;

function deploymentEntry({ story }: TellingView, page: Page): string[] {
  const { deployment } = story;
  return deployment ? entry(page, 'deployment', `${deployment.environment}-${deployment.number}`) : [];
}

const MOST_ROUTES = 12;

function routeEntries(routes: readonly RouteView[], page: Page): string[] {
  if (routes.length === 0) return [];
  const lines = routes.slice(0, MOST_ROUTES).map(({ id, label, file, line, caught, sends }) => {
    const place = file === undefined ? 'deployment not here' : `${file}:${line}`;
    const word = caught ? '  took over after the failure' : sends ? '  sends' : '';
    return `${(label ?? `route ${id}`).padEnd(24)}  ${place}${page.dim(word)}`;
  });
  const more = routes.length - lines.length;
  return entry(page, 'routes', more > 0 ? [...lines, `… and ${more} more`] : lines, { unbroken: true });
}

/** `before`: what the outer hop said, which needs no repetition. */
function cacheEntry({ cache }: Story, before: StoryCache | undefined, page: Page): string[] {
  if (!cache) return [];
  const { level, metric, status, reason, verdict, key, hash, ageSeconds, ttlSeconds, coalescedMs, filledBy } = cache;
  const facts = [
    metric !== 'hit' && status && `${status}${reason && reason !== status ? `: ${reason}` : ''}`,
    status === '' && reason,
    ageSeconds !== undefined && `age ${ageSeconds} s`,
    ttlSeconds !== undefined && `${ttlSeconds} s to live`,
    coalescedMs !== undefined && `waited ${duration(coalescedMs)} for the fetch of ${filledBy ?? 'another request'}`,
    coalescedMs === undefined && filledBy !== undefined && `filled by ${filledBy}`,
  ].filter((fact) => fact !== false && fact !== '');
  const said = [metric, ...facts].join(', ');
  const same = before?.reason === reason && before.status === status && before.metric === metric;
  const lines = [
    same && filledBy === undefined ? `${metric}, for the same reason` : said,
    before !== undefined && before.verdict === verdict ? '' : verdict,
    key !== undefined && before?.key !== key ? `key ${key}` : '',
    key === undefined && hash ? `key with the hash ${hash}` : '',
  ];
  return entry(
    page,
    `cache L${level}`,
    lines.filter((line) => line !== ''),
    { unbroken: true },
  );
}

// ── calls and runs ──

function callEntries(call: StoryCall, page: Page): string[] {
  const interesting = call.leg === 'upstream' || call.attempts.some(({ fault }) => fault !== undefined);
  if (!interesting) return [];
  const name = call.leg === 'link' ? 'link' : 'upstream';
  const by = call.by === 'compute' ? ' (asked by project code)' : '';
  const head = `${call.backend === undefined ? '' : `${call.backend}: `}${call.method} ${call.scheme}://${call.host}:${call.port}${call.leg === 'link' ? '' : call.path}${by}`;
  const tries = call.attempts.map((attempt, at) => attemptLine(attempt, call, at, page));
  return entry(page, name, [head, ...tries], { unbroken: true });
}

function attemptLine(attempt: StoryAttempt, call: StoryCall, at: number, page: Page): string {
  const phases = ATTEMPT_PHASES.flatMap(([member, word]) =>
    attempt[member] === undefined ? [] : [`${word} ${duration(attempt[member])}`],
  );
  const { fault, reusedConnection, address, bodyBytes } = attempt;
  const number = call.attempts.length > 1 ? `${at + 1}. ` : '';
  const kept = reusedConnection ? ' (kept connection)' : '';
  const outcome = fault
    ? page.red(`✗ ${fault.cause}${fault.details ? ` (${fault.details})` : ''}`)
    : call.status === undefined
      ? 'no answer'
      : `${call.status}${bodyBytes === undefined ? '' : `, ${bodyBytes} bytes`}`;
  return `${number}${address ?? 'no address'}${kept}  ${page.dim(phases.join('  '))}  ${outcome}`;
}

const RUN_WORDS = [
  ['pq', 'queue'],
  ['pf', 'run'],
  ['wt', 'of that code'],
] as const;

function runEntry({ run }: Story, page: Page): string[] {
  if (!run) return [];
  const times = RUN_WORDS.flatMap(([name, word]) =>
    run.metrics[name] === undefined ? [] : [`${word} ${duration(run.metrics[name])}`],
  );
  const { wm, wc } = run.metrics;
  const figures = [wm === undefined ? '' : `${wm} MB`, wc === undefined ? '' : `request ${wc} of this worker`];
  const told = [...times, ...figures].filter((part) => part !== '').join(', ');
  return entry(page, 'worker', `${run.worker ?? run.target}: ${told || duration(run.durationMs)}`);
}

// ── evidence ──

/** The innermost hop saw it first-hand. */
function faultOf(view: TellingView): StoryFault | undefined {
  const all = parts(view).flatMap(({ fault }) => fault ?? []);
  return all.findLast(({ cause }) => cause === view.explanation?.cause) ?? all[0];
}

/** In the line about the limit, or with the attempt. */
const TOLD_ABOVE = new Set(['limit', 'value', 'limitMs', 'seen', 'address', 'bodyBytes', 'summary']);

function evidenceEntries(view: TellingView, page: Page): string[] {
  const fault = faultOf(view);
  if (!fault) return [];
  const worker = parts(view).find(({ run }) => run)?.run?.worker;
  const facts = flat(fault.evidence).filter(([name, value]) => !TOLD_ABOVE.has(name) && value !== worker);
  const short = facts.filter(([, value]) => !value.includes('\n'));
  const long = facts.filter(([, value]) => value.includes('\n'));
  const stack =
    long.length === 0 && fault.error?.includes('\n') && fault.code === 530 ? [['error', fault.error] as const] : [];
  return [
    ...(short.length > 0 ? entry(page, 'evidence', short.map(([name, value]) => `${name} ${value}`).join(', ')) : []),
    ...[...long, ...stack].flatMap(([name, value]) =>
      entry(page, name.split('.').at(-1)!.slice(0, 10), value.split('\n').slice(0, 12), { unbroken: true }),
    ),
  ];
}

/** Evidence as dotted names and texts; a list of records is one text for each. */
function flat(value: unknown, prefix = ''): (readonly [string, string])[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) {
    if (value.length === 0) return [];
    if (value.every((it) => typeof it !== 'object')) return [[prefix, value.join(', ')]];
    return value.map((it) => [
      prefix,
      flat(it)
        .map(([, text]) => text)
        .join(' '),
    ]);
  }
  if (typeof value !== 'object') return [[prefix, shown(String(value))]];
  return Object.entries(value).flatMap(([name, it]) => flat(it, prefix === '' ? name : `${prefix}.${name}`));
}

const MOST_LOG_LINES = 10;

function logEntries({ log: all, explanation }: TellingView, page: Page): string[] {
  // The platform's own line about the failure is what stands above.
  const log = all.filter(({ message }) => !message.startsWith(`${explanation?.code} ${explanation?.cause}`));
  if (log.length === 0) return [];
  const lines = log.slice(0, MOST_LOG_LINES).map(({ time, message, late }) => {
    const first = message.split('\n', 1)[0]!.slice(0, page.width);
    return `${page.dim(new Date(time).toISOString().slice(11, 23))} ${first}${late ? page.dim(' (late)') : ''}`;
  });
  const more = log.length - lines.length;
  return entry(page, 'log', more > 0 ? [...lines, `… and ${more} more: selvedge logs --request`] : lines, {
    unbroken: true,
  });
}

function fillerEntries({ filledBy }: TellingView, page: Page): string[] {
  if (!filledBy) return [];
  const { story } = filledBy;
  const when = new Date(story.atMs).toISOString().replace('T', ' ');
  return entry(page, 'filled by', [`${story.requestId} at ${when}`, sentence(filledBy)]);
}
