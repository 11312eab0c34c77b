import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TellingView } from '../../observe/request-view.ts';
import { STORY_FORMAT, type Story } from '../../observe/story.ts';
import { waterfall } from '../../observe/waterfall.ts';
import { pageFor } from './paint.ts';
import { tell } from './tell.ts';

const story: Story = {
  format: STORY_FORMAT,
  ...{ requestId: 'r', span: 's', hop: 'edge', pop: 'edge-local', atMs: 0, durationMs: 900, end: 'sent', status: 536 },
  client: { ip: '127.0.0.1', protocol: 'http', httpVersion: '1.1' },
  request: { method: 'GET', host: 'a.test', url: '/\u001b]0;owned\u0007x', fields: [] },
  calls: [
    {
      ...{
        leg: 'upstream',
        by: 'edge',
        backend: 'api',
        atMs: 50,
        scheme: 'http',
        host: 'api',
        port: 80,
        method: 'GET',
      },
      ...{ path: '/', fields: [] },
      attempts: [
        {
          ...{ atMs: 50, reusedConnection: false, address: '10.0.0.7:80', dnsMs: 10, connectMs: 20, headMs: 800 },
          fault: { code: 536, cause: 'upstream.head.timeout', phase: 'response-head', hop: 'edge', acts: 'upstream' },
        },
      ],
    },
  ],
  ...{ timings: '', statuses: '' },
};
const telling = { story, inner: [], afterwards: [] };
const view: TellingView = {
  ...telling,
  ...{ source: 'story', waterfall: waterfall(telling), commands: { client: 'curl -i http://a.test/' }, log: [] },
  routes: [{ id: '1', label: '/', file: 'routes.ts', line: 3, caught: false, sends: true }],
};

test('without a terminal there is no colour, and nothing from outside can move a cursor', () => {
  const text = tell(view, pageFor(undefined, {})).join('\n');
  assert.equal(text.includes('\u001b'), false);
  assert.match(text, /GET a\.test\/\ufffd\]0;owned\ufffdx/);
});

test('on a terminal what is painted is ours only', () => {
  const lines = tell(view, pageFor(80, {}));
  const text = lines.join('\n');
  assert.match(text, /\u{1b}\[31m/u);
  assert.equal(text.replace(/\u{1b}\[\d+m/gu, '').includes('\u001b'), false);
  assert.doesNotMatch(text, /\ufffd\[/);
  assert.match(text, /routes\.ts:3\u{1b}\[2m {2}sends/u);
  assert.deepEqual(
    tell(view, pageFor(80, { NO_COLOR: '1' }))
      .join('')
      .includes('\u001b'),
    false,
  );
});

test('the waterfall fits its page and shows every phase, however short', () => {
  for (const columns of [60, 80, 120, 300]) {
    const lines = tell(view, pageFor(columns, { NO_COLOR: '1' }));
    const bars = lines.filter((line) => /^ {2}(?:edge| +upstream) .*[├░]/.test(line));
    assert.equal(bars.length, 2);
    for (const line of bars) assert.ok(line.length <= Math.min(columns, 140), `${columns}: ${line}`);
    assert.match(bars[1]!, /░+▒+━+ .* 830 ms ✗ head\.timeout$/);
  }
});
