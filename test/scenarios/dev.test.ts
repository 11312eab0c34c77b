/** `selvedge dev` as somebody at work on a project uses it: save, reload, make a mistake, mend it, stop. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { finished, startCli } from '../actors/cli.ts';
import { until } from '../actors/until.ts';

const home = mkdtempSync(join(tmpdir(), 'sv-dev-'));
after(() => rmSync(home, { recursive: true, force: true }));

const routes = (text: string) => `import { Router } from 'selvedge/router';
export default new Router().get('/', ({ cache, compute }) => {
  cache({ edge: { maxAgeSeconds: 600 } });
  compute((request, response) => { console.log('asked'); response.body = ${JSON.stringify(text)} + process.pid; });
});`;

test('a saved file is served, a mistake is told while the old code serves on, and Ctrl-C leaves nothing', async () => {
  const dir = join(home, 'my-site');
  mkdirSync(dir);
  const save = (name: string, text: string): void => writeFileSync(join(dir, name), text);
  save('routes.js', routes('one '));
  const child = startCli(['dev', dir, '--http-port', '0', '--json']);
  const ended = finished(child);
  let told = '';
  child.stderr!.on('data', (text: string) => {
    told += text;
  });
  const ready = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout! }).once('line', resolve);
    child.once('exit', () => reject(new Error(told)));
  });
  const { url } = JSON.parse(ready) as { url: string };
  const page = async (): Promise<string> => (await fetch(url)).text();

  const answer = await fetch(url);
  assert.match(await answer.text(), /^one \d+$/);
  assert.equal(answer.headers.get('x-sv-caching-status'), 'disabled');
  await until('what the project prints', () => /info .*asked/.test(told));

  save('routes.js', routes('two '));
  await until('the change', async () => (await page()).startsWith('two '));
  assert.match(told, /changed: routes\.js/);

  save('routes.js', 'this is no JavaScript');
  await until('the mistake', () => /routes\.js:1:/.test(told));
  assert.match(await page(), /^two /);

  save('routes.js', routes('three '));
  await until('the mended file', async () => (await page()).startsWith('three '));

  child.kill('SIGINT');
  const { code, stderr } = await ended;
  assert.equal(code, 0, stderr);
  assert.doesNotMatch(stderr, /^\s+at /m);
  await assert.rejects(fetch(url));
});
