/** Project code that fails: 534, 549, 532, 542, 539, 540, 541. Each handler is source text of the lab's project. */
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Actor, Cause } from '../../status/causes.ts';
import type { LabCase } from '../case.ts';
import { saying } from '../kit.ts';
import type { Scene } from '../scene.ts';
import type { Seen } from '../seen.ts';

const code = (cause: Cause, variant: string, how: string, handler: string, more: Partial<LabCase> = {}): LabCase => ({
  cause,
  variant,
  how,
  hop: 'compute',
  handler,
  ...more,
});

const ERRORS: readonly LabCase[] = [
  code('compute.uncaught', 'throws', 'the handler throws', `() => { throw new Error('thrown'); }`),
  code('compute.uncaught', 'rejects', 'the handler rejects', `async () => { await null; throw new Error('later'); }`),
  code(
    'compute.uncaught',
    'timer-throws',
    'a timer that the handler set throws',
    `() => new Promise(() => { setTimeout(() => { throw new Error('in a timer'); }, 10); })`,
  ),
  code(
    'compute.unhandled-rejection',
    'unhandled-rejection',
    'a promise that nobody waits for rejects',
    `() => new Promise(() => { void Promise.reject(new Error('nobody waits')); })`,
  ),
  code(
    'compute.malformed',
    'status',
    'the handler answers with the status 42',
    '(req, res) => { res.statusCode = 42; }',
  ),
  code(
    'compute.malformed',
    'line-break',
    'the handler puts a line break into a header',
    `(req, res) => { res.setHeader('x-bad', 'a\\r\\nb: c'); }`,
  ),
  code(
    'compute.malformed',
    'wrong-type',
    'the handler puts an object where the status belongs',
    '(req, res) => { res.statusCode = {}; }',
  ),
  code('compute.exited', 'exits', 'the handler ends the process', '() => process.exit(3)', { details: 'exit code=3' }),
  code('compute.exited', 'exits-well', 'the handler ends the process as if all were well', '() => process.exit(0)', {
    details: 'exit code=0',
  }),
  code('compute.exited', 'signal', 'the process kills itself', `() => process.kill(process.pid, 'SIGKILL')`, {
    details: 'signal=SIGKILL',
  }),
  code(
    'compute.crashed',
    'exits',
    'the handler ends the process, where that has a code of its own',
    '() => process.exit(3)',
    {
      details: 'exit code=3',
      world: 'tight',
      alone: true,
    },
  ),
];

const READING = `({ proxy }) => proxy('BACKEND', { transformResponse: (res) => { res.body = String(res.body); } })`;
const CODED = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-encoding: ';

const CODINGS: readonly LabCase[] = [
  ['gzip', 'the code reads a body that is said to be compressed and is not'],
  ['made-up', 'the code reads a body in a coding that nobody knows'],
].map(([coding, how]) => ({
  cause: 'compute.upstream-coding',
  variant: `coding-${coding}`,
  how: how!,
  hop: 'compute',
  backend: (kit) => kit.raw(saying(`${CODED}${coding}\r\n\r\nplain`)),
  route: READING,
}));

const SIZES: readonly LabCase[] = [
  code(
    'compute.body-bytes',
    'one-piece',
    'the body is one byte too large',
    `(req, res) => { res.body = 'x'.repeat(100_001); }`,
  ),
  code(
    'compute.header-count',
    'response-lines',
    'the answer has 71 header lines',
    `(req, res) => { for (let at = 0; at < 71; at++) res.setHeader('x-' + at, '1'); }`,
  ),
  code(
    'compute.header-bytes',
    'response-bytes',
    'the header lines of the answer are larger than 64 KB',
    `(req, res) => { res.setHeader('a', 'x'.repeat(40_000)); res.setHeader('b', 'x'.repeat(40_000)); }`,
  ),
  code(
    'compute.cookie-bytes',
    'response-cookies',
    'the cookies of the answer are larger than 32 KB',
    `(req, res) => { res.setHeader('set-cookie', 'a=' + 'x'.repeat(32_768)); }`,
  ),
];

/** Why a worker did not answer in time; each is a variant of its own. */
const late = (variant: string, how: string, handler: string, acts: Actor, more: Partial<LabCase> = {}): LabCase =>
  code('compute.timeout', variant, how, handler, { details: variant, acts, ...more });

/** The project calls the backend itself. */
const CALLING = `({ compute }) => compute(() => fetch('BACKEND_URL'))`;

const LATE: readonly LabCase[] = [
  late(
    'sleeping',
    'the handler waits for a timer that is due much later',
    '() => new Promise((done) => setTimeout(done, 60_000))',
    'project',
  ),
  late('upstream-slow', "the handler waits for an upstream of the project's own that never answers", '', 'upstream', {
    backend: (kit) => kit.raw(() => {}),
    route: CALLING,
  }),
  late('upstream-blocked', "the handler's call never connects, as behind an allow-list", '', 'upstream', {
    backend: (kit) => kit.full(),
    route: CALLING,
  }),
  late('never-answered', 'the handler waits for what never happens', '() => new Promise(() => {})', 'project'),
  late('loop-blocked', 'the handler runs in a circle', '() => { for (;;); }', 'project'),
];

const MEMORY: readonly LabCase[] = [
  code(
    'compute.memory',
    'heap',
    'the handler fills the heap',
    '() => { const all = []; for (;;) all.push(new Array(1000).fill(all.length)); }',
    { details: 'oom' },
  ),
  code(
    'compute.memory',
    'buffers',
    'the handler fills memory with buffers, which no heap limit covers',
    `async () => { const all = []; for (;;) { all.push(Buffer.alloc(32_000_000, 1)); await new Promise((go) => setTimeout(go, 5)); } }`,
    { details: 'oom' },
  ),
];

const server = (cause: Cause, variant: string, how: string, app: string, more: Partial<LabCase> = {}): LabCase => ({
  cause,
  variant,
  how,
  hop: 'compute',
  project: 'server',
  app,
  ...more,
});

/** A Node server of the project's own, which streams. */
const SERVER: readonly LabCase[] = [
  server(
    'compute.incomplete',
    'hangs-up',
    'the server of the project closes the connection in the middle of its body',
    `(request, response) => { response.writeHead(200, { 'content-length': 10 }); response.write('short'); setTimeout(() => response.destroy(), 50); }`,
    { afterHead: true },
  ),
  server(
    'compute.incomplete',
    'no-answer',
    'the server of the project closes the connection without an answer',
    '(request, response) => { response.destroy(); }',
  ),
  server(
    'compute.body-bytes',
    'server-declared',
    'the server of the project declares a body that is one byte too large',
    `(request, response) => { response.writeHead(200, { 'content-length': 100_001 }); response.end('x'.repeat(100_001)); }`,
  ),
  server(
    'compute.body-bytes',
    'streamed',
    'the body that the server of the project streams grows too large',
    `(request, response) => { response.write('x'.repeat(60_000)); setTimeout(() => response.end('x'.repeat(60_000)), 50); }`,
    { afterHead: true },
  ),
  server(
    'compute.header-field-bytes',
    'server-line',
    'one header line is larger than a line may be',
    `(request, response) => { response.setHeader('a', 'x'.repeat(50_000)); response.end(); }`,
  ),
  server(
    'compute.malformed',
    'not-http',
    'the server of the project writes something else than HTTP',
    `(request, response) => { response.socket.end('SSH-2.0-OpenSSH_9.9\\r\\n\\r\\n'); }`,
  ),
  server(
    'compute.trailer-count',
    'server-trailers',
    'the body ends with 71 trailers',
    `(request, response) => { response.writeHead(200, { trailer: 'a' }); response.write('x'); response.addTrailers(Array.from({ length: 71 }, (_, at) => ['a' + at, '1'])); response.end(); }`,
    { afterHead: true },
  ),
  server(
    'compute.trailer-bytes',
    'server-trailer-bytes',
    'the trailers of the body are larger than 64 KB',
    `(request, response) => { response.writeHead(200, { trailer: 'a' }); response.write('x'); response.addTrailers({ a: 'x'.repeat(40_000), b: 'x'.repeat(40_000) }); response.end(); }`,
    { afterHead: true },
  ),
  server(
    'compute.trailer-field-bytes',
    'server-trailer-field',
    'one trailer is larger than a line may be',
    `(request, response) => { response.writeHead(200, { trailer: 'a' }); response.write('x'); response.addTrailers({ a: 'x'.repeat(50_000) }); response.end(); }`,
    { afterHead: true },
  ),
];

/** Modules that a worker cannot load: while the file is there, and only then. */
const starting = (cause: Cause, variant: string, how: string, whileThere: string, more: Partial<LabCase>): LabCase => {
  const marker = join(tmpdir(), `sv-lab-${variant}-${process.pid}`);
  return {
    cause,
    variant,
    how,
    hop: 'compute',
    alone: true,
    project: variant,
    module: `import { existsSync } from 'node:fs';\nif (existsSync(${JSON.stringify(marker)})) ${whileThere}`,
    handler: '() => process.exit(0)',
    async provoke(scene) {
      await writeFile(marker, '');
      try {
        // The worker that was started ahead of traffic ends, and its successor finds the file.
        await scene.beside({ path: `${scene.path}/end` });
        return await scene.ask();
      } finally {
        await rm(marker, { force: true });
      }
    },
    ...more,
  };
};

const STARTS: readonly LabCase[] = [
  starting(
    'compute.load-failed',
    'load-fails',
    'the module throws when it is loaded',
    `throw new Error('not today');`,
    {},
  ),
  starting(
    'compute.timeout',
    'cold-start',
    'the module takes longer to load than anybody waits',
    'await new Promise((done) => setTimeout(done, 60_000));',
    {
      details: 'cold-start',
    },
  ),
];

const SLOW = `(req) => new Promise((done) => setTimeout(done, req.path.includes('/busy') ? 2_500 : 0))`;

const QUEUES: readonly LabCase[] = [
  code('compute.queue-timeout', 'queue-timeout', 'the only worker is busy for longer than anybody waits', SLOW, {
    world: 'tight',
    alone: true,
    async provoke(scene) {
      const busy = await busyWorker(scene, 1);
      const seen = await scene.ask({ path: `${scene.path}/waiting` });
      await Promise.all(busy);
      return seen;
    },
  }),
  code('compute.queue-full', 'queue-full', 'the only worker is busy and the queue is full', SLOW, {
    world: 'tight',
    alone: true,
    async provoke(scene) {
      const busy = await busyWorker(scene, 2);
      const seen = await scene.ask({ path: `${scene.path}/one-too-many` });
      await Promise.all(busy);
      return seen;
    },
  }),
];

/** The only worker has a request, and as many others wait for it as `asked` says. */
async function busyWorker(scene: Scene, asked: number): Promise<Promise<Seen>[]> {
  // Whatever was there before is over, and the worker is up.
  while ((await scene.beside({ path: `${scene.path}/idle` })).status !== 200);
  const busy = Array.from({ length: asked }, (_, at) => scene.beside({ path: `${scene.path}/busy-${at}` }));
  await new Promise((resolve) => setTimeout(resolve, 300));
  return busy;
}

export const COMPUTE: readonly LabCase[] = [
  ...ERRORS,
  ...CODINGS,
  ...SIZES,
  ...LATE,
  ...MEMORY,
  ...SERVER,
  ...STARTS,
  ...QUEUES,
];
