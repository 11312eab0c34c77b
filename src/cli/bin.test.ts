import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { newFolder } from '../../test/actors/folder.ts';

const BIN = fileURLToPath(new URL('./bin.mjs', import.meta.url));

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

function run(bin: string, args: readonly string[], preload?: string): Promise<Result> {
  const flags = preload === undefined ? [] : ['--import', preload];
  return new Promise((resolve) => {
    execFile(process.execPath, [...flags, bin, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

/** An installed package without its optional dependencies: nothing but the entry and a build that says hello. */
function installed(): { readonly bin: string; readonly root: string } {
  const root = join(newFolder('bin'), 'node_modules', 'selvedge');
  mkdirSync(join(root, 'src', 'cli'), { recursive: true });
  mkdirSync(join(root, 'dist'));
  cpSync(BIN, join(root, 'src', 'cli', 'bin.mjs'));
  writeFileSync(join(root, 'package.json'), '{"type":"module"}');
  writeFileSync(join(root, 'dist', 'main.js'), 'console.log("built", process.argv.slice(2).join(" "))');
  return { root, bin: join(root, 'src', 'cli', 'bin.mjs') };
}

describe('the entry of the package', () => {
  test('runs the sources in a checkout', async () => {
    const { code, stdout } = await run(BIN, ['codes', '534']);
    assert.equal(code, 0);
    assert.match(stdout, /^534 /);
    assert.equal((await run(BIN, ['nonsense'])).code, 2);
  });

  test('runs the build where it is installed', async () => {
    const { stdout } = await run(installed().bin, ['a', 'b']);
    assert.equal(stdout, 'built a b\n');
  });

  test('says in words that Node is too old when there is no other', async () => {
    const { bin, root } = installed();
    const old = join(root, 'old.mjs');
    writeFileSync(old, "Object.defineProperty(process.versions, 'node', { value: '18.20.0' });");
    const { code, stderr } = await run(bin, [], old);
    assert.equal(code, 2);
    assert.match(stderr, /^selvedge: this is Node\.js 18\.20\.0; version 24 or newer is needed/);
    assert.doesNotMatch(stderr, /\n\s+at /);
  });

  test('hands over to the runtime of the package when Node is old', async () => {
    const { root } = installed();
    const old = join(root, 'old.mjs');
    // Only the first process is old: what it starts is what the package brings along.
    writeFileSync(
      old,
      "if (!process.env.SELVEDGE_HANDED_OVER) Object.defineProperty(process.versions, 'node', { value: '20.9.0' });",
    );
    const { code, stdout, stderr } = await run(BIN, ['codes', '534'], old);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /^534 /);
  });
});
