/**
 * What a monitoring system asks for: counters and durations of the requests that were served, as the Prometheus text
 * format (exposition format 0.0.4). Everything is counted from access records, so that log and metrics cannot tell
 * different stories. POP processes send what has been added since they last did; whoever serves the text sums it up,
 * and a process that dies takes nothing of it along.
 */
import type { AccessRecord } from '../observe/log-fields.ts';
import { CAUSES, type Cause } from '../status/causes.ts';

interface MetricRow {
  readonly type: 'counter' | 'histogram';
  readonly labels: readonly string[];
  readonly doc: string;
}

/** Every metric without its `selvedge_`. */
export const TRAFFIC_METRICS = {
  requests_total: {
    type: 'counter',
    labels: ['environment', 'code', 'cache'],
    doc: 'Requests by the status that was sent. `cache` is the level that answered: `l1`, `l2`, `miss`, or `none` where no cache was asked. `code` is `none` when the client left before.',
  },
  failures_total: {
    type: 'counter',
    labels: ['environment', 'code', 'cause', 'hop', 'phase', 'acts'],
    doc: 'Failures by platform code, cause, hop that saw it, phase, and party that has to act: the same words as in docs/status-codes.md.',
  },
  request_duration_seconds: {
    type: 'histogram',
    labels: ['environment', 'cache'],
    doc: 'Request received until the last byte of the answer was sent.',
  },
  request_bytes_total: { type: 'counter', labels: ['environment'], doc: 'Bytes of requests.' },
  response_bytes_total: { type: 'counter', labels: ['environment'], doc: 'Bytes of response bodies.' },
  incomplete_total: {
    type: 'counter',
    labels: ['environment'],
    doc: 'Answers that did not go out completely: the client left, or the transfer was cut.',
  },
} as const satisfies Record<string, MetricRow>;

export type TrafficMetric = keyof typeof TRAFFIC_METRICS;
const METRIC_NAMES = Object.keys(TRAFFIC_METRICS) as readonly TrafficMetric[];

/** Upper ends in seconds. */
export const BUCKETS: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 60,
];

/** Label values joined by a tab → a count, or the counts of a histogram's buckets followed by its sum. */
type Series = Map<string, number[]>;
/** What was added: plain data, for sending. */
export type TrafficDelta = Partial<Record<TrafficMetric, readonly (readonly [labels: string, values: number[]])[]>>;

/** Beyond so many series of one metric, further environments are counted as one. */
const MOST_SERIES = 2_000;
const OTHERS = 'other';

export class Traffic {
  #series = emptySeries();
  /** Kept for ever: as many as there are environments and statuses of hits. */
  readonly #meters = new Map<string, TrafficMeter>();

  /** `durationMs`: start of the request until now. */
  observe(record: Partial<AccessRecord>, durationMs: number): void {
    const environment = record.eid ?? 'none';
    const cache = cacheOf(record);
    this.#count('requests_total', [environment, record.code ?? 'none', cache], 1);
    if (record.fault !== undefined) this.#count('failures_total', [environment, ...failureLabels(record)], 1);
    this.#measure('request_duration_seconds', [environment, cache], durationMs / 1_000);
    this.#count('request_bytes_total', [environment], record.s_rq ?? 0);
    this.#count('response_bytes_total', [environment], record.s_rs ?? 0);
    if (record.done === false) this.#count('incomplete_total', [environment], 1);
  }

  /** A counter of its own for requests that differ in size and duration only; what it counts is part of the rest. */
  meter(record: Partial<AccessRecord>): TrafficMeter {
    const environment = record.eid ?? 'none';
    const key = [environment, record.code ?? 'none', cacheOf(record)].join('\t');
    let meter = this.#meters.get(key);
    if (meter === undefined) {
      meter = new TrafficMeter(environment, record.code ?? 'none', cacheOf(record));
      this.#meters.set(key, meter);
    }
    return meter;
  }

  #collect(meter: TrafficMeter): void {
    const { environment, code, cache, requests, incomplete } = meter;
    if (requests === 0) return;
    this.#count('requests_total', [environment, code, cache], requests);
    addTo(this.#seriesOf('request_duration_seconds', [environment, cache], NO_MEASURES), meter.durations);
    this.#count('request_bytes_total', [environment], meter.requestBytes);
    this.#count('response_bytes_total', [environment], meter.responseBytes);
    if (incomplete > 0) this.#count('incomplete_total', [environment], incomplete);
    meter.clear();
  }

  /** What was added since the last call, or null. */
  take(): TrafficDelta | null {
    for (const meter of this.#meters.values()) this.#collect(meter);
    const filled = METRIC_NAMES.filter((name) => this.#series[name].size > 0);
    if (filled.length === 0) return null;
    const taken = Object.fromEntries(filled.map((name) => [name, [...this.#series[name]]])) as TrafficDelta;
    this.#series = emptySeries();
    return taken;
  }

  add(delta: TrafficDelta): void {
    for (const name of METRIC_NAMES) {
      for (const [labels, values] of delta[name] ?? []) addTo(this.#seriesOf(name, labels.split('\t'), values), values);
    }
  }

  /** The exposition format. */
  text(): string {
    return METRIC_NAMES.flatMap((name) => {
      const { type, doc, labels } = TRAFFIC_METRICS[name];
      const full = `selvedge_${name}`;
      const lines = [...this.#series[name]].flatMap(([key, values]) =>
        type === 'histogram'
          ? histogramLines(full, labels, key.split('\t'), values)
          : [`${full}${labelText(labels, key.split('\t'))} ${values[0]}`],
      );
      return [`# HELP ${full} ${doc.replaceAll('\\', '\\\\')}`, `# TYPE ${full} ${type}`, ...lines, ''];
    }).join('\n');
  }

  #count(name: TrafficMetric, labels: readonly string[], amount: number): void {
    this.#seriesOf(name, labels, [0])[0]! += amount;
  }

  #measure(name: TrafficMetric, labels: readonly string[], seconds: number): void {
    const values = this.#seriesOf(name, labels, NO_MEASURES);
    const bucket = BUCKETS.findIndex((end) => seconds <= end);
    values[bucket < 0 ? BUCKETS.length : bucket]! += 1;
    values[BUCKETS.length + 1]! += Math.max(0, seconds);
  }

  #seriesOf(name: TrafficMetric, labels: readonly string[], like: readonly number[]): number[] {
    const series = this.#series[name];
    let key = labels.join('\t');
    if (!series.has(key) && series.size >= MOST_SERIES) key = [OTHERS, ...labels.slice(1)].join('\t');
    let values = series.get(key);
    if (values === undefined) {
      values = like.map(() => 0);
      series.set(key, values);
    }
    return values;
  }
}

/** Buckets, the one beyond all of them, and the sum. */
const NO_MEASURES: readonly number[] = [...BUCKETS.map(() => 0), 0, 0];

/** Counts without looking anything up. */
export class TrafficMeter {
  readonly environment: string;
  readonly code: string;
  readonly cache: string;
  requests = 0;
  requestBytes = 0;
  responseBytes = 0;
  incomplete = 0;
  durations = [...NO_MEASURES];

  constructor(environment: string, code: string, cache: string) {
    this.environment = environment;
    this.code = code;
    this.cache = cache;
  }

  count(requestBytes: number, responseBytes: number, durationMs: number, done: boolean): void {
    const seconds = durationMs / 1_000;
    let bucket = 0;
    while (bucket < BUCKETS.length && seconds > BUCKETS[bucket]!) bucket++;
    this.durations[bucket]! += 1;
    this.durations[BUCKETS.length + 1]! += seconds;
    this.requests++;
    this.requestBytes += requestBytes;
    this.responseBytes += responseBytes;
    if (!done) this.incomplete++;
  }

  clear(): void {
    this.requests = this.requestBytes = this.responseBytes = this.incomplete = 0;
    this.durations.fill(0);
  }
}

const emptySeries = (): Record<TrafficMetric, Series> =>
  Object.fromEntries(METRIC_NAMES.map((name) => [name, new Map()])) as Record<TrafficMetric, Series>;

function cacheOf({ ckh, clv }: Partial<AccessRecord>): string {
  if (clv === 1 || clv === 2) return `l${clv}`;
  return ckh === undefined ? 'none' : 'miss';
}

function failureLabels({ xcode = '', fault = '', hop = '', act = '' }: Partial<AccessRecord>): string[] {
  const phase = fault in CAUSES ? CAUSES[fault as Cause].phase : '';
  return [xcode, fault, hop, phase, act];
}

function addTo(values: number[], added: readonly number[]): void {
  for (const [at, amount] of added.entries()) values[at]! += amount;
}

function histogramLines(name: string, labels: readonly string[], key: readonly string[], values: readonly number[]) {
  let below = 0;
  const buckets = [...BUCKETS.map(String), '+Inf'].map((end, at) => {
    below += values[at]!;
    return `${name}_bucket${labelText([...labels, 'le'], [...key, end])} ${below}`;
  });
  const own = labelText(labels, key);
  return [...buckets, `${name}_sum${own} ${values[BUCKETS.length + 1]}`, `${name}_count${own} ${below}`];
}

const labelText = (names: readonly string[], values: readonly string[]): string =>
  `{${names.map((name, at) => `${name}="${quoted(values[at] ?? '')}"`).join(',')}}`;

const quoted = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
