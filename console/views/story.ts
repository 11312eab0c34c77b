/** One telling of a request: what happened and whose move it is, the waterfall, and what it was decided from. */
import type { TellingView } from '../../src/control/contract.ts';
import { command, duration, facts, h, moment } from '../dom.ts';

export function storyView(view: TellingView): HTMLElement {
  const { story, inner, afterwards, commands } = view;
  const parts = [story, ...inner, ...afterwards];
  const calls = parts
    .flatMap((part) => part.calls ?? [])
    .filter((call) => call.leg === 'upstream' || call.attempts.some((it) => it.fault));
  return h(
    'article',
    { class: 'story' },
    headline(view),
    waterfallView(view),
    facts(
      [
        ['request', `${story.request.method} ${story.request.host}${story.request.url}`],
        ['received', `${moment(story.atMs)} UTC, ${duration(story.durationMs)}`],
        ['client', `${story.client.ip || 'unknown'} over ${story.client.protocol}/${story.client.httpVersion}`],
        ['deployment', story.deployment && `${story.deployment.environment}-${story.deployment.number}`],
        ['routes', view.routes.length > 0 && view.routes.map(routeLine)],
        ...parts.flatMap(({ cache }) =>
          cache
            ? [
                [
                  `cache L${cache.level}`,
                  [
                    [cache.metric, cache.status, cache.reason].filter((part) => part).join(', '),
                    h('br'),
                    h('code', {}, cache.verdict),
                  ],
                ] as const,
              ]
            : [],
        ),
        ...calls.map(
          (call) =>
            [
              'upstream',
              [
                `${call.method} ${call.scheme}://${call.host}:${call.port}${call.path}`,
                ...call.attempts.map(attemptLine),
              ],
            ] as const,
        ),
        ['evidence', evidenceOf(view)],
        ['log', view.log.length > 0 && h('pre', {}, view.log.map(({ message }) => message).join('\n'))],
      ].map(([name, value]) => [name as string, value === false ? undefined : (value as HTMLElement)]),
    ),
    h('h3', {}, 'Again'),
    command(commands.client),
    commands.upstream === undefined ? null : [h('h3', {}, 'Past the platform'), command(commands.upstream)],
  );
}

function headline({ explanation: why, story }: TellingView): HTMLElement {
  if (why === undefined) {
    return h(
      'div',
      { class: 'verdict good' },
      h(
        'h2',
        {},
        `${story.status ?? '—'} ${story.cache?.metric === 'hit' ? `from the cache of level ${story.cache.level}` : story.end === 'sent' ? 'answered' : story.end}`,
      ),
    );
  }
  return h(
    'div',
    { class: 'verdict bad' },
    h('h2', {}, h('a', { href: `#/codes/${why.code}` }, `${why.code} ${why.name}`)),
    h('p', {}, why.detail, ' ', h('code', {}, why.cause)),
    facts([
      ['where', `${why.hop}, ${why.phase}`],
      ['next move', `${why.who}. ${why.remedy}`],
      ['limit', why.limit && `limits.${why.limit}`],
    ]),
  );
}

export function waterfallView({ waterfall: { totalMs, bars } }: TellingView): HTMLElement {
  const share = (ms: number): string => `${(totalMs === 0 ? 0 : (ms / totalMs) * 100).toFixed(2)}%`;
  return h(
    'figure',
    { class: 'waterfall', 'aria-label': `Waterfall, ${duration(totalMs)} in all` },
    bars.map((bar) =>
      h(
        'div',
        { class: bar.failed ? 'row failed' : 'row' },
        h('span', { class: 'label', style: { 'padding-inline-start': `${bar.depth}em` } }, bar.label),
        h(
          'span',
          { class: 'track' },
          bar.segments.map(({ kind, startMs, endMs }) =>
            h('i', {
              class: `segment ${kind}`,
              title: `${kind} ${duration(endMs - startMs)}`,
              style: { left: share(startMs), width: share(endMs - startMs) },
            }),
          ),
        ),
        h('span', { class: 'time' }, duration(bar.endMs - bar.startMs)),
        h('span', { class: 'outcome' }, bar.outcome),
      ),
    ),
    h(
      'figcaption',
      {},
      KINDS.map((kind) => h('span', { class: 'key' }, h('i', { class: `segment ${kind}` }), kind)),
    ),
  );
}

const KINDS = ['dns', 'tcp', 'tls', 'send', 'head', 'body', 'queue', 'start', 'run', 'wait'] as const;

const routeLine = ({ id, label, file, line, sends, caught }: TellingView['routes'][number]): HTMLElement =>
  h(
    'div',
    {},
    `${label ?? `route ${id}`} `,
    h('code', {}, file === undefined ? 'deployment not here' : `${file}:${line}`),
    sends ? ' sends' : '',
    caught ? ' took over after the failure' : '',
  );

type Attempt = NonNullable<TellingView['story']['calls']>[number]['attempts'][number];

function attemptLine({ address, reusedConnection, fault, ...times }: Attempt): HTMLElement {
  const phases = ['dnsMs', 'connectMs', 'tlsMs', 'sendMs', 'headMs', 'bodyMs'] as const;
  const said = phases.flatMap((phase) =>
    times[phase] === undefined ? [] : [`${phase.slice(0, -2)} ${duration(times[phase])}`],
  );
  return h(
    'div',
    { class: fault ? 'bad' : '' },
    `${address ?? 'no address'}${reusedConnection ? ' (kept connection)' : ''} · ${said.join(' · ')}`,
    fault ? ` ✗ ${fault.cause}${fault.details ? ` (${fault.details})` : ''}` : '',
  );
}

function evidenceOf({ story, inner }: TellingView): HTMLElement | undefined {
  const fault = [...inner, story].map((part) => part.fault).find((it) => it !== undefined);
  const { attempts: _, ...evidence } = fault?.evidence ?? {};
  const text = Object.keys(evidence).length === 0 ? '' : JSON.stringify(evidence, null, 2);
  const whole = [text, fault?.error ?? ''].filter((part) => part !== '').join('\n');
  return whole === '' ? undefined : h('pre', {}, whole);
}
