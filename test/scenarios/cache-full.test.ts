/** A disk that is full: files may not grow (RLIMIT_FSIZE), so that every write of the store fails. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Seen } from '../actors/cache-writer-main.ts';
import { until } from '../actors/until.ts';

const WRITER = fileURLToPath(new URL('../actors/cache-writer-main.ts', import.meta.url));

function writerWith(limit: string, folder: string) {
  const child: ChildProcess = spawn(
    '/bin/sh',
    ['-c', `ulimit -f ${limit}; exec "$0" "$@"`, process.execPath, WRITER, folder, '60'],
    {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    },
  );
  const writer = { child, answers: 0, hits: 0, said: [] as string[] };
  child.on('message', ({ answers, hits, wrong }: Seen) => {
    writer.answers += answers;
    writer.hits += hits;
    if (wrong !== undefined) writer.said.push(wrong);
  });
  const end = async (): Promise<void> => {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  };
  return { writer, [Symbol.asyncDispose]: end };
}

test('a full disk means that responses are not stored, and when there is room again they are', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'sv-full-'));
  try {
    {
      // in blocks of 512 or 1,024 bytes; less than the store needs
      await using limited = writerWith('600', folder);
      const { writer } = limited;
      await until('it to be told', () => writer.said.length > 0);
      const { answers } = writer;
      await until('answers to go on', () => writer.answers > answers + 500);
      assert.equal(writer.said.length, 1, writer.said.join('\n'));
      assert.match(writer.said[0]!, /^responses cannot be stored on the disk/);
      assert.equal(writer.child.exitCode, null);
    }
    await using free = writerWith('unlimited', folder);
    const { writer } = free;
    await until('it to store and to hit', () => writer.hits > 200);
    assert.deepEqual(writer.said, []);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
