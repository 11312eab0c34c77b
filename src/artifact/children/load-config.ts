/** Runs a bundled configuration file and hands its value over, with what JSON cannot say marked by kind. */
import { pathToFileURL } from 'node:url';
import { runJob } from './child-main.ts';
import { installHooks } from './hooks.ts';

export interface LoadConfigInput {
  readonly projectDir: string;
  /** The bundle, absolute. */
  readonly file: string;
}

runJob<LoadConfigInput>(async ({ projectDir, file }) => {
  Object.assign(globalThis, { __selvedge_root: projectDir });
  installHooks(projectDir, [file]);
  const module = (await import(pathToFileURL(file).href)) as { default?: unknown };
  const exported = unwrap(module);
  return portable(typeof exported === 'function' ? await exported() : await exported, []);
});

/** The default export, also of CommonJS inside an ES module. */
function unwrap(module: { default?: unknown }): unknown {
  const inner = module.default;
  const isInterop = typeof inner === 'object' && inner !== null && '__esModule' in inner && 'default' in inner;
  if (isInterop) return inner.default;
  return inner === undefined ? { ...module } : inner;
}

function portable(value: unknown, parents: readonly unknown[]): unknown {
  if (typeof value === 'function' || typeof value === 'symbol' || typeof value === 'bigint')
    return { $selvedge: typeof value };
  if (typeof value === 'number' && !Number.isFinite(value)) return { $selvedge: String(value) };
  if (value instanceof RegExp) return { $selvedge: 'regular expression' };
  if (typeof value !== 'object' || value === null) return value;
  if (parents.includes(value)) return { $selvedge: 'circular reference' };
  const chain = [...parents, value];
  if (Array.isArray(value)) return value.map((item) => portable(item, chain));
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, portable(member, chain)]));
}
