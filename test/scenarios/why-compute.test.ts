/** What `selvedge why` tells of requests that ran project code. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cliHere } from '../actors/cli.ts';
import { closedPort } from '../actors/origin.ts';
import { projectFiles } from '../actors/path-origin.ts';
import { type Platform, type Site, startPlatform } from '../actors/platform.ts';

const SECRET = 'correct-horse-battery';

describe('the story of a request that ran project code', () => {
  let platform: Platform;
  let site: Site;
  before(async () => {
    const limits = { compute: { responseMs: 1_500, reservedMs: 300 } };
    platform = await startPlatform({ config: { limits } });
    const refused = { domainOrIp: '127.0.0.1', port: await closedPort(), scheme: 'http' };
    const routes = `
      .match('/works', ({ compute }) => compute((request, response) => { console.log('at work'); response.body = 'done'; }))
      .match('/throws', ({ compute }) => compute(() => { throw new Error('no cloth with ' + process.env.PASSPHRASE); }))
      .match('/hangs', ({ compute }) => compute(() => { console.log('hanging'); return new Promise(() => {}); }))
      .match('/exits', ({ compute }) => compute(() => process.exit(3)))
      .match('/inner', ({ compute }) => compute(async (request, response) => { response.body = 'x'; await 0; throw new Error('after ' + request.headers.authorization); }))
      .match('/proxies', ({ proxy }) => proxy('refused', { transformRequest: (request) => { request.headers['x-t'] = '1'; } }))`;
    site = await platform.deploy('why', projectFiles({ refused }, routes));
    const set = ['env', 'set', `PASSPHRASE=${SECRET}`, '--secret', '--project', 'why', '--data', platform.data];
    assert.equal((await cliHere(set)).code, 0);
  });
  after(() => platform.stop());

  const told = async (path: string, status: number, headers = {}) => {
    const answer = await site.ask(path, { headers });
    assert.equal(answer.status, status);
    return platform.why(answer.get('x-sv-request-id')!, ({ inner }) => inner.length === 1);
  };

  test('a success: worker, queue, run, and what the code logged', async () => {
    const { inner, waterfall } = await told('/works', 200);
    const { run } = inner[0]!;
    assert.equal(run!.status, 200);
    assert.match(run!.target, /^route /);
    for (const name of ['pq', 'pf', 'wt', 'wm', 'wc']) assert.equal(typeof run!.metrics[name], 'number', name);
    assert.ok(run!.worker);
    assert.equal(waterfall.bars.at(-1)!.label, `worker ${run!.target}`);
    const logged = await platform.why(inner[0]!.requestId, ({ log }) => log.length > 0);
    assert.equal(logged.log[0]!.message, 'at work');
    const text = await cliHere(['why', inner[0]!.requestId, '--data', platform.data]);
    assert.match(text.stdout, /^200: answered by project code\./);
    assert.match(text.stdout, /worker .*request 1 of this worker/s);
    assert.match(text.stdout, /log .* at work/);
  });

  test('534: the exception with its place in the sources, without the secret that it was made with', async () => {
    const view = await told('/throws', 534);
    assert.equal(view.explanation!.cause, 'compute.uncaught');
    const { evidence } = view.inner[0]!.fault!;
    assert.match(String(evidence!.stack), /routes\.js:\d+/);
    const all = JSON.stringify(view);
    assert.doesNotMatch(all, new RegExp(SECRET));
    assert.match(all, /no cloth with \[secret PASSPHRASE\]/);
    const text = await cliHere(['why', view.story.requestId, '--data', platform.data]);
    assert.match(text.stdout, /stack\s+Error: no cloth/);
  });

  test('539: how long it ran, the limit, and the last that the code said', async () => {
    const view = await told('/hangs', 539);
    assert.equal(view.explanation!.cause, 'compute.timeout');
    assert.equal(view.explanation!.limit, 'compute.responseMs');
    assert.ok(view.inner[0]!.run!.durationMs > 1_000);
    const text = await cliHere(['why', view.story.requestId, '--data', platform.data]);
    assert.match(text.stdout, /limits\.compute\.responseMs = 1500/);
    assert.match(text.stdout, /hanging/);
  });

  test('a process that ended: the exit code is evidence', async () => {
    const view = await told('/exits', 534);
    assert.equal(view.inner[0]!.fault!.evidence!.code, 3);
    assert.match(view.inner[0]!.fault!.details!, /exit code=3/);
  });

  test('an upstream that code asked through the platform is an attempt of the story', async () => {
    const view = await told('/proxies', 531);
    const [call] = view.inner[0]!.calls!;
    assert.deepEqual([call!.by, call!.backend], ['compute', 'refused']);
    assert.equal(call!.attempts[0]!.fault!.cause, 'upstream.connect.refused');
    assert.match(view.commands.upstream!, /-H 'x-t: 1'/);
  });

  test('credentials of the client are in no story, whatever the code says of them', async () => {
    const view = await told('/inner', 534, {
      authorization: 'Bearer open-sesame-123',
      cookie: 'sid=abc123; theme=dark',
    });
    const all = JSON.stringify(view);
    assert.doesNotMatch(all, /open-sesame-123|abc123|=dark/);
    assert.match(all, /cookie: sid=\[redacted 6\]; theme=\[redacted 4\]/);
  });
});
