/** An upstream room in the lab: time by hand, trust in the lab's authority, one limit per phase that no other has. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { Fields } from '../../src/http/fields.ts';
import type { Body } from '../../src/http/message.ts';
import { Fault } from '../../src/status/fault.ts';
import { createResolver, type Resolver } from '../../src/upstream/dns.ts';
import type { Origin, OriginLimits, Upstream, UpstreamAnswer, UpstreamCall } from '../../src/upstream/types.ts';
import { createUpstream, type UpstreamOptions } from '../../src/upstream/upstream.ts';
import { certificates } from './certificates.ts';
import { newFolder } from './folder.ts';
import { ManualClock } from './manual-clock.ts';

/** Every delay is another number, so that `clock.armed(delay)` says in which phase a call is. */
export const LAB_LIMITS: OriginLimits = {
  dnsMs: 1_001,
  connectMs: 1_002,
  tlsMs: 1_003,
  writeIdleMs: 1_004,
  responseMs: 1_005,
  bodyIdleMs: 1_006,
  poolWaitMs: 1_007,
  poolSize: 8,
  bodyBytes: 100_000_000,
  headerCount: 70,
  headerBytes: 65_536,
  cookieBytes: 32_768,
  headerFieldBytes: Number.POSITIVE_INFINITY,
};

export interface CallOptions extends Partial<Omit<UpstreamCall, 'origin' | 'fields'>> {
  readonly origin?: Partial<Omit<Origin, 'limits'>>;
  readonly limits?: Partial<OriginLimits>;
  readonly fields?: readonly string[];
}

export interface UpstreamLab extends AsyncDisposable {
  readonly clock: ManualClock;
  readonly upstream: Upstream;
  readonly resolver: Resolver;
  /** Sends a GET to a port of 127.0.0.1, unless told otherwise. */
  send(port: number, options?: CallOptions): Promise<UpstreamAnswer>;
  /** The fault that a call ends with; an answer is an error of the test. */
  fault(port: number, options?: CallOptions): Promise<Fault>;
}

export interface LabOptions extends Partial<Omit<UpstreamOptions, 'resolver' | 'clock'>> {
  readonly dnsServers?: readonly string[];
  /** Trust the lab's authority. */
  readonly trusting?: boolean;
}

export async function upstreamLab(options: LabOptions = {}): Promise<UpstreamLab> {
  const clock = new ManualClock();
  const { dnsServers, trusting, ...rest } = options;
  const resolver = createResolver({ clock, servers: dnsServers });
  const trust = trusting ? { caFile: await caFile() } : {};
  const upstream = createUpstream({ ...rest, ...trust, resolver, clock });
  const send: UpstreamLab['send'] = (port, call) => upstream.send(callTo(port, call));
  return {
    clock,
    upstream,
    resolver,
    send,
    fault: (port, call) => faultOf(send(port, call)),
    [Symbol.asyncDispose]: () => upstream.close(),
  };
}

export function callTo(port: number, options: CallOptions = {}): UpstreamCall {
  const { origin, limits, fields = ['Host', 'origin.test'], ...rest } = options;
  return {
    origin: {
      leg: 'upstream',
      scheme: 'http',
      host: '127.0.0.1',
      port,
      verifyCertificate: true,
      ...origin,
      limits: { ...LAB_LIMITS, ...limits },
    },
    hop: 'edge',
    method: 'GET',
    path: '/',
    fields: new Fields(fields),
    body: null,
    signal: new AbortController().signal,
    ...rest,
  };
}

export async function faultOf(work: Promise<unknown>): Promise<Fault> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Fault) return error;
    throw error;
  }
  throw new Error('expected a fault');
}

/** All bytes of a body as text; rejects with the fault of the stream. */
export async function textOf(body: Body): Promise<string> {
  if (body === null) return '';
  if (Buffer.isBuffer(body)) return body.toString('latin1');
  const chunks: Buffer[] = [];
  for await (const chunk of body as Readable) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}

let file: string | undefined;
async function caFile(): Promise<string> {
  if (file === undefined) {
    const { ca } = await certificates();
    file = join(newFolder('authority'), 'ca.pem');
    writeFileSync(file, ca);
  }
  return file;
}

/** Lets everything that has happened be noticed: some full turns of the event loop. */
export async function turns(count = 4): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
}
