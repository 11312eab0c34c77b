/** The web console in a real browser: what an operator sees and does, and what a hostile request cannot do there. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Browser, findBrowser, type Page } from '../actors/browser.ts';
import { closedPort } from '../actors/origin.ts';
import { projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const found = findBrowser();
const skip = 'missing' in found ? found.missing : false;

const routes = (version: string) => `
  .match('/down/:path*', ({ proxy }) => proxy('closed'))
  .get('/page', ({ cache, compute }) => {
    cache({ edge: { maxAgeSeconds: 600 } });
    compute((request, response) => { response.body = '${version} ' + Math.random(); });
  })`;

describe('the console', { skip }, () => {
  let platform: Platform;
  let browser: Browser;
  let site: Site;
  let page: Page;
  before(async () => {
    [platform, browser] = await Promise.all([startPlatform(), Browser.open('path' in found ? found.path : '')]);
    const closed = { domainOrIp: '127.0.0.1', port: await closedPort(), scheme: 'http' };
    await platform.deploy('shop', projectFiles({ closed }, routes('one')));
    site = await platform.deploy('shop', projectFiles({ closed }, routes('two')));
    page = await browser.page();
  });
  after(async () => {
    await browser?.close();
    await platform?.[Symbol.asyncDispose]();
  });

  const text = () => page.evaluate<string>('document.querySelector("main").innerText');
  const shows = (wanted: RegExp) => until(String(wanted), async () => wanted.test(await text()));
  const go = (hash: string) => page.evaluate(`location.hash = ${JSON.stringify(hash)}; 0`);
  const click = (label: string) =>
    page.evaluate(`[...document.querySelectorAll('button')].find((it) => it.textContent === '${label}').click()`);

  test('asks for the token, refuses a wrong one in words, and keeps the right one out of the address', async () => {
    await page.goto(`${platform.control.url}/`);
    await shows(/bearer token/);
    await page.evaluate(`document.querySelector('input').value = 'wrong'; document.querySelector('button').click()`);
    await shows(/not the token of this control plane/);
    await page.evaluate(`location.hash = '#token=${platform.control.token}'; 0`);
    await shows(/Newest failures/);
    assert.equal(await page.evaluate('location.hash'), '#/requests');
    // The refused call is told by the browser itself.
    page.complaints.length = 0;
  });

  test('tells why a request failed, with the waterfall beside it', async () => {
    const failed = await site.ask('/down/a');
    assert.equal(failed.status, 531);
    await until('the story', async () => {
      await go('#/codes');
      await go(`#/requests/${failed.get('x-sv-request-id')}`);
      return /531 Project Upstream Connection Error/.test(await text());
    });
    const told = await text();
    assert.match(told, /upstream\.connect\.refused/);
    assert.match(told, /next move\s+.*operators/s);
    assert.match(told, /routes\.js:\d+/);
    assert.match(told, /curl /);
    assert.ok((await page.evaluate<number>('document.querySelectorAll(".waterfall .row").length')) >= 3);
    assert.equal(await page.evaluate('document.querySelectorAll(".waterfall .failed").length > 0'), true);
    await go('#/requests');
    await shows(/upstream\.connect\.refused/);
  });

  test('shows hostile requests as text', async () => {
    const evil = '/down/<img src=x onerror=document.title=1>';
    const failed = await platform.request({ host: site.host, path: evil.replaceAll(' ', '%20') });
    await until('the story', async () => {
      await go('#/codes');
      await go(`#/requests/${failed.get('x-sv-request-id')}`);
      return /onerror/.test(await text());
    });
    assert.equal(await page.evaluate('document.querySelectorAll("main img").length'), 0);
    assert.equal(await page.evaluate('document.title'), 'Selvedge console');
  });

  test('explains codes', async () => {
    await go('#/codes/533');
    await shows(/upstream\.tls\.certificate/);
    assert.match(await text(), /tls_certificate_error/);
    await go('#/codes');
    await shows(/549/);
  });

  test('purges, and goes back to an earlier deployment', async () => {
    const one = (await site.ask('/page')).text;
    assert.equal((await site.ask('/page')).text, one);
    await go('#/environments');
    await shows(/shop-default/);
    await go('#/environments/shop/default');
    await shows(/Deployments/);
    await page.evaluate(`document.querySelector('input[name=value]').value = '/page'; 0`);
    await click('Purge');
    await shows(/Purged: (\d+) of \1 POP processes have confirmed/);
    assert.notEqual((await site.ask('/page')).text, one);
    await click('activate');
    await shows(/Deployment 1 is active/);
    assert.match((await site.ask('/page')).text, /^one /);
  });

  test('has a button for every failure, which happens for real and is told', async () => {
    await go('#/lab');
    await shows(/Choose a failure/);
    const buttons = await page.evaluate<number>('document.querySelectorAll(".lab .group button").length');
    assert.ok(buttons > 60, `${buttons} buttons`);
    const ofCode = `[...document.querySelectorAll('.group')].find((it) => it.innerText.startsWith('531'))`;
    await page.evaluate(`[...${ofCode}.querySelectorAll('button')].find((it) => it.textContent === 'refused').click()`);
    await until('the verdict', async () => /Expected 531 from global; got 531\./.test(await text()));
    const told = await text();
    assert.match(told, /✓ 531 refused/);
    assert.match(told, /upstream\.connect\.refused/);
    assert.ok((await page.evaluate<number>('document.querySelectorAll(".waterfall .row").length')) >= 3);
  });

  test('nothing of it is refused or fails in the browser, and nothing comes from elsewhere', () => {
    // A story that is not written yet is asked for again.
    const others = page.complaints.filter((complaint) => !complaint.includes('/v1/requests/'));
    assert.deepEqual(others, []);
    assert.deepEqual(
      page.requests.filter((url) => !url.startsWith(platform.control.url) && !url.startsWith('data:')),
      [],
    );
  });

  test('the API itself stays closed to who has no token', async () => {
    assert.equal((await fetch(`${platform.control.url}/v1/projects`)).status, 401);
    assert.equal((await fetch(`${platform.control.url}/nothing`)).status, 401);
    const shell = await fetch(`${platform.control.url}/`);
    assert.match(shell.headers.get('content-security-policy')!, /default-src 'none'/);
    assert.doesNotMatch(await shell.text(), new RegExp(platform.control.token));
  });
});
