/** What is purged is not served again, by any process of the platform, once the command has returned. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PurgeView } from '../../src/control/contract.ts';
import { type CliResult, cliHere } from '../actors/cli.ts';
import { type PathOrigin, pathOrigin, projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const ROUTES = `
  .match('/:path*', ({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 3600 } }); proxy('o'); })`;

describe('a purge', () => {
  let platform: Platform;
  let origin: PathOrigin;
  let site: Site;
  before(async () => {
    [platform, origin] = await Promise.all([startPlatform({ args: ['--workers', '2'] }), pathOrigin()]);
    site = await platform.deploy('purged', projectFiles({ o: origin.backend }, ROUTES));
  });
  after(async () => {
    await platform?.stop();
    await origin?.close();
  });

  /** A page with a validator; each fetch of its content is another edition. */
  function page(path: string, surrogateKeys = ''): string {
    let edition = 0;
    let notModified = 0;
    return origin.on(path, (request, response) => {
      response.setHeader('etag', `"${path}"`).setHeader('x-not-modified', ++notModified);
      if (surrogateKeys !== '') response.setHeader('x-sv-surrogate-key', surrogateKeys);
      if (request.headers['if-none-match'] === `"${path}"`) response.writeHead(304).end();
      else response.end(`edition ${++edition}`);
    });
  }
  /** Until every process has it: the kernel spreads connections over them. */
  async function visitOften(path: string): Promise<string[]> {
    const answers = await Promise.all(Array.from({ length: 12 }, () => site.ask(path)));
    return [...new Set(answers.map(({ text }) => text))];
  }
  const purge = (...args: readonly string[]): Promise<CliResult> =>
    cliHere(['purge', '--project', 'purged', '--data', platform.data, ...args]);
  async function purgeAndWait(...args: readonly string[]): Promise<PurgeView> {
    const { code, stdout, stderr } = await purge('--wait', '--json', ...args);
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as PurgeView;
  }

  test('is ordered by deploy scripts of the earlier systems as they always did', async () => {
    const path = page('/old/a');
    const other = page('/old/b', 'old-key');
    const clear = (body: Readonly<Record<string, unknown>>, key = platform.control.token) =>
      fetch(`${platform.control.url}/api/v1/clear-cache`, {
        method: 'POST',
        headers: { 'x-api-key': key, 'content-type': 'application/json' },
        body: JSON.stringify({ team: 'us', site: 'purged', environment: 'default', ...body }),
      });
    await Promise.all([visitOften(path), visitOften(other)]);
    assert.equal((await clear({ paths: [path] })).status, 200);
    await until('the purge of a path', async () => (await visitOften(path)).join() === 'edition 2');
    assert.deepEqual(await visitOften(other), ['edition 1']);
    assert.equal((await clear({ surrogateKeys: ['old-key'] })).status, 200);
    await until('the purge of a key', async () => (await visitOften(other)).join() === 'edition 2');
    assert.equal((await clear({})).status, 200);
    await until('the purge of all', async () => (await visitOften(path)).join() === 'edition 3');
    assert.equal((await clear({}, 'wrong')).status, 401);
    for (const [body, told] of [
      [{ site: undefined }, /site.*must name the project/],
      [{ paths: [path], surrogateKeys: ['k'] }, /one kind for each call/],
      [{ cacheHashes: ['0'] }, /name their paths or surrogateKeys/],
      [{ pahts: [path] }, /is unknown, use paths/],
    ] as const) {
      const refused = await clear(body);
      assert.equal(refused.status, 422);
      assert.match(await refused.text(), told);
    }
  });

  test('of a path is in force at every process when --wait returns, and tells so', async () => {
    const path = page('/one/a');
    const other = page('/one/b');
    assert.deepEqual(await visitOften(path), ['edition 1']);
    await visitOften(other);
    const { done, pops } = await purgeAndWait('--path', path);
    assert.equal(done, true);
    assert.deepEqual(pops.map(({ pop, state }) => `${pop} ${state}`).sort(), [
      'local-edge-1 done',
      'local-edge-2 done',
      'local-global done',
    ]);
    assert.deepEqual(await visitOften(path), ['edition 2']);
    assert.deepEqual(await visitOften(other), ['edition 1']);
  });

  test('of a wildcard takes what is below, with every query', async () => {
    const [a, b, c] = ['/wild/a', '/wild/b/c', '/tame'].map((path) => page(path));
    for (const path of [a!, `${b}?q=1`, c!]) await visitOften(path);
    await purgeAndWait('--path', '/wild/*');
    assert.deepEqual(await visitOften(a!), ['edition 2']);
    assert.deepEqual(await visitOften(`${b}?q=1`), ['edition 2']);
    assert.deepEqual(await visitOften(c!), ['edition 1']);
  });

  test('of a surrogate key takes what has it, whatever its address', async () => {
    const [red, both, blue] = [page('/k/1', 'red'), page('/k/2', 'blue red'), page('/k/3', 'blue')];
    for (const path of [red, both, blue]) await visitOften(path);
    await purgeAndWait('--key', 'red', '--key', 'unheard-of');
    assert.deepEqual(await visitOften(red), ['edition 2']);
    assert.deepEqual(await visitOften(both), ['edition 2']);
    assert.deepEqual(await visitOften(blue), ['edition 1']);
  });

  test('of everything takes everything, and softly only asks whether it has changed', async () => {
    const path = page('/all');
    await visitOften(path);
    await purgeAndWait('--all');
    assert.deepEqual(await visitOften(path), ['edition 2']);
    const asked = origin.count(path);
    await purgeAndWait('--all', '--soft');
    assert.deepEqual(await visitOften(path), ['edition 2']);
    assert.equal(origin.count(path), asked + 1);
  });

  test('holds for what was on its way when it was ordered', async () => {
    const path = '/slow';
    const begun = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    origin.on(path, (_request, response) => {
      begun.resolve();
      void go.promise.then(() => response.end('before the purge'));
    });
    const early = site.ask(path);
    await begun.promise;
    await purgeAndWait('--path', path);
    origin.on(path, (_request, response) => response.end('after the purge'));
    assert.deepEqual(await visitOften(path), ['after the purge']);
    go.resolve();
    assert.equal((await early).text, 'before the purge');
    assert.deepEqual(await visitOften(path), ['after the purge']);
  });

  test('without --wait is ordered, and its progress can be asked for', async () => {
    const { code, stdout } = await purge('--path', '/whatever', '--json');
    assert.equal(code, 0);
    const { id } = JSON.parse(stdout) as PurgeView;
    const headers = { authorization: `Bearer ${platform.control.token}` };
    const at = `${platform.control.url}/v1/projects/purged/environments/default/purges`;
    const view = (await (await fetch(`${at}/${id}`, { headers })).json()) as PurgeView;
    assert.equal(view.id, id);
    assert.equal((await fetch(`${at}/${id + 1_000_000}`, { headers })).status, 404);
  });

  test('that says nothing, too much or nonsense is told so', async () => {
    const rows: [args: string[], code: number, words: RegExp][] = [
      [[], 2, /--path, --key or --all/],
      [['--all', '--path', '/a'], 2, /leave out --path and --key/],
      [['--path', 'no slash'], 2, /--path 'no slash' must be a path/],
      [['--key', 'two words'], 2, /--key 'two words' must be one surrogate key/],
      [['--all', '--environment', 'none'], 1, /no environment 'none'/],
    ];
    for (const [args, code, words] of rows) {
      const result = await purge(...args);
      assert.equal(result.code, code, args.join(' '));
      assert.match(result.stderr, words);
    }
    const answer = await fetch(`${platform.control.url}/v1/projects/purged/environments/default/purges`, {
      method: 'POST',
      headers: { authorization: `Bearer ${platform.control.token}` },
      body: JSON.stringify({ paths: ['x y'], keys: 'red', softly: true }),
    });
    assert.equal(answer.status, 422);
    const { errors } = (await answer.json()) as { errors: { field: string }[] };
    assert.deepEqual(
      errors.map(({ field }) => field),
      ['softly', 'paths.0', 'keys'],
    );
  });
});
