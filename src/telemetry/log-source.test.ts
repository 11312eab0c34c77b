import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { AccessLog } from './access-log.ts';
import { LogFilterError } from './filter.ts';
import { logSource } from './log-source.ts';
import { ServerLog } from './server-log.ts';

async function setUp(t: TestContext, requests: number) {
  const directory = mkdtempSync(join(tmpdir(), 'selvedge-source-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const access = new AccessLog({ directory });
  const server = new ServerLog({ directory });
  for (let n = 1; n <= requests; n++) {
    access.write({ timestamp: n, rid: `r${n}`, ip: '::1', met: 'GET', url: '/', done: true, eid: 'shop-default' });
  }
  const line = { time: 2, level: 30, clientIp: '::1', wi: 'w', fn: 'shop-default-1' };
  server.write({ ...line, requestId: 'r2', message: 'hello' });
  await Promise.all([access.close(), server.close()]);
  const source = logSource({ directory });
  const read = (query: string) =>
    Array.fromAsync(source({ follow: false, parameters: new URLSearchParams(query) }, new AbortController().signal));
  return { read };
}

test('without a wish the newest hundred lines come', async (t) => {
  const { read } = await setUp(t, 150);
  const lines = (await read('')) as { rid: string }[];
  assert.equal(lines.length, 100);
  assert.equal(lines.at(-1)!.rid, 'r150');
});

test('a request is shown with what its code wrote, however long ago it was', async (t) => {
  const { read } = await setUp(t, 150);
  const lines = (await read('request=r2')) as { rid?: string; message?: string }[];
  assert.deepEqual(
    lines.map(({ rid, message }) => rid ?? message),
    ['r2', 'hello'],
  );
  assert.equal((await read('kind=access&environment=shop-default&lines=7&since=1970-01-01')).length, 7);
});

test('a query that cannot be used is refused at once', async (t) => {
  const { read } = await setUp(t, 1);
  for (const query of ['kind=secret', 'lines=-1', 'since=yesterday', 'status=abc', 'match=(', 'kind=constructor']) {
    assert.throws(() => read(query), LogFilterError, query);
  }
});
