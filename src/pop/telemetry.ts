/**
 * What one exchange tells about itself in `{prefix}-t`, `{prefix}-status` and `{prefix}-components`: metrics, one
 * status and one tag per component passed, each in order of processing whatever order they became known in.
 * Source: spec "Headers and telemetry", sections 3 and 4.
 */
import { METRIC_NAMES, type Metric, type Metrics, metricsText, parseMetrics } from '../observe/metrics.ts';

export type PopRole = 'edge' | 'global';

/** `e` or `g`: the letter that every metric and component of a POP starts with. */
export const roleLetter = (role: PopRole): 'e' | 'g' => (role === 'edge' ? 'e' : 'g');

/** Hop order. */
const STATUS_ORDER = ['eh', 'ed', 'gh', 'gd', 'p', 'w'];
const COMPONENT_ORDER = ['e', 'g', 'b', 'p', 'w', 'wi'];

export class ExchangeTelemetry {
  #metrics: Record<string, number | string | undefined> = {};
  readonly #statuses = new Map<string, string>();
  readonly #components = new Map<string, string>();

  metric<Name extends Metric>(name: Name, value: Metrics[Name]): void {
    this.#metrics[name] = typeof value === 'number' ? Math.max(0, value) : value;
  }

  /** Several at once, as a worker reports them; names that are no metric are left away. */
  metrics(values: Readonly<Record<string, number | string | undefined>>): void {
    for (const name of METRIC_NAMES) if (values[name] !== undefined) this.#metrics[name] = values[name];
  }

  status(component: string, code: number): void {
    this.#statuses.set(component, String(code));
  }

  component(tag: string, value: string): void {
    this.#components.set(tag, value);
  }

  /**
   * Moves out what was said about everything behind this hop's cache, in list form: it belongs to the response and is
   * stored with it, so that a hit still tells who made the object.
   */
  takeBehindCache(letter: 'e' | 'g'): { statuses: string; components: string } {
    const own = (tag: string): boolean => tag === `${letter}h` || tag === letter;
    return {
      statuses: listText(takeFrom(this.#statuses, own), STATUS_ORDER),
      components: listText(takeFrom(this.#components, own), COMPONENT_ORDER),
    };
  }

  /** Takes over what an inner hop reported about this request, or a stored response about the one that filled it. */
  inner(part: { metrics?: string; statuses?: string; components?: string }): void {
    if (part.metrics) this.metrics(parseMetrics(part.metrics));
    readList(part.statuses, this.#statuses);
    readList(part.components, this.#components);
  }

  /** The `t` header; `compatible` leaves away what earlier systems did not have. */
  metricsText(compatible: boolean): string {
    return metricsText(this.#metrics as Metrics, { compatible });
  }

  get statuses(): string {
    return listText(this.#statuses, STATUS_ORDER);
  }

  get components(): string {
    return listText(this.#components, COMPONENT_ORDER);
  }
}

function takeFrom(map: Map<string, string>, stays: (tag: string) => boolean): Map<string, string> {
  const taken = new Map([...map].filter(([tag]) => !stays(tag)));
  for (const tag of taken.keys()) map.delete(tag);
  return taken;
}

function listText(map: ReadonlyMap<string, string>, order: readonly string[]): string {
  const place = (tag: string): number => (order.includes(tag) ? order.indexOf(tag) : order.length);
  return [...map]
    .sort(([a], [b]) => place(a) - place(b))
    .map(([tag, value]) => `${tag}=${value}`)
    .join(',');
}

/** What this hop has said itself is not overwritten. */
function readList(text: string | undefined, into: Map<string, string>): void {
  for (const part of text?.split(',') ?? []) {
    const [tag, value] = part.split('=', 2);
    if (tag && value !== undefined && !into.has(tag)) into.set(tag, value);
  }
}
