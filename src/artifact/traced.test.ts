import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { projectDir } from '../../test/actors/project-dir.ts';
import { traceServer } from './traced.ts';

const SERVER = `
const { join } = require('node:path');
const express = require('express');
const app = express();
app.set('view engine', 'quill');
app.set('views', join(__dirname, 'templates'));
app.use(express.static(join(__dirname, '..', 'files')));
require('node:fs').readFileSync(join(process.cwd(), 'prices.csv'));
module.exports = app;
`;

const module = (name: string, dependencies = {}) => ({
  [`node_modules/${name}/package.json`]: JSON.stringify({ name, main: 'index.js', dependencies }),
  [`node_modules/${name}/index.js`]: 'module.exports = () => ({ set() {}, use() {} })',
});

describe('what a server reads at run time', () => {
  test('is found in its code: views, public files, the view engine with what it needs', async (t) => {
    const dir = projectDir(t, {
      'src/server.js': SERVER,
      'src/templates/home.quill': 'home',
      'files/robots.txt': 'all',
      'files/.env': 'SECRET=1',
      'prices.csv': '1,2',
      'notes.txt': 'read by nobody',
      ...module('express'),
      ...module('quill', { ink: '1' }),
      ...module('ink'),
      ...module('paper'),
    });
    const inputs = ['src/server.js', 'node_modules/express/index.js'];
    const found = await traceServer({ projectDir: dir, entry: join(dir, 'src/server.js'), inputs });
    assert.deepEqual([...found.keys()].sort(), [
      'files/robots.txt',
      'node_modules/ink/index.js',
      'node_modules/ink/package.json',
      'node_modules/quill/index.js',
      'node_modules/quill/package.json',
      'prices.csv',
      'src/templates/home.quill',
    ]);
  });

  test('need not exist, and code that cannot be read is not its business', async (t) => {
    const dir = projectDir(t, {
      'app.js': "require('./gone'); require('not-installed'); require('fs').readFileSync(__dirname + '/none.txt'); ((",
    });
    const found = await traceServer({ projectDir: dir, entry: join(dir, 'app.js'), inputs: ['app.js'] });
    assert.equal(found.size, 0);
  });
});
