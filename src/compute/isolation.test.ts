/** What project code finds when it looks around, on machines whose users may make namespaces. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bodyText, type ComputeStage, callOf, computeStage, routesModule } from '../../test/actors/project-bundle.ts';
import { canConfine } from './confine.ts';
import type { Runnable } from './types.ts';

const probe = await mkdtemp(join(tmpdir(), 'sv-probe-'));
const able = await canConfine(probe);
await rm(probe, { recursive: true });

/** Says what became of an attempt: its result, or the error's code. */
const LOOKING = `tries: async ({ params }) => {
  const fs = process.getBuiltinModule('node:fs'); const os = process.getBuiltinModule('node:os');
  const child = process.getBuiltinModule('node:child_process'); const path = process.getBuiltinModule('node:path');
  try { return text(String(await eval(params.code))) } catch (error) { return text(error.code ?? String(error)) } }`;

describe('a confined worker', { skip: able ? false : 'this system does not let its users make namespaces' }, () => {
  let stage: ComputeStage;
  let runnable: Runnable;
  let secrets: string;
  before(async () => {
    secrets = await mkdtemp(join(tmpdir(), 'sv-secrets-'));
    await writeFile(join(secrets, 'token'), 'the secret of the platform');
    stage = await computeStage({ hidden: [secrets], limits: { tmpMiB: 4 } });
    runnable = await stage.project({ 'routes.mjs': routesModule(LOOKING) });
  });
  after(async () => {
    await stage?.[Symbol.asyncDispose]();
    await rm(secrets, { recursive: true, force: true });
  });

  const tries = async (code: string) =>
    bodyText((await stage.compute.run(callOf(runnable, { route: 'tries', params: { code } }))).response);

  const ATTEMPTS: readonly (readonly [story: string, code: string, result: string | RegExp])[] = [
    ['writes into its bundle', `fs.writeFileSync('new', 'x')`, 'EROFS'],
    ['makes a file of its bundle writable', `fs.chmodSync('routes.mjs', 0o666)`, 'EROFS'],
    ['writes into its bundle from a child', `child.execSync('echo x > new 2>&1 || echo refused')`, /refused/],
    [
      'lets a child undo that',
      `child.execSync('mount -o remount,bind,rw "$PWD" 2>&1 || umount "$PWD" 2>&1 || echo refused')`,
      /refused/,
    ],
    ['makes a namespace to undo that', `child.execSync('unshare -Urm umount "$PWD" 2>&1 || echo refused')`, /refused/],
    ['writes temporary files', `fs.writeFileSync(os.tmpdir() + '/a', 'x'.repeat(1e6))`, 'undefined'],
    ['writes too many of them', `fs.writeFileSync(os.tmpdir() + '/b', Buffer.alloc(5 << 20))`, 'ENOSPC'],
    ['starts a child process', `child.execSync('echo works')`, /works/],
    [
      'opens a thread',
      `new Promise((done, no) => new (process.getBuiltinModule('node:worker_threads').Worker)('process.exit(7)', { eval: true }).on('exit', done).on('error', no))`,
      '7',
    ],
    [
      'finds the programs that its commands need',
      `child.execSync('command -v node && command -v sh')`,
      /node\s[\s\S]*sh/,
    ],
    ['asks who it is', 'process.getuid()', String(process.getuid?.())],
    ['is where its bundle is', `fs.existsSync(path.join(process.cwd(), 'routes.mjs'))`, 'true'],
    [
      'looks for an inherited descriptor',
      `fs.readdirSync('/proc/self/fd').map((fd) => { try { return fs.readlinkSync('/proc/self/fd/' + fd) } catch { return '' } }).filter((to) => to.startsWith('/') && fs.statSync(to).isDirectory()).join()`,
      /^(\/proc\/\d+\/fd)?$/,
    ],
  ];
  for (const [story, code, result] of ATTEMPTS)
    test(`${story}: ${result}`, async () => {
      const seen = await tries(code);
      if (typeof result === 'string') assert.equal(seen, result);
      else assert.match(seen, result);
    });

  test("sees neither the platform's data nor the files of other workers", async () => {
    const other = await stage.project({ 'routes.mjs': routesModule('') });
    await stage.compute.prepare(other);
    assert.equal(await tries(`fs.readdirSync(${JSON.stringify(secrets)}).join()`), '');
    const room = await tries(`fs.readdirSync(path.join(os.tmpdir(), '..', '..')).length`);
    // Its own, the way to the platform, and the cache of what it has compiled.
    assert.equal(room, '3');
  });

  test('reads nothing out of the process that started it', async () => {
    const outside = `/proc/${process.pid}`;
    for (const code of [
      `fs.readFileSync('${outside}/environ')`,
      `fs.readFileSync('${outside}/mem')`,
      `fs.readlinkSync('${outside}/fd/0')`,
      `fs.readdirSync('${outside}/root')`,
    ])
      assert.match(await tries(code), /^(EACCES|EPERM)$/, code);
  });

  test('is watched and ended like any other', async () => {
    assert.ok((await stage.compute.run(callOf(runnable, { route: 'hello' }))).telemetry.worker!.wm > 10);
    const pid = Number(await tries('process.pid'));
    assert.match(execFileSync('ps', ['-o', 'args=', '-p', String(pid)]).toString(), /guest\/main/);
  });
});

test('without namespaces everything works as well', async () => {
  await using stage = await computeStage({ isolation: 'none' });
  const runnable = await stage.project({ 'routes.mjs': routesModule('') });
  assert.equal(await bodyText((await stage.compute.run(callOf(runnable, { route: 'hello' }))).response), 'hello');
});
