import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { nodeOptionsForBuilds } from './old-frameworks.ts';

test('the build of an old framework, and what it starts, finds SlowBuffer and MD4', () => {
  const script = `
    const old = typeof require('buffer').SlowBuffer.prototype.equals;
    console.log(old, require('crypto').createHash('md4').update('').digest('hex'), process.noDeprecation === true)`;
  const starter = `console.log(require('child_process').execFileSync(process.execPath, ['-e', ${JSON.stringify(script)}], { encoding: 'utf8' }))`;
  const env = { ...process.env, NODE_OPTIONS: nodeOptionsForBuilds('--no-deprecation') };
  const said = execFileSync(process.execPath, ['-e', starter], { env, encoding: 'utf8' });
  assert.equal(said.trim(), 'function 31d6cfe0d16ae931b73c59d7e0c089c0 true');
});

test('copying works although an old package has replaced statSync', () => {
  const script = `
    const fs = require('fs'), os = require('os'), path = require('path');
    for (const name of ['statSync', 'lstatSync']) {
      const before = fs[name];
      fs[name] = (file, options) => { const stats = before.call(fs, file, options); stats.uid += 0; return stats; };
    }
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'copy-'));
    fs.mkdirSync(path.join(dir, 'from'));
    fs.cpSync(path.join(dir, 'from'), path.join(dir, 'to'), { recursive: true });
    console.log(fs.readdirSync(dir).join(), fs.statSync(dir).isDirectory());
    fs.rmSync(dir, { recursive: true });`;
  const env = { ...process.env, NODE_OPTIONS: nodeOptionsForBuilds('') };
  const said = execFileSync(process.execPath, ['-e', script], { env, encoding: 'utf8' });
  assert.equal(said.trim(), 'from,to true');
});
