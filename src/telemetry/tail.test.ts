import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { ManualClock } from '../../test/actors/manual-clock.ts';
import { LogFilterError } from './filter.ts';
import { rotatedName } from './log-names.ts';
import { type TailOptions, tailLogs } from './tail.ts';

const POLL_MS = 250;
const access = (timestamp: number, rid: string, more: object = {}) =>
  `${JSON.stringify({ timestamp, rid, eid: 'shop-production', code: '200', ...more })}\n`;
const server = (time: number, requestId: string, message = 'hello') =>
  `${JSON.stringify({ time, level: 30, requestId, clientIp: '::1', wi: 'w', fn: 'shop-production-3.v1', message })}\n`;

function setUp(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'selvedge-tail-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const clock = new ManualClock();
  const path = (name: string) => join(directory, name);
  const add = (kind: 'access' | 'server', ...lines: string[]) => appendFileSync(path(`${kind}.ndjson`), lines.join(''));
  const ids = async (options: Partial<TailOptions> = {}) => {
    const found: string[] = [];
    for await (const entry of tailLogs({ directory, clock, ...options })) {
      found.push(`${entry.kind[0]}:${entry.kind === 'access' ? entry.record.rid : entry.record.requestId}`);
    }
    return found;
  };
  return { directory, clock, path, add, ids };
}

/** Follows, and lets time pass whenever the follower waits for news. */
function follow(t: TestContext, directory: string, clock: ManualClock, options: Partial<TailOptions> = {}) {
  const abort = new AbortController();
  const entries = tailLogs({
    directory,
    clock,
    pollMs: POLL_MS,
    follow: true,
    last: 0,
    signal: abort.signal,
    ...options,
  });
  t.after(() => abort.abort());
  let pending = entries.next();
  return {
    /** Resolves once the follower has read everything and waits. */
    idle: () => clock.armed(POLL_MS),
    next: async (): Promise<string | undefined> => {
      for (;;) {
        const entry = await Promise.race([pending, clock.armed(POLL_MS).then(() => 'waiting' as const)]);
        if (entry === 'waiting') {
          clock.advance(POLL_MS);
          // The poll is under way now: it ends with an entry or with the next timer.
          continue;
        }
        if (entry.done) return undefined;
        pending = entries.next();
        const { kind, record } = entry.value;
        return String(kind === 'access' ? record.rid : record.requestId);
      }
    },
    stop: async (): Promise<void> => {
      abort.abort();
      assert.equal((await pending).done, true);
    },
  };
}

describe('the past', () => {
  test('is read over rotated files, both logs merged by time', async (t) => {
    const { path, add, ids } = setUp(t);
    writeFileSync(path(rotatedName('access', 2_000, 'b')), access(3, 'a3'));
    writeFileSync(path(rotatedName('access', 1_000, 'a')), access(1, 'a1') + access(2, 'a2'));
    add('access', access(5, 'a5'));
    add('server', server(2, 's2'), server(6, 's6'));
    assert.deepEqual(await ids(), ['a:a1', 'a:a2', 's:s2', 'a:a3', 'a:a5', 's:s6']);
    assert.deepEqual(await ids({ kinds: ['server'] }), ['s:s2', 's:s6']);
    assert.deepEqual(await ids({ last: 2 }), ['a:a5', 's:s6']);
  });

  test('passes over lines that are torn, endless, or not ours', async (t) => {
    const { add, ids } = setUp(t);
    add('access', 'null\n', '{"torn":\n', `"${'x'.repeat(3_000_000)}"\n`, '\n', access(1, 'good'), '{"unfinished"');
    assert.deepEqual(await ids(), ['a:good']);
  });

  test('files that are all too old are not opened', async (t) => {
    const { path, add, ids } = setUp(t);
    const old = path(rotatedName('access', 1_000, 'a'));
    writeFileSync(old, access(9_999, 'in an old file'));
    utimesSync(old, 1, 1);
    add('access', access(9_000, 'new'), access(4_000, 'early'));
    assert.deepEqual(await ids({ filter: { sinceMs: 5_000 } }), ['a:new']);
  });

  test('is empty where nothing was logged yet', async (t) => {
    const { directory, ids } = setUp(t);
    assert.deepEqual(await ids({ directory: join(directory, 'none') }), []);
  });
});

describe('a filter', () => {
  test('takes request, environment, project, status or class, and expression', async (t) => {
    const { add, ids } = setUp(t);
    add('access', access(1, 'r1'), access(2, 'r2', { code: '502', xcode: '531' }), access(3, 'r3', { eid: 'blog-x' }));
    add('server', server(4, 'r1', 'cannot read "price"'));
    assert.deepEqual(await ids({ filter: { requestId: 'r1' } }), ['a:r1', 's:r1']);
    assert.deepEqual(await ids({ filter: { environments: ['shop-production'] } }), ['a:r1', 'a:r2', 's:r1']);
    assert.deepEqual(await ids({ filter: { environments: ['shop'] } }), []);
    assert.deepEqual(await ids({ filter: { environments: ['shop-staging', 'blog-x'] } }), ['a:r3']);
    for (const status of ['5xx', '502', '531']) assert.deepEqual(await ids({ filter: { status } }), ['a:r2'], status);
    assert.deepEqual(await ids({ filter: { match: 'pri[cs]e' } }), ['s:r1']);
  });

  test('is refused with a reason, and no expression can stall', async (t) => {
    const { add, ids } = setUp(t);
    add('server', server(1, 'r1', 'a'.repeat(20_000)));
    assert.deepEqual(await ids({ filter: { match: '(a+)+$x' } }), []);
    await assert.rejects(ids({ filter: { match: '(' } }), LogFilterError);
    await assert.rejects(ids({ filter: { match: '(?=a)' } }), LogFilterError);
    await assert.rejects(ids({ filter: { status: '5' } }), LogFilterError);
  });
});

describe('what is to come', () => {
  test('arrives as it is appended, lines in two parts included', async (t) => {
    const { directory, clock, add } = setUp(t);
    add('access', access(1, 'past'));
    const tail = follow(t, directory, clock);
    await tail.idle();
    const line = access(2, 'two-parts');
    add('access', line.slice(0, 9));
    clock.advance(POLL_MS);
    await tail.idle();
    add('access', line.slice(9));
    assert.equal(await tail.next(), 'two-parts');
    await tail.stop();
  });

  test('goes on in the new file after rotations, and a late batch in the old one is not lost', async (t) => {
    const { directory, clock, path, add } = setUp(t);
    add('access', access(1, 'past'));
    const tail = follow(t, directory, clock);
    await tail.idle();
    const first = path(rotatedName('access', 1_000, 'a'));
    renameSync(path('access.ndjson'), first);
    add('access', access(2, 'second file'));
    renameSync(path('access.ndjson'), path(rotatedName('access', 2_000, 'b')));
    add('access', access(3, 'third file'));
    assert.deepEqual([await tail.next(), await tail.next()], ['second file', 'third file']);
    appendFileSync(first, access(4, 'late batch'));
    assert.equal(await tail.next(), 'late batch');
    await tail.stop();
  });

  test('starts when the directory or the file comes into being', async (t) => {
    const { directory, clock } = setUp(t);
    const later = join(directory, 'later');
    const tail = follow(t, later, clock);
    await tail.idle();
    mkdirSync(later);
    writeFileSync(join(later, 'server.ndjson'), server(1, 'first'));
    assert.equal(await tail.next(), 'first');
    await tail.stop();
  });

  test('the past comes first where it is wanted', async (t) => {
    const { directory, clock, add } = setUp(t);
    add('access', access(1, 'old'), access(2, 'past'));
    const tail = follow(t, directory, clock, { last: 1 });
    assert.equal(await tail.next(), 'past');
    add('access', access(3, 'new'));
    assert.equal(await tail.next(), 'new');
    await tail.stop();
  });
});
