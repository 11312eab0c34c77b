/** Memory that runs out is 540 however it runs out, and nothing else is. */
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
import { endFault, type WorkerEnd } from './outcome.ts';

const SMALL = { limits: { memoryMiB: 160, reservedMemoryMiB: 60 } };

const WAYS: readonly (readonly [how: string, handler: string])[] = [
  ['arrays', `() => { const all = []; for (;;) all.push(new Array(1000).fill(all.length)) }`],
  ['strings', `() => { const all = []; for (let at = 0;; at++) all.push(('' + at).repeat(1000) + at) }`],
  ['a growing map', `() => { const all = new Map(); for (let at = 0;; at++) all.set('key ' + at, { at }) }`],
  [
    'closures',
    `() => { let last = () => 0; for (;;) { const before = last; const own = new Array(100); last = () => before() + own.length } }`,
  ],
  ['large buffers', `() => { const all = []; for (;;) all.push(Buffer.alloc(1 << 24, 1)) }`],
  ['reserved buffers', `() => { const all = []; for (;;) all.push(Buffer.allocUnsafe(1 << 24)) }`],
  ['many small buffers', `() => { const all = []; for (;;) all.push(Buffer.from('x'.repeat(100))) }`],
  ['array buffers', `() => { const all = []; for (;;) all.push(new Uint8Array(4096).fill(1)) }`],
  [
    'shared memory',
    `() => { const all = []; for (;;) all.push(new Uint8Array(new SharedArrayBuffer(1 << 20)).fill(1)) }`,
  ],
  ['one huge string', `() => { let all = 'x'; for (;;) { all += all; Buffer.from(all) } }`],
  [
    'a thread',
    `async () => { const { Worker } = await import('node:worker_threads');
    await new Promise((_, reject) => new Worker('const all = []; for (;;) all.push(new Array(1000).fill(1))', { eval: true }).once('error', reject)) }`,
  ],
  [
    'slow growth in the background',
    `() => new Promise(() => { const all = []; setInterval(() => all.push(Buffer.alloc(1 << 22, 1)), 1) })`,
  ],
  ['JSON', `() => { const all = []; for (;;) all.push(JSON.parse('[' + '{"a":1},'.repeat(10000) + '1]')) }`],
];

async function fails(stage: ComputeStage, handler: string): Promise<{ code: number; details: string | undefined }> {
  const runnable = await stage.project({ 'routes.mjs': routesModule(`bad: ${handler}`) });
  const { code, details } = await faultOf(stage.compute.run(callOf(runnable, { route: 'bad' })));
  const { response } = await stage.compute.run(callOf(runnable, { route: 'hello' }));
  assert.equal(await bodyText(response), 'hello', 'the pool recovers');
  return { code, details };
}

describe('a worker whose memory runs out', () => {
  for (const [how, handler] of WAYS)
    test(`by ${how} is 540`, async () => {
      await using stage = await computeStage(SMALL);
      const { code, details } = await fails(stage, handler);
      assert.equal(code, 540, String(details));
      assert.match(details!, /^oom (heap|buffers|rss|cgroup)$/);
    });

  test('is 540 also when many do so at once', async () => {
    await using stage = await computeStage({ ...SMALL, maxWorkers: 6 });
    const some = WAYS.slice(0, 6).map(([, handler]) => fails(stage, handler));
    for (const { code, details } of await Promise.all(some)) assert.equal(code, 540, String(details));
  });

  test('little by little over many requests replaces the worker, and is 540 if anything', async () => {
    await using stage = await computeStage(SMALL);
    const runnable = await stage.project({
      'routes.mjs': routesModule(
        `leak: async () => { (globalThis.kept ??= []).push(Buffer.alloc(1 << 24, 1)); return text('ok') }`,
      ),
    });
    const workers = new Set<string>();
    const codes = new Set<number>();
    for (let count = 0; count < 60; count++) {
      const run = stage.compute.run(callOf(runnable, { route: 'leak', request: { method: 'POST' } }));
      await run.then(
        ({ telemetry }) => workers.add(telemetry.worker!.wi),
        ({ code }: { code: number }) => codes.add(code),
      );
    }
    // A worker that is ended between two requests is replaced without anybody noticing.
    assert.ok(workers.size > 1);
    assert.deepEqual(
      [...codes, 540].filter((code) => code !== 540),
      [],
    );
  });
});

describe('what is no lack of memory', () => {
  const NOT: readonly (readonly [how: string, handler: string, code: number])[] = [
    ['a stack that overflows', `() => { const again = () => again() + 1; again() }`, 534],
    ['an array of an impossible length', `() => new Array(-1)`, 534],
    [
      'an exit after words about memory',
      `() => { console.error('JavaScript heap out of memory'); process.stderr.write('FATAL ERROR: JavaScript heap out of memory\\n'); require('node:fs').writeSync(2, 'JavaScript heap out of memory\\n'); process.exit(1) }`,
      534,
    ],
    ['an abort', `() => process.abort()`, 534],
  ];
  for (const [how, handler, code] of NOT)
    test(`${how} is ${code}`, async () => {
      await using stage = await computeStage(SMALL);
      assert.equal(
        (await fails(stage, handler.replace("require('node:fs')", "process.getBuiltinModule('node:fs')"))).code,
        code,
      );
    });
});

describe('how a process ended', () => {
  const end = (more: Partial<WorkerEnd>): WorkerEnd => ({
    ...{ wi: 'w', code: null, signal: null, stderr: '', cgroupKill: false, phase: 'serve' },
    ...more,
  });
  const MIB = 1_048_576;
  const ENDS: readonly (readonly [story: string, end: WorkerEnd, why: string, details: string])[] = [
    ['killed by the kernel for memory', end({ signal: 'SIGKILL', cgroupKill: true }), 'compute.memory', 'oom cgroup'],
    ['killed by somebody', end({ signal: 'SIGKILL' }), 'compute.exited', 'signal=SIGKILL'],
    [
      'V8 gave up',
      end({
        signal: 'SIGABRT',
        stderr: 'FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n',
      }),
      'compute.memory',
      'oom heap',
    ],
    [
      'V8 gave up outside of the heap',
      end({ signal: 'SIGTRAP', stderr: '# Fatal process out of memory: Zone\n' }),
      'compute.memory',
      'oom heap',
    ],
    [
      'native code got no memory',
      end({ signal: 'SIGABRT', stderr: "terminate called after throwing an instance of 'std::bad_alloc'\n" }),
      'compute.memory',
      'oom buffers',
    ],
    [
      'it died wordless at its limit',
      end({ signal: 'SIGSEGV', memory: { bytes: 158 * MIB, limitBytes: 160 * MIB } }),
      'compute.memory',
      'oom rss',
    ],
    [
      'it died wordless far from its limit',
      end({ signal: 'SIGSEGV', memory: { bytes: 60 * MIB, limitBytes: 160 * MIB } }),
      'compute.exited',
      'signal=SIGSEGV',
    ],
    [
      'it exited at its limit',
      end({ code: 3, memory: { bytes: 159 * MIB, limitBytes: 160 * MIB } }),
      'compute.exited',
      'exit code=3',
    ],
    [
      "an app's thread ran out",
      end({
        code: 1,
        report: {
          kind: 'uncaught',
          message: 'Worker terminated due to reaching memory limit: JS heap out of memory',
          code: 'ERR_WORKER_OUT_OF_MEMORY',
        },
      }),
      'compute.memory',
      'oom heap',
    ],
    [
      'an app command was aborted for memory',
      end({ signal: 'SIGKILL', app: { code: null, signal: 'SIGABRT' }, stderr: 'JavaScript heap out of memory' }),
      'compute.memory',
      'oom heap',
    ],
  ];
  for (const [story, ended, why, details] of ENDS)
    test(`${story}: ${details}`, () => {
      const fault = endFault(ended, 534);
      assert.deepEqual([fault.why, fault.details], [why, details]);
    });
});
