/**
 * Values out of prefetched JSON: `products.image`, `items[0].url`, `items[*].image`, and `:name` to pass each value
 * through a function of `jsonQueryOptions.locals`. Lists on the way are walked through; what else a query may hold
 * is refused.
 */
export interface JsonQueryOptions {
  readonly locals?: Readonly<Record<string, (value: unknown) => unknown>>;
}

/** Strings only, in their order. Throws a `SyntaxError` for a query that is not understood. */
export function queryJson(data: unknown, query: string, { locals = {} }: JsonQueryOptions = {}): string[] {
  const [path = '', ...helpers] = query.split(':');
  let values = steps(path, query).reduce<unknown[]>(advance, [data]);
  for (const name of helpers) {
    const helper = locals[name.replace(/\(\)$/, '')];
    if (!helper) throw new SyntaxError(`json query '${query}': there is no function '${name}' in locals`);
    values = values.flatMap(flat).map((value) => helper(value));
  }
  return values.flatMap(flat).filter((value) => typeof value === 'string');
}

function steps(path: string, query: string): string[] {
  const found = path.match(/[^.[\]]+|\[(?:\d+|\*)?\]/g) ?? [];
  if (found.join('').length !== path.replaceAll('.', '').length)
    throw new SyntaxError(`json query '${query}' is not supported: use names, [n], [*] and :function`);
  return found;
}

function advance(values: unknown[], step: string): unknown[] {
  if (step === '[*]' || step === '[]') return values.flatMap(flat);
  if (step.startsWith('[')) return values.map((value) => (value as unknown[] | undefined)?.[Number(step.slice(1, -1))]);
  return values.flatMap(flat).map((value) => (value as Record<string, unknown> | null | undefined)?.[step]);
}

const flat = (value: unknown): unknown[] => (Array.isArray(value) ? value.flatMap(flat) : [value]);
