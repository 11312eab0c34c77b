/** What only a browser can tell: that an error page renders as it should, and that the example's service worker works. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startOrigin } from '../../examples/storefront/origin/server.ts';
import { CACHE_NAME } from '../../src/prefetch/names.ts';
import { Browser, findBrowser, type Page, type PageOptions } from '../actors/browser.ts';
import { cliHere } from '../actors/cli.ts';
import { closedPort } from '../actors/origin.ts';
import { projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const found = findBrowser();
const skip = 'missing' in found ? found.missing : false;
const path = 'path' in found ? found.path : '';

describe('an error page in a browser', { skip }, () => {
  let platform: Platform;
  let browser: Browser;
  let site: Site;
  before(async () => {
    [platform, browser] = await Promise.all([startPlatform(), Browser.open(path)]);
    const closed = { domainOrIp: '127.0.0.1', port: await closedPort(), scheme: 'http' };
    site = await platform.deploy(
      'page',
      projectFiles({ closed }, `.match('/refused', ({ proxy }) => proxy('closed'))`),
    );
  });
  after(async () => {
    await browser?.close();
    await platform?.stop();
  });

  async function opened(where: string, options: PageOptions = {}): Promise<Page> {
    const page = await browser.page(options);
    await page.goto(`http://${site.host}:${platform.port}${where}`);
    return page;
  }
  /** The browser itself notes that a page came with an error status; the page is not to blame for it. */
  const ownComplaints = ({ complaints }: Page) => complaints.filter((it) => !/responded with a status of \d/.test(it));

  for (const [where, code, headline] of [
    ['/refused', 531, 'The server behind this site cannot be reached.'],
    ['/nowhere', 404, 'There is nothing at this address.'],
  ] as const) {
    test(`${code} renders without a complaint, loads nothing, and says it in the first heading`, async () => {
      const page = await opened(where);
      assert.equal(await page.evaluate(`document.querySelector('h1').textContent`), headline);
      assert.match(await page.evaluate('document.title'), new RegExp(`^${code} `));
      assert.deepEqual(ownComplaints(page), []);
      assert.deepEqual([...new Set(page.requests.map((url) => new URL(url).pathname))], [where]);
      const failed = `getComputedStyle(document.querySelector('.failed i')).backgroundColor`;
      const passed = `getComputedStyle(document.querySelector('.passed i')).backgroundColor`;
      assert.notEqual(await page.evaluate(failed), await page.evaluate(passed));
    });
  }

  test('is dark in the dark, and needs no scripts', async () => {
    const ground = `getComputedStyle(document.body).backgroundColor`;
    const light = await opened('/refused', { withoutScripts: true });
    const dark = await opened('/refused', { dark: true, withoutScripts: true });
    assert.ok(brightness(await light.evaluate(ground)) > 600);
    assert.ok(brightness(await dark.evaluate(ground)) < 150);
    assert.ok(brightness(await dark.evaluate(`getComputedStyle(document.querySelector('h1')).color`)) > 600);
  });

  test('fits narrow phones: nothing sticks out, and the way stands upright', async () => {
    const page = await opened('/refused', { width: 320, height: 640 });
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), 320);
    const tops = await page.evaluate<number[]>(
      `[...document.querySelectorAll('.way li')].map((item) => item.getBoundingClientRect().top)`,
    );
    assert.deepEqual(
      tops,
      [...tops].sort((a, b) => a - b),
    );
    assert.equal(new Set(tops).size, tops.length);
  });

  test('is read in order by a screen reader: landmarks, one first heading, a list of stations', async () => {
    const page = await opened('/refused');
    const { nodes } = (await page.send('Accessibility.getFullAXTree')) as {
      nodes: { role?: { value: string }; name?: { value: string }; ignored: boolean }[];
    };
    const roles = nodes.filter(({ ignored }) => !ignored).map(({ role }) => role?.value);
    for (const role of ['banner', 'main', 'contentinfo'])
      assert.equal(roles.filter((it) => it === role).length, 1, role);
    const way = nodes.find(({ role, name }) => role?.value === 'list' && name?.value === 'The way of your request');
    assert.ok(way);
  });

  test('gives the whole request id to one click', async () => {
    const page = await opened('/refused');
    const id = await page.evaluate<string>(`document.querySelector('.id').textContent`);
    const at = await page.evaluate<{ x: number; y: number }>(
      `(() => { const box = document.querySelector('.id').getBoundingClientRect(); return { x: box.x + 20, y: box.y + 8 }; })()`,
    );
    const click = { ...at, button: 'left', clickCount: 1 };
    await page.send('Input.dispatchMouseEvent', { type: 'mousePressed', ...click });
    await page.send('Input.dispatchMouseEvent', { type: 'mouseReleased', ...click });
    assert.equal(await page.evaluate('String(getSelection())'), id);
  });
});

const brightness = (color: string): number =>
  (color.match(/\d+/g) ?? []).slice(0, 3).reduce((sum, part) => sum + Number(part), 0);

describe("the example's service worker", { skip }, () => {
  const folder = fileURLToPath(new URL('../../examples/storefront', import.meta.url));
  let platform: Platform;
  let browser: Browser;
  let origin: Awaited<ReturnType<typeof startOrigin>>;
  let site: Site;
  before(async () => {
    [platform, browser, origin] = await Promise.all([startPlatform(), Browser.open(path), startOrigin({ port: 0 })]);
    const variable = `API_URL=http://127.0.0.1:${origin.port}`;
    const place = ['--project', 'storefront', '--environment', 'default', '--data', platform.data];
    assert.equal((await cliHere(['env', 'set', variable, ...place])).code, 0);
    // The project's configuration is a program of its own, which has the environment of this process.
    process.env.STOREFRONT_ORIGIN_PORT = String(origin.port);
    site = await platform.deploy('storefront', filesOf(folder));
  });
  after(async () => {
    await browser?.close();
    await platform?.stop();
    await origin?.close();
  });

  test('registers, prefetches links that come into view and are cached, and answers from what it has', async () => {
    const { products } = (await site.ask('/api/products')).json() as { products: { id: string }[] };
    // Only what the edge has is prefetched, and it has each host, port included, and each coding for itself.
    const headers = { accept: 'text/html', 'accept-encoding': 'gzip, deflate, br, zstd' };
    const known = `/cloth/${products[0]!.id}`;
    const host = `${site.host}:${platform.port}`;
    assert.equal((await platform.request({ host, path: known, headers })).status, 200);
    const page = await browser.page();
    const home = `http://${site.host}:${platform.port}`;
    await page.goto(`${home}/`);
    const state = await page.evaluate<string>('navigator.serviceWorker.ready.then(({ active }) => active.scriptURL)');
    assert.equal(state, `${home}/service-worker.js`);
    const kept = `caches.open(${JSON.stringify(CACHE_NAME)}).then((it) => it.keys()).then((it) => it.map(({ url }) => url))`;
    await until('the link to be prefetched', async () => {
      const urls = await page.evaluate<string[]>(kept);
      return urls.some((url) => new URL(url).pathname === known);
    });
    const asked = await requests(platform);
    await page.goto(home + known);
    assert.match(await page.evaluate('document.title'), /\w/);
    assert.equal(await page.evaluate('navigator.serviceWorker.controller !== null'), true);
    const after = (await requests(platform)).filter((url) => !asked.includes(url));
    assert.deepEqual(
      after.filter((url) => url === known),
      [],
      'the page came from the worker, not from the edge',
    );
  });
});

/** Paths that the edge was asked for without being a prefetch. */
async function requests(platform: Platform): Promise<string[]> {
  const response = await fetch(`${platform.control.url}/v1/logs?kind=access`, {
    headers: { authorization: `Bearer ${platform.control.token}` },
  });
  const lines = (await response.text()).split('\n').filter(Boolean);
  return lines
    .map((line) => JSON.parse(line) as { url: string; pre?: number })
    .flatMap(({ url, pre }) => (pre ? [] : url));
}

function filesOf(folder: string): Record<string, string> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const names = entries.map((entry) => join(entry.parentPath, entry.name)).filter((it) => !it.includes('.selvedge/'));
  return Object.fromEntries(names.map((name) => [relative(folder, name), readFileSync(name, 'utf8')]));
}
