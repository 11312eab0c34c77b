import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, test } from 'node:test';
import { newFolder } from '../../test/actors/folder.ts';
import { controlStoreContract } from '../../test/conformance/control-store.ts';
import { isDiskFull } from './problem.ts';
import { Database } from './sqlite.ts';
import { SqliteStore } from './sqlite-store.ts';

const newPath = (): string => join(newFolder('store'), 'control.db');
const openAt = (path: string): SqliteStore => new SqliteStore({ path, domain: 'localhost' });
const paths = new WeakMap<object, string>();

controlStoreContract('SQLite', {
  async open() {
    const path = newPath();
    const store = openAt(path);
    paths.set(store, path);
    return store;
  },
  async reopen(store) {
    await store.close();
    return openAt(paths.get(store)!);
  },
});

describe('the SQLite file', () => {
  test('a second control plane on the same file is told so', async () => {
    const path = newPath();
    const first = openAt(path);
    await first.touch();
    assert.throws(() => openAt(path), /in use by another control plane/);
    await first.close();
    await openAt(path).close();
  });

  test('a disk that is full is told as such, and what was there is still there', () => {
    const database = new Database(newPath(), ['CREATE TABLE notes (text TEXT) STRICT;']);
    const add = (text: string) => database.transaction(() => database.run('INSERT INTO notes VALUES (?)', text));
    add('short');
    // A database that may not grow fails as on a full disk.
    database.get('PRAGMA max_page_count = 1');
    assert.throws(() => add('long'.repeat(10_000)), isDiskFull);
    database.get('PRAGMA max_page_count = 1000000');
    add('later');
    assert.deepEqual(database.all('SELECT text FROM notes'), [{ text: 'short' }, { text: 'later' }]);
    database.close();
  });

  test('a file of a newer version is left alone', () => {
    const path = newPath();
    const newer = new DatabaseSync(path);
    newer.exec('PRAGMA user_version = 99');
    newer.close();
    assert.throws(() => openAt(path), /has schema 99/);
  });

  test('a file that is no database is named', () => {
    const path = newPath();
    writeFileSync(path, 'no database '.repeat(500));
    assert.throws(() => openAt(path), /control\.db is damaged/);
  });
});
