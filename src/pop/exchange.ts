/**
 * One request and its answer, as a POP sees it: who asks, what was decided and why, what it cost. The phases read
 * it and add to it; the access record and every header about the exchange are derived from it at the end.
 */
import { randomBytes } from 'node:crypto';
import type { CacheAnswer, FetchPlan } from '../cache/types.ts';
import type { HttpRequest } from '../http/message.ts';
import type { Fault } from '../status/fault.ts';
import type { CallRecord } from './calls.ts';
import { type Device, detectDevice } from './device.ts';
import type { Destination } from './directory.ts';
import type { Plan } from './plan.ts';
import { ExchangeTelemetry } from './telemetry.ts';

export interface Client {
  /** Most downstream address that can be believed. */
  readonly ip: string;
  /** Who the connection came from, when that is a trusted proxy and not the client itself. */
  readonly peerIp?: string;
  /** As the client spoke it, or as a trusted proxy in front says. */
  readonly protocol: 'http' | 'https';
  readonly httpVersion: string;
}

/** What the cache room needs to know a request by. */
export interface Keyed {
  readonly key: string;
  readonly hash: string;
  /** Query that the upstream sees: without parameters that the key leaves out and without the platform's own. */
  readonly upstreamQuery: string;
  /** Set when the key removed parameters. */
  readonly originalQuery?: string;
}

/** Project code at work for the exchange; monotonic ms. */
export interface RunRecord {
  readonly startedMs: number;
  readonly target: string;
  endedMs?: number;
  status?: number;
  metrics: Readonly<Record<string, number>>;
}

/** Spans are unique in the platform, also after a restart. */
const PROCESS = randomBytes(6).toString('base64url');
let spans = 0;

export class Exchange {
  readonly requestId: string;
  /** The id is the one that the client sent. */
  readonly idFromClient: boolean;
  readonly client: Client;
  /** Without reserved fields; a body that was needed for a decision is a Buffer. */
  request: HttpRequest;
  readonly startedMs: number;
  readonly receivedAtMs: number;
  readonly telemetry = new ExchangeTelemetry();
  destination: Destination | null = null;
  plan: Plan | null = null;
  keyed: Keyed | null = null;
  cached: CacheAnswer | null = null;
  fault: Fault | null = null;
  /** Identity of the hop that raised the fault, when it was not this one. */
  faultRaisedBy: string | undefined;
  /** Everything that was sent to upstreams and over the link. */
  readonly calls: CallRecord[] = [];
  run: RunRecord | null = null;
  /** The plan that failed, when error routes have taken over. */
  failedPlan: { readonly plan: Plan | null; readonly status: number } | null = null;
  /** What the cache was asked; `fetch` is what it wanted of the next hop. */
  asked: { readonly bypass?: string; fetch?: FetchPlan } | null = null;
  /** Protocol that the client asks to switch to. */
  upgradeTo: string | undefined;
  /** Its story has been told. */
  told = false;
  /** Worker instance that answered. */
  workerInstance: string | undefined;
  /** Timings of project code that answered; null: not ended. */
  userTimings: readonly (readonly [name: string, ms: number | null])[] = [];
  backend: string | undefined;
  backendAddress: string | undefined;
  /** Whether the global POP was asked. */
  shielded = false;
  /** Cache level that answered: 0 none, 1 edge, 2 global. */
  level = 0;
  prefetch = false;
  /** Made by the platform itself, to fill its store. */
  preload = false;
  /** What a token check decided; undefined when no route asks for one. */
  jwt: 'permit' | 'blocked' | 'redirect' | undefined;
  /** An error route made the answer. */
  caught = false;
  /** A loading page was served while the real one is made. */
  loadingPage = false;
  #device: Device | undefined;
  #span: string | undefined;

  constructor(init: {
    requestId: string;
    /** Given by the outer hop, which knows this exchange by it. */
    span?: string;
    idFromClient?: boolean;
    client: Client;
    request: HttpRequest;
    startedMs: number;
    receivedAtMs: number;
  }) {
    this.requestId = init.requestId;
    this.#span = init.span;
    this.idFromClient = init.idFromClient ?? false;
    this.client = init.client;
    this.request = init.request;
    this.startedMs = init.startedMs;
    this.receivedAtMs = init.receivedAtMs;
  }

  /** Unique for the exchange, where a request id is not: clients choose those. */
  get span(): string {
    this.#span ??= `${PROCESS}-${(spans++).toString(36)}`;
    return this.#span;
  }

  get device(): Device {
    this.#device ??= detectDevice(this.request.fields.agent());
    return this.#device;
  }
}
