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
