/**
 * The metrics of `{prefix}-t`: one table from which their type, their order, the header's text and its
 * documentation follow. Source: spec page headers, section 4.
 */
export type MetricUnit = 'ms' | 'word' | 'code' | 'count' | 'MB';

export interface MetricRow {
  readonly unit: MetricUnit;
  readonly doc: string;
  /** Ours; older systems had no such metric, so it is off in the presets of those. */
  readonly native?: true;
}

const ms = <const D extends string>(doc: D) => ({ unit: 'ms', doc }) as const;
const nativeMs = <const D extends string>(doc: D) => ({ unit: 'ms', doc, native: true }) as const;

/** In the order of processing: the edge, the global POP behind it, compute behind that. */
export const METRICS = {
  eh: ms('Edge: whole time in the client-facing part.'),
  ect: ms('Edge: total in the cache.'),
  ecc: {
    unit: 'word',
    doc: 'Edge cache: `hit`, `cached` (filled by somebody else or found at the next level), `miss`, `pass`.',
  },
  ecwt: ms('Edge: waiting for another request that fetches the same.'),
  edt: ms('Edge: total in the dialling part.'),
  edd: ms('Edge: DNS lookup; 0 when it was cached.'),
  edc: nativeMs('Edge: TCP connect.'),
  eds: nativeMs('Edge: TLS handshake.'),
  edf: ms('Edge: forwarded until the answer started.'),
  dgpop: { unit: 'code', doc: 'Global POP that this edge forwards to.' },
  gh: ms('Global: whole time in the part that faces the edge.'),
  gct: ms('Global: total in the cache.'),
  gcc: { unit: 'word', doc: 'Global cache: the same words.' },
  gcwt: ms('Global: waiting for another request that fetches the same.'),
  gdt: ms('Global: total in the dialling part.'),
  gdd: ms('Global: DNS lookup; 0 when it was cached.'),
  gdc: nativeMs('Global: TCP connect.'),
  gds: nativeMs('Global: TLS handshake.'),
  gdf: ms('Global: forwarded until the answer started.'),
  pt: ms('Scheduler: total.'),
  pq: nativeMs('Scheduler: waiting for a free worker.'),
  pc: { unit: 'count', doc: 'Submissions; more than 1: queued and submitted again.' },
  pf: ms('Scheduler: hand-over until the answer; `pf` − `wt` is the cold start.'),
  pu: ms('Upstream requests that project code made.'),
  wbt: ms('Worker: accounted time.'),
  wm: { unit: 'MB', doc: 'Worker: memory.' },
  wt: ms('Worker: total.'),
  wc: { unit: 'count', doc: 'Requests that this worker has served so far.' },
  wg: ms('Age of the worker.'),
  wl: ms('Summed processing time of the worker.'),
  wr: ms('Worker: route evaluation.'),
  wp: ms('Worker: fetch or proxy.'),
  wa: ms('Worker: request transform.'),
  wz: ms('Worker: response transform or image work.'),
} as const satisfies Record<string, MetricRow>;

export type Metric = keyof typeof METRICS;
/** The cache word of `ecc` and `gcc`. */
export type CacheWord = 'hit' | 'cached' | 'miss' | 'pass';

interface UnitTypes {
  readonly ms: number;
  readonly count: number;
  readonly MB: number;
  readonly word: CacheWord;
  readonly code: string;
}

/** What is known of one exchange; a metric without a value is left away. */
export type Metrics = { readonly [K in Metric]?: UnitTypes[(typeof METRICS)[K]['unit']] | undefined };

export const METRIC_NAMES = Object.keys(METRICS) as readonly Metric[];
const COMPATIBLE = METRIC_NAMES.filter((name) => !('native' in METRICS[name]));

/** The header's value, e.g. `eh=3,ect=2,ecc=hit`. Numbers are whole; `compatible` leaves our additions away. */
export function metricsText(metrics: Metrics, { compatible = false } = {}): string {
  const parts: string[] = [];
  for (const name of compatible ? COMPATIBLE : METRIC_NAMES) {
    const value = metrics[name];
    if (value === undefined) continue;
    parts.push(`${name}=${typeof value === 'number' ? Math.round(value) : value.replace(/[^\w.-]/g, '')}`);
  }
  return parts.join(',');
}

/** Reads what `metricsText` wrote on another hop; unknown names and malformed members are left away. */
export function parseMetrics(text: string): Metrics {
  const metrics: Record<string, number | string> = {};
  for (const part of text.split(',')) {
    const [, name, value] = /^\s*([a-z]{2,5})=([\w.-]+)\s*$/.exec(part) ?? [];
    if (name === undefined || value === undefined || !Object.hasOwn(METRICS, name)) continue;
    const { unit } = METRICS[name as Metric];
    const read = UNIT_READERS[unit](value);
    if (read !== undefined) metrics[name] = read;
  }
  return metrics as Metrics;
}

const readNumber = (text: string): number | undefined => (/^\d{1,12}$/.test(text) ? Number(text) : undefined);

const UNIT_READERS: Readonly<Record<MetricUnit, (text: string) => number | string | undefined>> = {
  ms: readNumber,
  count: readNumber,
  MB: readNumber,
  word: (text) => (/^(?:hit|cached|miss|pass)$/.test(text) ? text : undefined),
  code: (text) => text,
};
