import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STORY_FORMAT, type Story } from './story.ts';
import { joinStories, storyOfLine } from './telling.ts';
import { waterfall } from './waterfall.ts';

const part = (more: Partial<Story>): Story => ({
  format: STORY_FORMAT,
  ...{ requestId: 'r', span: 's', hop: 'edge', pop: 'p', atMs: 0, durationMs: 100, end: 'sent' },
  client: { ip: '', protocol: 'http', httpVersion: '1.1' },
  request: { method: 'GET', host: 'a', url: '/', fields: [] },
  ...{ timings: '', statuses: '' },
  ...more,
});
const linkCall = (span: string, atMs = 10): NonNullable<Story['calls']> => [
  {
    ...{
      leg: 'link',
      by: 'edge',
      atMs,
      scheme: 'http',
      host: 'g',
      port: 1,
      method: 'GET',
      path: '/',
      fields: [],
      span,
    },
    attempts: [{ atMs, reusedConnection: false, dnsMs: 1, connectMs: 4, headMs: 50 }],
  },
];

test('an inner part belongs to the use of the id whose link call led there', () => {
  const parts = [
    part({ hop: 'global', span: 'b.0', atMs: 21 }),
    part({ span: 'a', atMs: 10, calls: linkCall('a.0') }),
    part({ hop: 'global', span: 'a.0', atMs: 11 }),
    part({ span: 'b', atMs: 20, calls: linkCall('b.0') }),
  ];
  assert.deepEqual(
    joinStories(parts).map(({ story, inner }) => [story.span, inner.map(({ span }) => span)]),
    [
      ['b', ['b.0']],
      ['a', ['a.0']],
    ],
  );
});

test('what is left of a request is told, whichever part of it that is', () => {
  assert.equal(joinStories([part({ hop: 'global', span: 'x.0' })])[0]!.story.hop, 'global');
  assert.equal(joinStories([part({ end: 'afterwards' })])[0]!.story.end, 'afterwards');
  assert.deepEqual(joinStories([]), []);
});

test('work that went on is beside the story, and a closed tunnel replaces the open one', () => {
  const [told] = joinStories([part({}), part({ end: 'afterwards', durationMs: 300 })]);
  assert.deepEqual([told!.story.end, told!.afterwards.length], ['sent', 1]);
  for (const order of [1, -1]) {
    const parts = [part({ end: 'tunnel', durationMs: 5 }), part({ end: 'tunnel-closed', durationMs: 50 })];
    const tellings = joinStories(order === 1 ? parts : parts.reverse());
    assert.deepEqual(
      tellings.map(({ story }) => story.end),
      ['tunnel-closed'],
    );
  }
});

test('an inner hop begins when the connection to it was ready, whatever its clock says', () => {
  const upstream = { ...linkCall('x')[0]!, leg: 'upstream' as const, backend: 'api', span: undefined, atMs: 2 };
  const { span: _span, ...call } = { ...upstream, attempts: [{ atMs: 2, reusedConnection: true, headMs: 30 }] };
  const parts = [
    part({ calls: linkCall('s.0') }),
    part({ hop: 'global', span: 's.0', atMs: 99_999, durationMs: 40, calls: [call] }),
  ];
  const { bars, totalMs } = waterfall(joinStories(parts)[0]!);
  assert.equal(totalMs, 100);
  assert.deepEqual(
    bars.map(({ label, startMs, endMs }) => [label, startMs, endMs]),
    [
      ['edge p', 0, 100],
      ['global p', 15, 55],
      ['upstream api', 17, 47],
    ],
  );
});

test('a line of the access log tells of a hit and of a failure', () => {
  const hit = storyOfLine({
    rid: 'r',
    timestamp: 5,
    hrid: 'f',
    cs: 'ok',
    clv: 1,
    code: '200',
    done: '1',
    t: 'eh=3',
    url: '/?token=abc',
  });
  assert.deepEqual([hit.cache?.metric, hit.cache?.filledBy, hit.durationMs, hit.end], ['hit', 'f', 3, 'sent']);
  assert.equal(hit.request.url, '/?token=[redacted 3]');
  const failed = storyOfLine({
    rid: 'r',
    code: '536',
    fault: 'upstream.head.timeout',
    hop: 'global',
    act: 'upstream',
    done: '1',
  });
  assert.deepEqual([failed.fault?.code, failed.fault?.hop], [536, 'global']);
  assert.equal(storyOfLine({ rid: 'r', done: '0' }).end, 'client-left');
});
