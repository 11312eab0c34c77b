/** Rings and searches on real files. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { ManualClock } from '../../test/actors/manual-clock.ts';
import { until } from '../../test/actors/until.ts';
import { STORY_FORMAT, type Story } from '../observe/story.ts';
import { linesBackward, linesWith } from './search.ts';
import { StoryRing } from './story-ring.ts';
import { StorySearch } from './story-search.ts';

const never = new AbortController().signal;
let home: string;
let clock: ManualClock;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'sv-ring-'));
  clock = new ManualClock();
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const story = (requestId: string, more: Partial<Story> = {}): Story => ({
  format: STORY_FORMAT,
  ...{
    requestId,
    span: requestId,
    hop: 'edge',
    pop: 'p',
    atMs: clock.nowMs(),
    durationMs: 1,
    end: 'sent',
    status: 200,
  },
  client: { ip: '', protocol: 'http', httpVersion: '1.1' },
  request: { method: 'GET', host: 'a', url: '/', fields: [] },
  ...{ timings: '', statuses: '' },
  ...more,
});
const ringOf = (bytes: number, retentionHours = 24): StoryRing =>
  new StoryRing({ directory: join(home, 'why'), bytes, retentionHours, clock });
const searchOf = (retentionHours = 24): StorySearch =>
  new StorySearch({ stories: join(home, 'why'), logs: join(home, 'logs'), retentionHours, clock });

test('a story is found by its id, and by no part of it', async () => {
  const ring = ringOf(1_000_000);
  for (const id of ['one', 'one-and-more', 'with "quotes"\\']) ring.write(story(id));
  await ring.close();
  for (const id of ['one', 'with "quotes"\\']) {
    assert.deepEqual(
      (await searchOf().stories(id, never)).map(({ requestId }) => requestId),
      [id],
    );
  }
  assert.deepEqual(await searchOf().stories('on', never), []);
});

test('an id that stands in a header of another request finds nothing', async () => {
  const ring = ringOf(1_000_000);
  ring.write(
    story('theirs', { request: { method: 'GET', host: 'a', url: '/', fields: [['x', '"requestId":"wanted"']] } }),
  );
  await ring.close();
  assert.deepEqual(await searchOf().stories('wanted', never), []);
});

test('each ring stays within its half, the newest stay, and failures are not pushed out by others', async () => {
  const bytes = 1_000_000;
  const ring = ringOf(bytes);
  ring.write(story('failure', { status: 500 }));
  let last = '';
  for (let count = 0; count < 8_000; count++) {
    last = `passed-${count}`;
    ring.write(story(last));
    if (count % 100 === 0) {
      clock.advance(1);
      await ring.flush();
    }
  }
  await ring.close();
  const sizes = readdirSync(join(home, 'why')).map((name) => statSync(join(home, 'why', name)).size);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(total <= bytes, `${total}`);
  assert.ok(total > bytes / 5, `${total}`);
  const search = searchOf();
  for (const id of [last, 'failure']) assert.equal((await search.stories(id, never)).length, 1, id);
  assert.equal((await search.stories('passed-1', never)).length, 0);
  assert.deepEqual(ring.stats.passed.dropped, 0);
});

test('memory is bounded: what does not fit is dropped and counted', async () => {
  const ring = ringOf(1_000_000);
  for (let count = 0; count < 10_000; count++) ring.write(story(`r${count}`));
  assert.ok(ring.stats.passed.bufferedBytes <= 125_000);
  assert.ok(ring.stats.passed.dropped > 0);
  await ring.close();
});

test('a story that is too long keeps its failure and loses its details', async () => {
  const ring = ringOf(100_000_000);
  const fault = {
    code: 536,
    cause: 'upstream.head.timeout',
    phase: 'response-head',
    hop: 'global',
    acts: 'upstream',
  } as const;
  ring.write(story('long', { status: 536, fault: { ...fault, evidence: { text: 'x'.repeat(100_000) } } }));
  await ring.close();
  const [found] = await searchOf().stories('long', never);
  assert.deepEqual([found!.shortened, found!.fault], [true, fault]);
});

test('stories that are older than they are kept are not told, though their file is still there', async () => {
  const ring = ringOf(1_000_000);
  ring.write(story('old'));
  await ring.close();
  clock.advance(3_600_010);
  assert.equal((await searchOf(2).stories('old', never)).length, 1);
  assert.equal((await searchOf(1).stories('old', never)).length, 0);
  assert.equal(await searchOf(1).oldestMs(never), null);
});

test('what is too old is removed also where nothing new is written', async () => {
  const ring = ringOf(1_000_000, 2);
  ring.write(story('old'));
  await ring.flush();
  const folder = join(home, 'why');
  const bytes = (): number => readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  assert.ok(bytes() > 0);
  const past = new Date(clock.nowMs() - 3 * 3_600_000);
  await until('the file to be rotated', () => {
    clock.advance(10 * 60_000);
    return readdirSync(folder).some((name) => name.startsWith('passed-'));
  });
  for (const name of readdirSync(folder)) utimesSync(join(folder, name), past, past);
  await until('the old file to be gone', () => {
    clock.advance(10 * 60_000);
    return bytes() === 0;
  });
  await ring.close();
});

test('the newest failures come first, those of outermost hops only, and codes narrow them', async () => {
  const ring = ringOf(1_000_000);
  for (const [id, status, hop] of [
    ['a', 536, 'edge'],
    ['b', 200, 'edge'],
    ['c', 536, 'global'],
    ['d', 531, 'edge'],
  ] as const) {
    clock.advance(1_000);
    ring.write(story(id, { status, hop }));
  }
  await ring.close();
  const ids = async (code?: string, limit = 10) =>
    (await searchOf().last({ limit, ...(code === undefined ? {} : { code }) }, never)).map(
      ({ requestId }) => requestId,
    );
  assert.deepEqual(await ids(), ['d', 'a']);
  assert.deepEqual(await ids('536'), ['a']);
  assert.deepEqual(await ids('5xx', 1), ['d']);
  assert.deepEqual(await ids('200'), ['b']);
});

test('lines are found across pieces of a file, forward and backward, and a torn last line is none', async () => {
  const lines = Array.from({ length: 40_000 }, (_, at) => JSON.stringify({ at, text: 'x'.repeat(60) }));
  const path = join(home, 'file');
  writeFileSync(path, `${lines.join('\n')}\n{"at":40000`);
  for (const at of [0, 12_345, 39_999]) {
    const found: string[] = [];
    for await (const line of linesWith(path, `"at":${at},`, never)) found.push(line);
    assert.deepEqual(found, [lines[at]]);
  }
  let expected = lines.length;
  for await (const line of linesBackward(path, never)) {
    if (expected === lines.length && line.startsWith('{"at":40000')) continue;
    assert.equal(line, lines[--expected]);
  }
  assert.equal(expected, 0);
});

test('an access line is found in the file of its time; a file that is gone does not matter', async () => {
  mkdirSync(join(home, 'logs'));
  const id = '01a2051a-1cf6-7359-a719-94d008610fcc';
  const at = 0x01a2051a1cf6;
  const stamp = (ms: number) => new Date(ms).toISOString().replace(/[-:]/g, '');
  writeFileSync(join(home, 'logs', `access-${stamp(at - 60_000)}-aa.ndjson`), '{"rid":"older"}\n');
  writeFileSync(join(home, 'logs', `access-${stamp(at + 60_000)}-bb.ndjson`), `{"rid":"${id}","timestamp":${at}}\n`);
  assert.equal((await searchOf().access(id, never)).lines[0]?.timestamp, at);
  assert.equal((await searchOf().access('older', never)).lines.length, 1);
  assert.deepEqual(await searchOf().access('nobody', never), { lines: [], gaveUp: false });
});
