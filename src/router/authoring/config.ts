/**
 * The project's configuration, for plugins and connectors. The platform puts it in place before it loads the routes
 * file: with `setProjectConfig`, or in a worker through the variable SELVEDGE_PROJECT_CONFIG (JSON).
 */
type Values = Readonly<Record<string, unknown>>;
const KEY = Symbol.for('selvedge.project-config.v1');
const store = globalThis as { [KEY]?: Values };

/** Platform side: what `get` answers from now on, in this process, for every copy of this module. */
export function setProjectConfig(values: Values): void {
  store[KEY] = values;
}

function all(): Values {
  const json = globalThis.process?.env.SELVEDGE_PROJECT_CONFIG;
  store[KEY] ??= json ? (JSON.parse(json) as Values) : {};
  return store[KEY];
}

const has = (key: string): boolean => find(key) !== undefined;

/** The value at a dotted key. Throws when there is none and no fallback. */
function get(key: string, ...fallback: [value?: unknown]): unknown {
  const value = find(key);
  if (value !== undefined) return value;
  if (fallback.length > 0) return fallback[0];
  throw new Error(`the project configuration has no '${key}'; add it to selvedge.config, or pass a fallback`);
}

function find(key: string): unknown {
  const values = all();
  if (Object.hasOwn(values, key)) return values[key];
  return key.split('.').reduce<unknown>((value, part) => (value as Values | undefined)?.[part], values);
}

export const config = { get, has, all };
