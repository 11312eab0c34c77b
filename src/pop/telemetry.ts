/**
 * What one exchange tells about itself in `{prefix}-t`, `{prefix}-status` and `{prefix}-components`: metrics in
 * order of processing, one status and one tag per component passed. A POP adds its own in front of what the next
 * hop reported. Source: spec "Headers and telemetry", sections 3 and 4.
 */
export type PopRole = 'edge' | 'global';

/** `e` or `g`: the letter that every metric and component of a POP starts with. */
export const roleLetter = (role: PopRole): 'e' | 'g' => (role === 'edge' ? 'e' : 'g');

export class ExchangeTelemetry {
  readonly #metrics = new Map<string, string>();
  readonly #statuses = new Map<string, number>();
  readonly #components = new Map<string, string>();
  /** What the next hop reported, appended as it came. */
  #innerMetrics = '';
  #innerStatuses = '';
  #innerComponents = '';

  /** Milliseconds are rounded; words (`hit`) and codes stay. */
  metric(name: string, value: number | string): void {
    this.#metrics.set(name, typeof value === 'number' ? String(Math.max(0, Math.round(value))) : value);
  }

  status(component: string, code: number): void {
    this.#statuses.set(component, code);
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
    return { statuses: takeFrom(this.#statuses, own), components: takeFrom(this.#components, own) };
  }

  /** Takes over what an inner hop reported about this request, or a stored response about the one that filled it. */
  inner(part: { metrics?: string; statuses?: string; components?: string }): void {
    this.#innerMetrics = part.metrics ?? this.#innerMetrics;
    this.#innerStatuses = part.statuses ?? this.#innerStatuses;
    this.#innerComponents = part.components ?? this.#innerComponents;
  }

  get metrics(): string {
    return join(this.#metrics, this.#innerMetrics);
  }

  get statuses(): string {
    return join(this.#statuses, this.#innerStatuses);
  }

  get components(): string {
    return join(this.#components, this.#innerComponents);
  }

  value(name: string): string | undefined {
    return this.#metrics.get(name) ?? new RegExp(`(?:^|,)${name}=([^,]*)`).exec(this.#innerMetrics)?.[1];
  }
}

function join(own: ReadonlyMap<string, string | number>, inner: string): string {
  const parts = [...own].map(([name, value]) => `${name}=${value}`);
  if (inner !== '') parts.push(inner);
  return parts.join(',');
}

function takeFrom(map: Map<string, string | number>, stays: (tag: string) => boolean): string {
  const taken = [...map].filter(([tag]) => !stays(tag));
  for (const [tag] of taken) map.delete(tag);
  return join(new Map(taken), '');
}
