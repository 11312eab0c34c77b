import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { newFolder } from '../../test/actors/folder.ts';
import { openBlobStore } from './blobs.ts';
import { Problem } from './problem.ts';

const shaOf = (content: string): string => createHash('sha256').update(content).digest('hex');

async function* chunks(...parts: string[]): AsyncGenerator<Buffer> {
  for (const part of parts) yield Buffer.from(part);
}

async function* broken(): AsyncGenerator<Buffer> {
  yield Buffer.from('hel');
  throw new Error('client left');
}

describe('the blob store', () => {
  test('keeps content under its SHA-256 and gives it back', async () => {
    const blobs = await openBlobStore(newFolder());
    const sha = shaOf('hello');
    assert.deepEqual(await blobs.put(sha, chunks('hel', 'lo')), { bytes: 5, created: true });
    assert.equal(readFileSync(blobs.path(sha), 'utf8'), 'hello');
    assert.ok(blobs.path(sha).endsWith(join(sha.slice(0, 2), sha.slice(2))));
    const { stream, bytes } = await blobs.open(sha);
    assert.equal(bytes, 5);
    assert.equal(Buffer.concat(await stream.toArray()).toString(), 'hello');
  });

  test('says once, in order, what is missing', async () => {
    const blobs = await openBlobStore(newFolder());
    await blobs.put(shaOf('a'), chunks('a'));
    assert.deepEqual(await blobs.missing([shaOf('c'), shaOf('a'), shaOf('b'), shaOf('c')]), [shaOf('c'), shaOf('b')]);
  });

  for (const [what, put, status] of [
    ['content that is not what its name says', (sha: string) => [sha, chunks('other')] as const, 422],
    ['content beyond the limit', (sha: string) => [sha, chunks('hello')] as const, 413],
  ] as const) {
    test(`keeps nothing of ${what}`, async () => {
      const folder = newFolder();
      const blobs = await openBlobStore(folder);
      const sha = shaOf('hello');
      const maxBytes = status === 413 ? 4 : 100;
      await assert.rejects(
        blobs.put(...put(sha), { maxBytes }),
        (error) => error instanceof Problem && error.status === status,
      );
      assert.equal(await blobs.has(sha), false);
      assert.deepEqual(readdirSync(join(folder, 'uploads')), []);
    });
  }

  test('keeps nothing of an upload that breaks', async () => {
    const folder = newFolder();
    const blobs = await openBlobStore(folder);
    await assert.rejects(blobs.put(shaOf('hello'), broken()), /client left/);
    assert.equal(await blobs.has(shaOf('hello')), false);
    assert.deepEqual(readdirSync(join(folder, 'uploads')), []);
  });

  test('lets many write the same blob at once', async () => {
    const folder = newFolder();
    const blobs = await openBlobStore(folder);
    const sha = shaOf('hello');
    await Promise.all(Array.from({ length: 20 }, () => blobs.put(sha, chunks('h', 'ello'))));
    assert.equal(readFileSync(blobs.path(sha), 'utf8'), 'hello');
    assert.deepEqual(readdirSync(join(folder, 'uploads')), []);
  });

  test('refuses a name that is no SHA-256, so no path leads out of the store', async () => {
    const blobs = await openBlobStore(newFolder());
    for (const name of ['', '../../etc/passwd', 'A'.repeat(64), 'a'.repeat(63)]) {
      assert.throws(() => blobs.path(name), /not 64 lower-case hexadecimal digits/);
    }
  });

  test('clears what killed writers left more than a day ago', async () => {
    const folder = newFolder();
    await openBlobStore(folder);
    const [old, fresh] = ['old', 'fresh'].map((name) => join(folder, 'uploads', name));
    writeFileSync(old!, 'half');
    writeFileSync(fresh!, 'half');
    utimesSync(old!, 0, 0);
    await openBlobStore(folder);
    assert.deepEqual(readdirSync(join(folder, 'uploads')), ['fresh']);
  });
});
