/** Where stories are kept: bounded under a flood, there after a restart and after a crash, gone when they are too old. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { cliHere } from '../actors/cli.ts';
import { descendants, type Platform, startPlatform } from '../actors/platform.ts';
import { until } from '../actors/until.ts';

const PROJECT = {
  'selvedge.config.js': `export default { name: 'why' };`,
  'routes.js': `import { Router } from 'selvedge/router';
    export default new Router().match('/fixed', ({ send }) => send('fixed'));`,
};

const bytesIn = (platform: Platform): number => {
  const folder = join(platform.data, 'why');
  return readdirSync(folder).reduce(
    (sum, name) => sum + (statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
};

describe('the ring of stories', () => {
  test('stays within its bytes under a flood of failing requests, and the newest are there', async () => {
    const bytes = 512 * 1024;
    await using platform = await startPlatform({ config: { limits: { why: { bytes } } } });
    const site = await platform.deploy('why', PROJECT);
    const good = (await site.ask('/fixed')).get('x-sv-request-id')!;
    await platform.why(good);
    let most = 0;
    for (let round = 0; round < 20; round++) {
      await Promise.all(Array.from({ length: 50 }, () => site.ask(`/missing/${'x'.repeat(500)}`)));
      most = Math.max(most, bytesIn(platform));
    }
    const last = (await site.ask('/missing/last')).get('x-sv-request-id')!;
    assert.equal((await platform.why(last)).explanation?.cause, 'route.none');
    assert.ok(most <= bytes, `${most} bytes`);
    assert.ok(most > bytes / 16, 'there was a flood');
    assert.equal((await platform.why(good)).source, 'story', 'failures push out failures only');
  });

  test('is still told from after a restart', async () => {
    const home = mkdtempSync(join(tmpdir(), 'sv-why-'));
    try {
      const first = await startPlatform({ home });
      const site = await first.deploy('why', PROJECT);
      const id = (await site.ask('/missing')).get('x-sv-request-id')!;
      await first.stop();
      await using second = await startPlatform({ home });
      const view = await second.why(id);
      assert.equal(view.explanation?.cause, 'route.none');
      assert.equal(view.story.deployment?.environment, 'why-default');
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });

  test('loses at most what was not yet written when a POP process is killed', async () => {
    await using platform = await startPlatform();
    const site = await platform.deploy('why', PROJECT);
    const before = (await site.ask('/missing')).get('x-sv-request-id')!;
    await platform.why(before);
    for (const pid of descendants(platform.child.pid!)) process.kill(pid, 'SIGKILL');
    const after = await until('a successor to answer', async () => {
      const answer = await site.ask('/missing').catch(() => null);
      return answer?.status === 404 ? answer : undefined;
    });
    assert.equal((await platform.why(before)).explanation?.cause, 'route.none');
    assert.equal((await platform.why(after.get('x-sv-request-id')!)).explanation?.cause, 'route.none');
  });

  test('is empty where it is switched off, and the access log is told from', async () => {
    await using platform = await startPlatform({ config: { limits: { why: { bytes: 0 } } } });
    const site = await platform.deploy('why', PROJECT);
    const id = (await site.ask('/missing')).get('x-sv-request-id')!;
    await platform.log(id);
    const told = await cliHere(['why', id, '--data', platform.data]);
    assert.match(told.stdout, /^404.*Its story is not there; this is what the access log\s+has\./s);
    assert.match(told.stdout, /route\.none/);
  });

  test('of a day is over when the day is: older stories are not told', async () => {
    // 36 ms.
    await using platform = await startPlatform({ config: { limits: { why: { retentionHours: 0.00001 } } } });
    const site = await platform.deploy('why', PROJECT);
    const id = (await site.ask('/missing')).get('x-sv-request-id')!;
    await until('it to be too old', async () => {
      const told = await cliHere(['why', id, '--data', platform.data]);
      return told.code === 1 && /kept for 0\.00001 h|no request/.test(told.stderr);
    });
  });
});
