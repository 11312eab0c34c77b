import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { ManualClock } from '../../test/actors/manual-clock.ts';
import { AccessLog } from './access-log.ts';
import { LogFile, type LogFileOptions } from './log-file.ts';
import { isRotated, rotatedName } from './log-names.ts';
import { ServerLog } from './server-log.ts';

function setUp(t: TestContext, more: Partial<LogFileOptions> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'selvedge-log-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const clock = new ManualClock(Date.now());
  const told: string[] = [];
  const options = { directory, base: 'access', clock, report: (message: string) => void told.push(message), ...more };
  const file = new LogFile(options);
  t.after(() => file.close());
  return { directory, clock, told, file, options };
}
const linesIn = (path: string): string[] => readFileSync(path, 'utf8').split('\n').slice(0, -1);
const allLines = (directory: string): string[] =>
  readdirSync(directory)
    .sort()
    .flatMap((name) => linesIn(join(directory, name)));

describe('a log file', () => {
  test('gathers lines and writes them when the timer fires', async (t) => {
    const { file, clock } = setUp(t, { flushMs: 50 });
    file.write('a');
    file.write('b');
    assert.deepEqual(clock.delays, [50]);
    clock.advance(50);
    await file.flush();
    assert.deepEqual(linesIn(file.path), ['a', 'b']);
  });

  test('writes what is waiting when it is closed, and drops and tells what comes later', async (t) => {
    const { file, told } = setUp(t);
    file.write('a');
    await file.close();
    file.write('late');
    assert.deepEqual(linesIn(file.path), ['a']);
    assert.equal(file.stats.dropped, 1);
    await file.close();
    assert.match(told[0]!, /1 lines of .*access\.ndjson were dropped/);
  });

  test('never holds more than its bound, and counts what it drops', async (t) => {
    const { file, told } = setUp(t, { bufferBytes: 100 });
    for (let count = 0; count < 30; count++) file.write('123456789');
    assert.deepEqual(file.stats, { written: 0, dropped: 20, bufferedBytes: 100 });
    await file.flush();
    assert.equal(linesIn(file.path).length, 10);
    assert.match(told[0]!, /20 lines/);
  });

  test('keeps lines while the disk refuses them, says so once, and writes them when it is well again', async (t) => {
    const { directory, told, file } = setUp(t);
    rmSync(directory, { recursive: true });
    writeFileSync(directory, 'in the way');
    file.write('a');
    await file.flush();
    file.write('b');
    await file.flush();
    assert.equal(told.length, 1);
    unlinkSync(directory);
    await file.flush();
    assert.deepEqual(linesIn(file.path), ['a', 'b']);
    assert.equal(file.stats.dropped, 0);
  });

  test('is rotated when it is too large or too old, without losing a line', async (t) => {
    const { directory, clock, file } = setUp(t, { fileBytes: 10, fileMinutes: 60 });
    for (const line of ['first-line', 'second', 'third']) {
      file.write(line);
      await file.flush();
    }
    assert.equal(readdirSync(directory).length, 2, 'by size');
    clock.advance(61 * 60_000);
    file.write('fourth');
    await file.flush();
    assert.equal(readdirSync(directory).length, 3, 'by age');
    assert.deepEqual(linesIn(file.path), ['fourth']);
    assert.deepEqual(allLines(directory).sort(), ['first-line', 'fourth', 'second', 'third']);
  });

  test('is opened again when another process has renamed or removed it', async (t) => {
    const { directory, file } = setUp(t);
    file.write('a');
    await file.flush();
    renameSync(file.path, join(directory, 'moved'));
    file.write('b');
    await file.flush();
    assert.deepEqual([linesIn(join(directory, 'moved')), linesIn(file.path)], [['a'], ['b']]);
    rmSync(directory, { recursive: true });
    file.write('c');
    await file.flush();
    assert.deepEqual(linesIn(file.path), ['c']);
  });

  test('old rotated files are removed, everything else in the directory stays', async (t) => {
    const { directory, clock, file } = setUp(t, { retentionHours: 2 });
    const old = rotatedName('access', clock.nowMs() - 3 * 3_600_000, 'aa');
    const young = rotatedName('access', clock.nowMs() - 3_600_000, 'bb');
    const others = ['access-notes.txt', rotatedName('server', 0, 'cc')];
    for (const name of [old, young, ...others]) {
      writeFileSync(join(directory, name), 'x\n');
      const seconds = clock.nowMs() / 1000 - (name === young ? 3_600 : 3 * 3_600);
      utimesSync(join(directory, name), seconds, seconds);
    }
    file.write('a');
    await file.flush();
    assert.deepEqual(readdirSync(directory).sort(), ['access.ndjson', young, ...others].sort());
  });

  test('several processes that write and rotate at once lose and tear nothing', async (t) => {
    const { directory } = setUp(t);
    const script = `
      import { LogFile } from ${JSON.stringify(new URL('./log-file.ts', import.meta.url).href)};
      const file = new LogFile({ directory: process.argv[1], base: 'access', fileBytes: 20_000 });
      for (let batch = 0; batch < 30; batch++) {
        for (let line = 0; line < 20; line++) file.write(JSON.stringify({ from: process.argv[2], n: batch * 20 + line, pad: 'x'.repeat(50) }));
        await file.flush();
      }
      await file.close();`;
    const writers = ['p', 'q', 'r'].map((name) =>
      spawn(process.execPath, ['--input-type=module', '-e', script, directory, name], { stdio: 'inherit' }),
    );
    const codes = await Promise.all(writers.map(async (writer) => (await once(writer, 'exit'))[0]));
    assert.deepEqual(codes, [0, 0, 0]);
    const seen = allLines(directory).map((line) => JSON.parse(line));
    const names = new Set(seen.map(({ from, n }) => `${from}${n}`));
    assert.deepEqual([seen.length, names.size], [1_800, 1_800]);
    assert.ok(readdirSync(directory).some((name) => isRotated('access', name)));
  });
});

test('the access log encodes by the field table and cuts user timings at a character', async (t) => {
  const { directory, clock } = setUp(t);
  const log = new AccessLog({ directory, clock, userTimingBytes: 5 });
  log.write({ timestamp: 1, rid: 'r', ip: '::1', met: 'GET', url: '/', done: true, xut: 'abcdé=1' });
  await log.close();
  assert.deepEqual(JSON.parse(linesIn(join(directory, 'access.ndjson'))[0]!), {
    timestamp: 1,
    rid: 'r',
    ip: '::1',
    met: 'GET',
    url: '/',
    done: '1',
    xut: 'abcd',
  });
});

test('the server log keeps every member of a line and cuts endless messages', async (t) => {
  const { directory, clock } = setUp(t);
  const log = new ServerLog({ directory, clock });
  const line = { time: 1, level: 30, requestId: 'r', clientIp: '::1', wi: 'w', fn: 'shop-production-3' };
  log.write({ ...line, message: 'hello\nworld', late: true });
  log.write({ ...line, message: 'x'.repeat(100_000) });
  await log.close();
  const [first, second] = linesIn(join(directory, 'server.ndjson')).map((text) => JSON.parse(text));
  assert.deepEqual(first, { ...line, message: 'hello\nworld', late: true });
  assert.deepEqual([second.message.length, second.truncated], [32_768, true]);
});
