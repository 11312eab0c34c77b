/**
 * Where every limit is enforced, and which story proves it. A limit that nothing enforces says so in its own row; one
 * that is new has no place here yet, and then this does not compile.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { LIMITS, type LimitKey } from '../../src/config/limits.ts';

/** Source file that reads the limit, test file that breaches it, and what to look for there when not the key itself. */
type Proof = readonly [source: string, test: string, words?: string] | 'not part of this version' | 'nowhere';

const BOUNDARIES = 'test/scenarios/limits.test.ts';
const STAGES = 'src/upstream/stages.test.ts';
const ORIGIN = 'src/upstream/origin.ts';
const POP = 'src/cli/platform/pop-process.ts';

const PROOFS: Readonly<Record<LimitKey, Proof>> = {
  'url.pathQueryBytes': ['src/cli/platform/listeners.ts', BOUNDARIES],
  'request.cookieBytes': ['src/cli/platform/listeners.ts', BOUNDARIES],
  'request.headerBytes': ['src/cli/platform/listeners.ts', BOUNDARIES],
  'request.headerCount': ['src/pop/identify.ts', BOUNDARIES],
  'response.cookieBytes': [ORIGIN, BOUNDARIES],
  'response.headerBytes': [ORIGIN, BOUNDARIES],
  'response.headerCount': [ORIGIN, BOUNDARIES],
  'response.headerFieldBytes': [ORIGIN, BOUNDARIES],
  nestedRequests: ['src/pop/identify.ts', 'test/scenarios/spoofing.test.ts'],
  'upstream.dnsMs': [ORIGIN, STAGES, 'LAB_LIMITS.dnsMs'],
  'upstream.connectMs': [ORIGIN, STAGES, 'LAB_LIMITS.connectMs'],
  'upstream.tlsMs': [ORIGIN, STAGES, 'LAB_LIMITS.tlsMs'],
  'upstream.writeIdleMs': [ORIGIN, STAGES, 'LAB_LIMITS.writeIdleMs'],
  'upstream.responseMs': [ORIGIN, STAGES, 'LAB_LIMITS.responseMs'],
  'upstream.bodyIdleMs': [ORIGIN, STAGES, 'LAB_LIMITS.bodyIdleMs'],
  'upstream.bodyBytes': [ORIGIN, BOUNDARIES],
  'upstream.poolSize': [ORIGIN, STAGES, 'poolSize'],
  'upstream.poolWaitMs': [ORIGIN, STAGES, 'LAB_LIMITS.poolWaitMs'],
  'static.bodyBytes': ['src/control/manifest-check.ts', 'src/control/server.test.ts'],
  'pop.dnsMs': [ORIGIN, STAGES, 'LAB_LIMITS.dnsMs'],
  'pop.connectMs': [ORIGIN, STAGES, 'LAB_LIMITS.connectMs'],
  'pop.tlsMs': [ORIGIN, STAGES, 'LAB_LIMITS.tlsMs'],
  'pop.silenceMs': [ORIGIN, 'test/scenarios/failures-entry.test.ts', 'silenceMs'],
  'pop.poolSize': [ORIGIN, STAGES, 'poolSize'],
  'pop.heartbeatMs': ['src/pop/global.ts', 'test/scenarios/failures-entry.test.ts', 'heartbeatMs'],
  'compute.scheduleMs': [POP, 'src/compute/scheduler.test.ts', 'scheduleMs'],
  'compute.queueDepth': [POP, 'src/compute/scheduler.test.ts', 'queueDepth'],
  'compute.responseMs': [POP, 'src/compute/timeout.test.ts', 'responseMs'],
  'compute.loadMs': [POP, 'src/compute/timeout.test.ts', 'loadMs'],
  'compute.reservedMs': [POP, 'src/compute/timeout.test.ts', 'reservedMs'],
  'compute.requestBytes': [POP, BOUNDARIES],
  'compute.responseBytes': [POP, BOUNDARIES],
  'compute.memoryMiB': [POP, 'src/compute/memory.test.ts', 'memoryMiB'],
  'compute.reservedMemoryMiB': [POP, 'src/compute/memory.test.ts', 'reservedMemoryMiB'],
  'compute.tmpMiB': 'not part of this version',
  'compute.concurrencyPerWorker': [POP, 'src/compute/run.test.ts', 'concurrencyPerWorker'],
  drainMs: ['src/cli/platform/platform.ts', 'test/scenarios/failures-entry.test.ts'],
  'client.headMs': ['src/cli/platform/listeners.ts', 'test/scenarios/why-entry.test.ts', 'headMs'],
  'client.idleMs': ['src/cli/platform/listeners.ts', 'src/http/listener.test.ts', 'idleMs'],
  'cache.keyBodyBytes': ['src/pop/routing.ts', 'test/scenarios/caching.test.ts', 'keyBodyBytes'],
  'cache.hitForPassSeconds': [POP, 'test/scenarios/caching.test.ts', 'hitForPassSeconds'],
  'cache.deploymentSettleSeconds': 'nowhere',
  'prefetch.defaultTtlSeconds': ['src/pop/deliver.ts', BOUNDARIES, 'defaultTtlSeconds'],
  'prerender.concurrency': [POP, 'test/scenarios/prerender.test.ts', 'concurrency'],
  'prerender.requestsPerDeployment': [POP, 'test/scenarios/prerender.test.ts', 'requestsPerDeployment'],
  'purge.tagsPerResponse': ['src/pop/dial.ts', BOUNDARIES, 'tagsPerResponse'],
  'bundle.compressedBytes': ['src/control/manifest-check.ts', 'src/control/server.test.ts'],
  'bundle.uncompressedBytes': ['src/control/manifest-check.ts', 'src/control/server.test.ts'],
  environments: ['src/control/sqlite-store.ts', BOUNDARIES],
  'log.userTimingBytes': [POP, 'src/telemetry/log-file.test.ts', 'userTimingBytes'],
  'log.accessRetentionHours': [POP, 'src/telemetry/log-file.test.ts', 'retentionHours'],
  'why.retentionHours': [POP, 'test/scenarios/why-ring.test.ts', 'retentionHours'],
  'why.bytes': [POP, 'test/scenarios/why-ring.test.ts', 'bytes'],
  'dri.bodyBytes': 'not part of this version',
  'redirects.perEnvironment': 'not part of this version',
  'experiments.variants': 'not part of this version',
};

const read = (path: string): string => readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');

describe('every limit', () => {
  for (const [key, proof] of Object.entries(PROOFS) as [LimitKey, Proof][]) {
    if (typeof proof === 'string') {
      test(`${key} says that nothing enforces it`, () => assert.ok(LIMITS[key].at.includes(proof), LIMITS[key].at));
      continue;
    }
    const [source, story, words = key] = proof;
    test(`${key} is read by ${source} and breached in ${story}`, () => {
      assert.ok(read(source).includes(key), source);
      assert.ok(read(story).includes(words), story);
    });
  }
});
