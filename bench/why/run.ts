/**
 * `node bench/why/run.ts`: what telling stories costs. Processor time for one request that nothing is stored for, with
 * and without stories, in interleaved rounds; and how long it takes to find a story in a full ring. Processor time,
 * because it says the same on a machine that has other work.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { STORY_FORMAT, type Story } from '../../src/observe/story.ts';
import { StoryRing } from '../../src/telemetry/story-ring.ts';
import { StorySearch } from '../../src/telemetry/story-search.ts';
import { ask } from '../../test/actors/client.ts';
import { closedPort, httpOrigin } from '../../test/actors/origin.ts';
import { type Platform, type Site, startPlatform } from '../../test/actors/platform.ts';
import { median } from '../lib/load.ts';

const ROUNDS = 9;
const REQUESTS = 2_000;
const CONCURRENT = 16;
const RING_BYTES = 256 * 1024 * 1024;

interface Subject {
  readonly platform: Platform;
  readonly site: Site;
}

async function subject(backends: object, bytes: number): Promise<Subject> {
  const platform = await startPlatform({ config: { limits: { why: { bytes } }, log: { flushMs: 200 } } });
  const site = await platform.deploy('bench', {
    'selvedge.config.js': `export default { name: 'bench', backends: ${JSON.stringify(backends)} };`,
    'routes.js': `import { Router } from 'selvedge/router';
      export default new Router().match('/miss', ({ proxy }) => proxy('origin')).match('/failing', ({ proxy }) => proxy('refusing'));`,
  });
  return { platform, site };
}

/** Of all its processes, ms. */
function processorMs({ platform }: Subject): number {
  const ticks = platform.processes().map((pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
    return Number(fields[11]) + Number(fields[12]);
  });
  return ticks.reduce((sum, one) => sum + one, 0) * 10;
}

async function round(one: Subject, path: string): Promise<number> {
  const before = processorMs(one);
  let left = REQUESTS;
  const client = async (): Promise<void> => {
    while (left-- > 0) await ask({ port: one.platform.port, host: one.site.host, path });
  };
  await Promise.all(Array.from({ length: CONCURRENT }, client));
  return ((processorMs(one) - before) * 1000) / REQUESTS;
}

async function recording(): Promise<void> {
  await using origin = await httpOrigin((_request, response) => response.end('x'.repeat(1024)));
  const at = (port: number) => ({ domainOrIp: '127.0.0.1', port, scheme: 'http' });
  const backends = { origin: at(origin.port), refusing: at(await closedPort()) };
  const off = await subject(backends, 0);
  const on = await subject(backends, RING_BYTES);
  try {
    for (const path of ['/miss', '/failing']) {
      const figures = { off: [] as number[], on: [] as number[] };
      for (const one of [off, on]) await round(one, path);
      for (let count = 0; count < ROUNDS; count++) {
        figures.off.push(await round(off, path));
        figures.on.push(await round(on, path));
      }
      const [without, with_] = [median(figures.off), median(figures.on)];
      const spread = (all: readonly number[]): string =>
        `${Math.min(...all).toFixed(0)} to ${Math.max(...all).toFixed(0)}`;
      console.log(
        `${path.padEnd(9)} processor time a request, both hops: ${without.toFixed(0)} µs without stories (${spread(figures.off)}), ` +
          `${with_.toFixed(0)} µs with (${spread(figures.on)}): ${(with_ / without).toFixed(3)}x`,
      );
    }
  } finally {
    await Promise.all([off.platform.stop(), on.platform.stop()]);
  }
}

function sample(id: string): Story {
  const fields = Array.from({ length: 14 }, (_, at) => [`x-header-${at}`, 'value of a header '.repeat(2)] as const);
  return {
    format: STORY_FORMAT,
    ...{ requestId: id, span: id, hop: 'edge', pop: 'p', atMs: Date.now(), durationMs: 1, end: 'sent', status: 500 },
    client: { ip: '127.0.0.1', protocol: 'http', httpVersion: '1.1' },
    request: { method: 'GET', host: 'bench.localhost', url: '/some/path?a=1', fields },
    ...{ timings: 'eh=1', statuses: 'eh=500' },
  };
}

async function finding(): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'sv-bench-why-'));
  try {
    const ring = new StoryRing({ directory: home, bytes: RING_BYTES, retentionHours: 24 });
    const each = JSON.stringify(sample('x'.repeat(36))).length + 1;
    const count = Math.floor((RING_BYTES / each) * 1.1);
    for (let at = 0; at < count; at++) {
      // Half of them are failures, so that both rings are full.
      ring.write({ ...sample(`story-${at}`), status: at % 2 === 0 ? 500 : 200 });
      if (at % 500 === 0) await ring.flush();
    }
    await ring.close();
    const search = new StorySearch({ stories: home, logs: home, retentionHours: 24 });
    const { signal } = new AbortController();
    const delay = monitorEventLoopDelay({ resolution: 1 });
    const times: number[] = [];
    const usedBefore = process.cpuUsage();
    delay.enable();
    for (let at = 0; at < 5; at++) {
      const sinceMs = performance.now();
      const found = await search.stories(`story-${count - 1 - at * 1_000}`, signal);
      times.push(performance.now() - sinceMs);
      if (found.length !== 1) throw new Error('a story was not found');
    }
    delay.disable();
    const used = process.cpuUsage(usedBefore);
    const processorMs = (used.user + used.system) / 1000 / times.length;
    const sinceMs = performance.now();
    await search.last({ limit: 20 }, signal);
    const lastMs = performance.now() - sinceMs;
    console.log(
      `finding   one id in ${(RING_BYTES / 1024 / 1024).toFixed(0)} MB: ${median(times).toFixed(0)} ms, ${processorMs.toFixed(0)} ms of processor time; event loop late by ` +
        `${(delay.percentile(99) / 1e6).toFixed(1)} ms (p99), ${(delay.max / 1e6).toFixed(1)} ms at most; the newest 20 failures: ${lastMs.toFixed(0)} ms`,
    );
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}

await finding();
await recording();
