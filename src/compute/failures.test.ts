import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  bodyText,
  type ComputeStage,
  callOf,
  computeStage,
  faultOf,
  routesModule,
} from '../../test/actors/project-bundle.ts';
import { Fields } from '../http/fields.ts';

const failing = (handler: string) => ({ 'routes.mjs': routesModule(`bad: ${handler}`) });

/** The pool must serve again, in another process, after whatever happened. */
async function recovers(stage: ComputeStage, runnable: Parameters<typeof callOf>[0]): Promise<number> {
  const { response, telemetry } = await stage.compute.run(callOf(runnable, { route: 'hello' }));
  assert.equal(await bodyText(response), 'hello');
  return telemetry.worker!.wc;
}

describe('project code that fails', () => {
  const STORIES: readonly (readonly [story: string, handler: string, why: string, details: string])[] = [
    ['throws at once', `() => { throw new TypeError('no such thing') }`, 'compute.uncaught', 'uncaught'],
    ['rejects', `async () => { throw new TypeError('no such thing') }`, 'compute.uncaught', 'uncaught'],
    [
      'throws later, outside of the handler',
      `() => new Promise(() => setImmediate(() => { throw new TypeError('no such thing') }))`,
      'compute.uncaught',
      'uncaught',
    ],
    [
      'leaves a rejection unhandled',
      `() => new Promise(() => { Promise.reject(new TypeError('no such thing')) })`,
      'compute.unhandled-rejection',
      'unhandled-rejection',
    ],
    ['answers with status 42', `async () => text('no such thing', { status: 42 })`, 'compute.malformed', 'malformed'],
    [
      'puts a line break into a header',
      `async () => text('', { headers: ['x-a', 'no such thing\\r\\nx-b: 1'] })`,
      'compute.malformed',
      'malformed',
    ],
    ['exits with 0', `() => process.exit(0)`, 'compute.exited', 'exit code=0'],
    ['exits with 3', `() => process.exit(3)`, 'compute.exited', 'exit code=3'],
    ['aborts', `() => process.abort()`, 'compute.exited', 'signal=SIGABRT'],
    ['kills itself', `() => process.kill(process.pid, 'SIGKILL')`, 'compute.exited', 'signal=SIGKILL'],
    [
      'lets a refused connection of its own escape',
      `() => import('node:net').then(({ connect }) => new Promise(() => connect(1, '127.0.0.1')))`,
      'compute.uncaught',
      'uncaught ECONNREFUSED',
    ],
    ['overflows its stack', `() => { const again = () => again() + 1; again() }`, 'compute.uncaught', 'uncaught'],
  ];
  for (const [story, handler, why, details] of STORIES)
    test(`${story}: 534 ${details}, and the worker is replaced`, async () => {
      await using stage = await computeStage();
      const runnable = await stage.project(failing(handler));
      const fault = await faultOf(stage.compute.run(callOf(runnable, { route: 'bad' })));
      assert.deepEqual([fault.why, fault.details, fault.code, fault.acts], [why, details, 534, 'project']);
      if (handler.includes('TypeError')) {
        assert.equal(fault.evidence.message, 'no such thing');
        assert.match(String(fault.evidence.stack), /TypeError: no such thing\n.*routes\.mjs/);
      }
      assert.ok(fault.evidence.telemetry);
      assert.equal(await recovers(stage, runnable), 1);
    });

  test('an exit is 549 where the platform is set so', async () => {
    await using stage = await computeStage({ projectCrashed: 549 });
    const runnable = await stage.project(failing('() => process.exit(3)'));
    const fault = await faultOf(stage.compute.run(callOf(runnable, { route: 'bad' })));
    assert.deepEqual([fault.code, fault.why, fault.details], [549, 'compute.crashed', 'exit code=3']);
  });

  test('a stream that breaks after the head breaks the body with the same fault', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project(
      failing(`async () => { const { Readable } = await import('node:stream');
        return { status: 200, reason: '', headers: [],
          stream: Readable.from((async function* () { yield 'some'; throw new Error('half way') })()) } }`),
    );
    const { response } = await stage.compute.run(callOf(runnable, { route: 'bad' }));
    const fault = await faultOf(bodyText(response));
    assert.deepEqual([fault.why, fault.evidence.message], ['compute.uncaught', 'half way']);
    assert.equal(await recovers(stage, runnable), 1);
  });

  test('who handles uncaught exceptions goes on living', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project(
      failing(`async () => { process.once('uncaughtException', () => globalThis.done());
        await new Promise((resolve) => { globalThis.done = resolve; setImmediate(() => { throw new Error('mine') }) });
        return text('alive') }`),
    );
    assert.equal(await bodyText((await stage.compute.run(callOf(runnable, { route: 'bad' }))).response), 'alive');
  });
});

describe('a bundle that does not load', () => {
  test('rejects prepare and every run with 534 load-failed, and is not started over and over', async () => {
    await using stage = await computeStage();
    const counter = `import { appendFileSync } from 'node:fs'; appendFileSync(process.cwd() + '.starts', 'x');`;
    const runnable = await stage.project({ 'routes.mjs': `${counter} throw new Error('bad import');` });
    const fault = await faultOf(stage.compute.prepare(runnable));
    assert.deepEqual([fault.why, fault.code, fault.evidence.message], ['compute.load-failed', 534, 'bad import']);
    assert.match(String(fault.evidence.stack), /routes\.mjs/);
    const runs = Array.from({ length: 5 }, () => faultOf(stage.compute.run(callOf(runnable, { route: 'hello' }))));
    for (const again of await Promise.all(runs)) assert.equal(again.why, 'compute.load-failed');
    const { readFile } = await import('node:fs/promises');
    assert.equal(await readFile(`${runnable.directory}.starts`, 'utf8'), 'x');
  });

  test('tells a syntax error, a missing module, an exit and a missing Router apart', async () => {
    await using stage = await computeStage();
    const stories = [
      ['export const = 1', /Unexpected token/],
      [`import 'nowhere-to-be-found'`, /nowhere-to-be-found/],
      ['process.exit(7)', /load-failed exit code=7/],
      ['export default 1', /does not export a Router/],
    ] as const;
    for (const [source, expected] of stories) {
      const fault = await faultOf(
        stage.compute.run(callOf(await stage.project({ 'routes.mjs': source }), { route: 'x' })),
      );
      assert.equal(fault.why, 'compute.load-failed');
      assert.match(`${fault.details} ${fault.evidence.message}`, expected);
    }
  });

  test('that never finishes loading is a cold-start timeout', async () => {
    await using stage = await computeStage({ limits: { responseMs: 600, reservedMs: 100 } });
    const runnable = await stage.project({ 'routes.mjs': 'setInterval(() => {}, 1000); await new Promise(() => {})' });
    const fault = await faultOf(stage.compute.run(callOf(runnable, { route: 'x' })));
    assert.deepEqual([fault.why, fault.details, fault.code], ['compute.timeout', 'cold-start', 539]);
  });
});

describe('a worker that runs out of time', () => {
  const QUICK = { limits: { responseMs: 1_200, reservedMs: 400 } };

  test('in an endless loop is 539 loop-blocked, killed, and the pool recovers', async () => {
    await using stage = await computeStage(QUICK);
    const runnable = await stage.project(failing('() => { for (;;); }'));
    await stage.compute.prepare(runnable);
    const fault = await faultOf(stage.compute.run(callOf(runnable, { route: 'bad' })));
    assert.deepEqual([fault.code, fault.details, fault.acts], [539, 'loop-blocked', 'project']);
    assert.equal(fault.evidence.limit, 'compute.responseMs');
    assert.equal(await recovers(stage, runnable), 1);
  });

  test('without anything going on is 539 never-answered', async () => {
    await using stage = await computeStage(QUICK);
    const runnable = await stage.project(failing(`() => { console.log('last words'); return new Promise(() => {}) }`));
    await stage.compute.prepare(runnable);
    const fault = await faultOf(stage.compute.run(callOf(runnable, { route: 'bad' })));
    assert.deepEqual([fault.details, fault.evidence.lastLog], ['never-answered', 'last words']);
  });

  test('waiting for a silent API is 539 upstream-slow, by its own fetch and through the platform', async () => {
    const { createServer } = await import('node:net');
    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await new Promise((resolve) => silent.once('listening', resolve));
    const { port } = silent.address() as { port: number };
    await using stage = await computeStage(QUICK);
    const runnable = await stage.project({
      'routes.mjs': routesModule(`own: async () => { await fetch('http://127.0.0.1:${port}/') },
        managed: async ({ host, request }) => host.proxy('api', request)`),
    });
    await stage.compute.prepare(runnable);
    const own = await faultOf(stage.compute.run(callOf(runnable, { route: 'own' })));
    assert.deepEqual(
      [own.details, own.acts, own.evidence.upstream],
      ['upstream-slow', 'upstream', `127.0.0.1:${port}`],
    );
    let aborted = false;
    const services = {
      proxy: (_backend: string, _request: unknown, signal: AbortSignal) => {
        signal.addEventListener('abort', () => {
          aborted = true;
        });
        return new Promise<never>(() => {});
      },
      asset: async () => null,
    };
    const managed = await faultOf(stage.compute.run(callOf(runnable, { route: 'managed', services })));
    assert.deepEqual([managed.details, managed.evidence.upstream, aborted], ['upstream-slow', 'api', true]);
    silent.close();
  });
});

describe('a worker that runs out of memory', () => {
  const SMALL = { limits: { memoryMiB: 160, reservedMemoryMiB: 60 } };
  const STORIES = [
    [
      'heap',
      `() => { const all = []; for (;;) all.push({ at: new Array(1000).fill(all.length) }) }`,
      /^oom (heap|rss)$/,
    ],
    ['filled buffers', `() => { const all = []; for (;;) all.push(Buffer.alloc(1 << 20, 1)) }`, /^oom (buffers|rss)$/],
    ['reserved buffers', `() => { const all = []; for (;;) all.push(Buffer.alloc(1 << 24)) }`, /^oom (buffers|rss)$/],
  ] as const;
  for (const [kind, handler, details] of STORIES)
    test(`by ${kind} is 540, and its neighbour does not notice`, async () => {
      await using stage = await computeStage(SMALL);
      const runnable = await stage.project(failing(handler));
      const neighbour = await stage.project({ 'routes.mjs': routesModule('') });
      await stage.compute.prepare(neighbour);
      const fault = await faultOf(stage.compute.run(callOf(runnable, { route: 'bad' })));
      assert.equal(fault.code, 540);
      assert.match(fault.details!, details);
      const { telemetry } = await stage.compute.run(callOf(neighbour, { route: 'hello' }));
      assert.equal(telemetry.worker!.wc, 1);
      assert.equal(await recovers(stage, runnable), 1);
    });
});

describe('limits of request and response', () => {
  test('a body of exactly the limit passes and one byte more is a clean 532', async () => {
    await using stage = await computeStage({ limits: { responseBytes: 1000 } });
    const runnable = await stage.project({
      'routes.mjs': routesModule(`size: async ({ params }) => text('x'.repeat(Number(params.n)))`),
    });
    const size = (n: number) => stage.compute.run(callOf(runnable, { route: 'size', params: { n: String(n) } }));
    assert.equal((await bodyText((await size(1000)).response)).length, 1000);
    const fault = await faultOf(size(1001));
    assert.deepEqual([fault.code, fault.why, fault.parameters], [532, 'compute.body-bytes', { 'body-size': 1001 }]);
    assert.equal(await recovers(stage, runnable), 3, 'the worker stays');
  });

  test('a stream over the limit is refused when it says so and cut when it does not', async () => {
    await using stage = await computeStage({ limits: { responseBytes: 1000 } });
    const runnable = await stage.project({
      'routes.mjs':
        routesModule(`flow: async ({ params }) => ({ status: 200, reason: '', headers: JSON.parse(params.headers),
        stream: new Response('x'.repeat(1001)).body })`),
    });
    const flow = (headers: string[]) =>
      stage.compute.run(callOf(runnable, { route: 'flow', params: { headers: JSON.stringify(headers) } }));
    assert.equal((await faultOf(flow(['content-length', '1001']))).why, 'compute.body-bytes');
    const { response } = await flow([]);
    assert.equal((await faultOf(bodyText(response))).why, 'compute.body-bytes');
    await recovers(stage, runnable);
  });

  test("70 header lines pass, 71 are 542, the platform's own are not counted", async () => {
    await using stage = await computeStage();
    const runnable = await stage.project({
      'routes.mjs': routesModule(`lines: async ({ params }) => text('', { headers: ['x-sv-surrogate-key', 'a',
        ...Array.from({ length: Number(params.n) }, (_, at) => ['x-' + at, 'v'.repeat(Number(params.size ?? 1))]).flat()] })`),
    });
    const lines = (n: number, more = {}) =>
      stage.compute.run(callOf(runnable, { route: 'lines', params: { n: String(n), ...more } }));
    assert.equal((await lines(70)).response.fields.length, 72);
    assert.equal((await faultOf(lines(71))).why, 'compute.header-count');
    assert.equal((await faultOf(lines(3000))).why, 'compute.header-count', 'Node would have cut them to 1,000');
    const bytes = await faultOf(lines(10, { size: '7000' }));
    assert.deepEqual([bytes.code, bytes.why], [542, 'compute.header-bytes']);
  });

  test('cookies over their limit are 542', async () => {
    await using stage = await computeStage();
    const runnable = await stage.project(
      failing(
        `async () => text('', { headers: ['set-cookie', 'a=' + 'x'.repeat(20000), 'set-cookie', 'b=' + 'x'.repeat(20000)] })`,
      ),
    );
    assert.equal((await faultOf(stage.compute.run(callOf(runnable, { route: 'bad' })))).why, 'compute.cookie-bytes');
  });

  test('a request body over the limit is 413, declared or not', async () => {
    const { Readable } = await import('node:stream');
    await using stage = await computeStage({ limits: { requestBytes: 10 } });
    const runnable = await stage.project({
      'routes.mjs': routesModule(`count: async ({ request }) => text(String(request.body.length))`),
    });
    const count = (body: Buffer | InstanceType<typeof Readable>, raw: string[] = []) =>
      stage.compute.run(
        callOf(runnable, { route: 'count', request: { method: 'POST', body, fields: new Fields(raw) } }),
      );
    assert.equal(await bodyText((await count(Buffer.alloc(10))).response), '10');
    assert.equal(await bodyText((await count(Readable.from([Buffer.alloc(4), Buffer.alloc(6)]))).response), '10');
    assert.equal((await faultOf(count(Buffer.alloc(11)))).why, 'request.body-bytes');
    assert.equal((await faultOf(count(Readable.from([]), ['content-length', '11']))).code, 413);
    assert.equal((await faultOf(count(Readable.from([Buffer.alloc(6), Buffer.alloc(6)])))).code, 413);
    assert.equal((await recovers(stage, runnable)) > 1, true);
  });
});
