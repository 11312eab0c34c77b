import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { afterEach, describe, test } from 'node:test';
import { type Ask, bench, FRESH, settle, textOf } from '../../../test/actors/cache-bench.ts';
import { until } from '../../../test/actors/until.ts';
import { systemClock } from '../../base/clock.ts';
import { joinKey } from '../key-text.ts';
import { BLOCK_BYTES } from './body-files.ts';
import { type DiskOptions, DiskTier } from './disk-tier.ts';

const MB = 1024 * 1024;
const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** A folder for stores that is gone after the test. */
function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sv-disk-'));
  undo.push(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A cache with a disk tier, as one life of a POP process has it. */
function life(folder: string, options: Partial<DiskOptions> & { readonly memoryBytes?: number } = {}) {
  const reports: string[] = [];
  const { memoryBytes = 10 * MB, ...more } = options;
  const disk = new DiskTier({
    ...{ clock: systemClock, folder, maxBytes: 100 * MB, report: (message: string) => reports.push(message) },
    ...more,
  });
  const close = () => disk.close();
  undo.push(close);
  return {
    ...bench({ disk, memoryBytes, maxObjectBytes: 5 * MB }),
    disk,
    reports,
    async end() {
      undo.splice(undo.indexOf(close), 1);
      await disk.close();
    },
  };
}

const at = (path: string): Ask => ({ key: joinKey(['shop', 'https', 'shop.example', path, '', '', 'default']) });
const dataFile = (folder: string, number = 1) => join(folder, String(number), 'data.mdb');

describe('what was stored', () => {
  test('is a hit after a restart, head and all', async () => {
    const folder = newFolder();
    const before = life(folder);
    await before.exchange(at('/a'), 'hello', { ...FRESH, etag: '"1"', 'x-odd': 'é, ☃' });
    await before.end();
    const { ask, calls, clock } = life(folder);
    clock.advance(before.clock.nowMs() - clock.nowMs());
    const answer = (await ask(at('/a')))!;
    assert.equal(answer.metric, 'hit');
    assert.equal(await textOf(answer), 'hello');
    assert.equal(answer.response.fields.get('etag'), '"1"');
    assert.equal(answer.response.fields.get('x-odd'), 'é, ☃');
    assert.equal(answer.hitRequestId, 'r1');
    assert.equal(calls.length, 0);
  });

  test('with its variants', async () => {
    const folder = newFolder();
    const first = life(folder);
    for (const language of ['de', 'fr'])
      await first.exchange({ ...at('/v'), headers: { 'accept-language': language } }, language, {
        ...FRESH,
        vary: 'accept-language',
      });
    await first.end();
    const { ask, calls } = life(folder);
    for (const language of ['de', 'fr'])
      assert.equal(await textOf(await ask({ ...at('/v'), headers: { 'accept-language': language } })), language);
    assert.equal(calls.length, 0);
  });

  test('as a large body comes from its file, whole or in part, block by block', async () => {
    const folder = newFolder();
    const body = Buffer.alloc(4 * MB + 17).map((_, n) => (n * 7919) >> 3);
    const first = life(folder);
    await first.exchange(at('/big'), Buffer.from(body));
    await first.end();
    const { ask, calls } = life(folder);
    const { response } = (await ask(at('/big')))!;
    assert.ok(!Buffer.isBuffer(response.body) && response.body !== null);
    assert.ok(Buffer.from(body).equals(await buffer(response.body)));
    const again = (await ask(at('/big')))!.response.body as never as {
      range(a: number, b: number): AsyncIterable<Buffer>;
    };
    const part = await buffer(again.range(BLOCK_BYTES - 5, 3 * BLOCK_BYTES + 5));
    assert.ok(Buffer.from(body.subarray(BLOCK_BYTES - 5, 3 * BLOCK_BYTES + 6)).equals(part));
    assert.equal(calls.length, 0);
  });

  test('and purged is not served after a restart either, although nothing was touched', async () => {
    const folder = newFolder();
    const before = life(folder);
    await before.exchange(at('/a'), 'old', { ...FRESH, 'x-ab-surrogate-key': 'red' });
    await before.disk.flushed();
    await before.cache.purge([{ sequence: 9, space: 'shop', kind: 'key', value: 'red', soft: false }], 9);
    await before.end();
    const { cache, ask, exchange } = life(folder);
    assert.equal(cache.purgedUpTo, 9);
    assert.equal((await ask({ ...at('/a'), lookupOnly: true }))?.metric, undefined);
    assert.equal(await textOf(await exchange(at('/a'), 'new')), 'new');
  });

  test('leaves when the disk is full to its bound, oldest first, what is used last', async () => {
    const folder = newFolder();
    const { exchange, ask, disk } = life(folder, { maxBytes: 2 * MB, memoryBytes: 100_000 });
    await exchange(at('/used'), 'x'.repeat(20_000));
    for (let n = 0; n < 300; n++) {
      await exchange(at(`/${n}`), 'x'.repeat(20_000));
      if (n % 20 === 0) {
        await disk.flushed();
        assert.equal((await ask(at('/used')))!.metric, 'hit');
      }
    }
    await disk.flushed();
    assert.ok(disk.stats().bytes <= 2 * MB, `${disk.stats().bytes} bytes`);
    assert.ok(disk.stats().entries > 50);
    assert.equal((await ask({ ...at('/0'), lookupOnly: true }))?.metric, undefined);
    assert.equal((await ask({ ...at('/299'), lookupOnly: true }))?.metric, 'hit');
    assert.equal((await ask({ ...at('/used'), lookupOnly: true }))?.metric, 'hit');
  });

  test('leaves with its file', async () => {
    const folder = newFolder();
    const { exchange, disk } = life(folder, { maxBytes: 3 * MB, memoryBytes: 100_000 });
    for (let n = 0; n < 12; n++) {
      await exchange(at(`/${n}`), Buffer.alloc(MB, n));
      await disk.flushed();
    }
    const files = readdirSync(join(folder, '1', 'bodies'), { recursive: true }).filter((name) =>
      /-/.test(String(name)),
    );
    assert.ok(files.length >= 1 && files.length <= 3, `${files.length} files`);
  });
});

describe('what is damaged', () => {
  test('in a record is a miss, and the rest is served', async () => {
    const folder = newFolder();
    const before = life(folder);
    const marks = Array.from({ length: 50 }, (_, n) => `body of page ${n} `.repeat(40));
    for (const [n, mark] of marks.entries()) await before.exchange(at(`/${n}`), mark);
    await before.end();
    const bytes = readFileSync(dataFile(folder));
    for (let n = 0; n < 50; n += 5) {
      // wherever the file has it, also where it is not used any more
      for (let found = bytes.indexOf(marks[n]!); found >= 0; found = bytes.indexOf(marks[n]!, found + 1))
        bytes[found + 300]! ^= 1;
    }
    writeFileSync(dataFile(folder), bytes);
    const { ask } = life(folder);
    for (const [n, mark] of marks.entries()) {
      const answer = await ask({ ...at(`/${n}`), lookupOnly: true });
      if (n % 5 === 0) assert.equal(answer?.metric, undefined, `page ${n}`);
      else assert.equal(await textOf(answer), mark);
    }
  });

  test('in a file is a miss, whichever way', async () => {
    const folder = newFolder();
    const before = life(folder);
    for (const path of ['/gone', '/short', '/flipped']) await before.exchange(at(path), Buffer.alloc(2 * MB, path));
    await before.end();
    const files = readdirSync(join(folder, '1', 'bodies'), { recursive: true })
      .map((name) => join(folder, '1', 'bodies', String(name)))
      .filter((path) => statSync(path).isFile());
    assert.equal(files.length, 3);
    const pathOf = (start: string) =>
      files.find((file) => readFileSync(file).toString('latin1', 0, 6).startsWith(start))!;
    const flipped = readFileSync(pathOf('/flipp'));
    flipped[100]! ^= 1;
    writeFileSync(pathOf('/flipp'), flipped);
    truncateSync(pathOf('/short'), MB);
    rmSync(pathOf('/gone'));
    const { ask } = life(folder);
    for (const path of ['/gone', '/short', '/flipped'])
      assert.equal((await ask({ ...at(path), lookupOnly: true }))?.metric, undefined, path);
  });

  test('behind the first block of a file ends the answer before a wrong byte is sent', async () => {
    const folder = newFolder();
    const before = life(folder);
    await before.exchange(at('/big'), Buffer.alloc(2 * MB, 'a'));
    await before.end();
    const name = readdirSync(join(folder, '1', 'bodies'), { recursive: true }).find((it) => String(it).includes('-'))!;
    const path = join(folder, '1', 'bodies', String(name));
    const bytes = readFileSync(path);
    bytes[MB] = 0;
    writeFileSync(path, bytes);
    const { ask } = life(folder);
    const { response } = (await ask(at('/big')))!;
    const got: Buffer[] = [];
    await assert.rejects(async () => {
      for await (const piece of response.body as AsyncIterable<Buffer>) got.push(piece);
    }, /damaged/);
    assert.ok(Buffer.concat(got).every((byte) => byte === 97));
    await settle();
    assert.equal((await ask({ ...at('/big'), lookupOnly: true }))?.metric, undefined);
  });

  for (const [name, damage] of Object.entries({
    'cut to half': (file: string) => truncateSync(file, Math.floor(statSync(file).size / 2 / 8192) * 8192),
    'overwritten at its start': (file: string) => writeFileSync(file, Buffer.alloc(16_384, 7), { flag: 'r+' }),
    'no store at all': (file: string) => writeFileSync(file, 'this is not a database'),
  }))
    test(`as a whole (${name}) is set aside, and a new store is begun`, async () => {
      const folder = newFolder();
      const before = life(folder);
      for (let n = 0; n < 100; n++) await before.exchange(at(`/${n}`), 'x'.repeat(2000));
      await before.end();
      damage(dataFile(folder));
      const { exchange, ask, disk } = life(folder);
      assert.equal(await textOf(await exchange(at('/1'), 'new')), 'new');
      await disk.flushed();
      assert.equal(disk.stats().entries, 1);
      assert.ok(statSync(dataFile(folder)).size > 0, 'the damaged one can still be looked at');
      assert.equal((await ask(at('/1')))!.metric, 'hit');
    });

  test('so that a process died of it is not opened again', async () => {
    const folder = newFolder();
    const before = life(folder);
    await before.exchange(at('/a'), 'old');
    await before.end();
    const { ask } = life(folder, { brokenBeforeMs: Date.now() + 1_000 });
    assert.equal((await ask({ ...at('/a'), lookupOnly: true }))?.metric, undefined);
  });
});

describe('a disk that takes nothing', () => {
  test('means that responses are not stored there, and that is told once', async () => {
    const folder = newFolder();
    const { exchange, ask, disk, reports } = life(folder, { memoryBytes: 20 * MB });
    rmSync(join(folder, '1', 'bodies'), { recursive: true, force: true });
    writeFileSync(join(folder, '1', 'bodies'), 'a file where a folder should be');
    for (let n = 0; n < 5; n++) await exchange(at(`/${n}`), Buffer.alloc(300_000, n));
    await disk.flushed();
    assert.equal(disk.stats().entries, 0);
    assert.equal(reports.length, 1);
    assert.match(reports[0]!, /cannot be stored on the disk/);
    assert.equal((await ask(at('/1')))!.metric, 'hit', 'the memory tier has it');
  });
});

test('a process that was told that a URL was changed has told the others when it goes on', async () => {
  const folder = newFolder();
  const url = ['shop', 'https', 'shop.example', '/changed', ''];
  const changed: Ask = { key: joinKey([...url, 'gzip', 'default']) };
  const one = life(folder);
  const two = life(folder);
  await one.exchange(changed, 'old', { ...FRESH, 'content-type': 'text/plain' });
  await one.disk.flushed();
  assert.equal(await textOf(await two.ask(changed)), 'old');
  for (let n = 0; n < 300; n++) await one.exchange(at(`/${n}`), 'x'.repeat(3000));
  await one.cache.invalidate([joinKey(url)]);
  await settle();
  assert.notEqual((await two.ask({ ...changed, lookupOnly: true }))?.metric, 'hit');
});

test('several processes see what the others do', async () => {
  const folder = newFolder();
  const one = life(folder);
  const two = life(folder);
  await one.exchange(at('/a'), 'first');
  await one.disk.flushed();
  assert.equal(await textOf(await two.ask(at('/a'))), 'first');
  two.clock.advance(61_000);
  await two.exchange(at('/a'), 'second');
  await two.disk.flushed();
  await until('the first to hear of it', async () => (await textOf(await one.ask(at('/a')))) === 'second');
  assert.equal(one.calls.length, 1);
});
