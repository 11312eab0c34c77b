/** Known keys of every options object, and the reading of `cache` options. Unknown keys are warnings, never silence. */
import type { CacheSettings } from '../table.ts';
import { CustomCacheKey } from './cache-key.ts';
import { kindOf, type Reporter } from './op-builders.ts';
import type { BackendOptions, CacheOptions } from './types.ts';

const KEYS = {
  cache: ['edge', 'browser', 'key', 'prefetchUpstreamRequests', 'cacheableStatusCodes'],
  'cache.edge': [
    'maxAgeSeconds',
    'staleWhileRevalidateSeconds',
    'staleIfErrorSeconds',
    'heuristicMaxAgeSeconds',
    'forcePrivateCaching',
    'forceSetCookieCaching',
    'obeyRequestDirectives',
    'key',
  ],
  'cache.browser': ['maxAgeSeconds', 'serviceWorkerSeconds', 'convertToGet', 'spa'],
  proxy: ['path', 'headers', 'transformRequest', 'transformResponse', 'removeEmptySearchParamValues'],
  serveStatic: [
    'onNotFound',
    'loadingPage',
    'expiresSeconds',
    'statusCode',
    'statusMessage',
    'permanent',
    'exclude',
    'disableAutoPublish',
  ],
  redirect: ['statusCode', 'query'],
  allowCors: ['origin', 'methods', 'headers', 'maxAge', 'credentials'],
  static: ['handler', 'glob', 'ignore', 'paths', 'sort', 'label'],
  backend: [
    ...(['domainOrIp', 'hostHeader', 'port', 'scheme', 'basePath', 'disableCheckCert', 'firstByteTimeout'] as const),
    'passUnknownTransferCoding',
  ],
  requireBasicAuth: ['route', 'criteria', 'username', 'password', 'realm', 'strictAuth'],
} as const;
export type OptionsName = keyof typeof KEYS;

export function warnUnknownKeys(name: OptionsName, options: object, report: Reporter): void {
  const known: readonly string[] = KEYS[name];
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue;
    const home = Object.entries(KEYS).find(
      ([other, keys]) => sameFamily(other, name) && keys.includes(key as never),
    )?.[0];
    report.warn(`${name}: the option '${key}' is not known here and is ignored`, home && `it belongs to ${home}`);
  }
}

const sameFamily = (a: string, b: string): boolean => a !== b && a.split('.')[0] === b.split('.')[0];

/** `key` apart, because it goes elsewhere in the table. */
export function readCacheOptions(
  options: CacheOptions,
  report: Reporter,
): { settings: CacheSettings; key?: CustomCacheKey } {
  if (typeof options !== 'object' || options === null) {
    report.error(`cache takes an options object, not ${kindOf(options)}`, 'cache({ edge: { maxAgeSeconds: 60 } })');
    return { settings: {} };
  }
  warnUnknownKeys('cache', options, report);
  const { edge, browser, prefetchUpstreamRequests, cacheableStatusCodes } = options;
  const settings: CacheSettings = {
    ...(edge === undefined ? {} : { edge: readPart('cache.edge', edge, report) }),
    ...(browser === undefined ? {} : { browser: readPart('cache.browser', browser, report) }),
    ...(prefetchUpstreamRequests === undefined ? {} : { prefetchUpstreamRequests }),
    ...(cacheableStatusCodes === undefined ? {} : { cacheableStatusCodes: readStatuses(cacheableStatusCodes, report) }),
  };
  return { settings, ...(readKey(options, report) ?? {}) };
}

function readStatuses(statuses: unknown, report: Reporter): readonly number[] {
  const list: readonly unknown[] = Array.isArray(statuses) ? statuses : [statuses];
  const wrong = list.filter((status) => !(Number.isInteger(status) && Number(status) >= 200 && Number(status) <= 599));
  for (const status of wrong)
    report.error(`cache.cacheableStatusCodes must be statuses, not ${String(status)}`, '[404]');
  return list.filter((status) => !wrong.includes(status)) as number[];
}

function readPart<Part extends object>(
  name: 'cache.edge' | 'cache.browser',
  part: Part | false,
  report: Reporter,
): Part | false {
  if (part === false) return false;
  if (typeof part !== 'object' || part === null) {
    report.error(`${name} must be an object or false, not ${kindOf(part)}`);
    return {} as Part;
  }
  warnUnknownKeys(name, part, report);
  const known: readonly string[] = KEYS[name];
  const entries = Object.entries(part).filter(
    ([key, value]) => key !== 'key' && known.includes(key) && value !== undefined,
  );
  for (const [key, value] of entries) {
    if (key.endsWith('Seconds') && !(typeof value === 'number' && value >= 0 && Number.isFinite(value)))
      report.error(`${name}.${key} must be a number of seconds, not ${String(value)}`);
  }
  return Object.fromEntries(entries) as Part;
}

/** Some files put the key beside the edge options. */
function readKey({ key, edge }: CacheOptions, report: Reporter): { key: CustomCacheKey } | null {
  const given: unknown = key ?? (edge && (edge as { key?: unknown }).key);
  if (given === undefined || given === false) return null;
  if (typeof (given as CustomCacheKey).toJSON === 'function') return { key: given as CustomCacheKey };
  report.error(
    `cache.key must be a CustomCacheKey, not ${kindOf(given)}`,
    `new ${CustomCacheKey.name}().addHeader('…')`,
  );
  return null;
}

/** Later settings win, key by key. */
export function mergeCacheSettings(before: CacheSettings | undefined, after: CacheSettings): CacheSettings {
  const part = <Part extends object>(a: Part | false | undefined, b: Part | false | undefined) =>
    b === undefined ? a : a && b ? { ...a, ...b } : b;
  const edge = part(before?.edge, after.edge);
  const browser = part(before?.browser, after.browser);
  return {
    ...before,
    ...after,
    ...(edge === undefined ? {} : { edge }),
    ...(browser === undefined ? {} : { browser }),
  };
}

export function readBackend(name: string, options: BackendOptions, report: Reporter): BackendOptions | null {
  if (typeof options?.domainOrIp !== 'string' || options.domainOrIp === '') {
    report.error(`the backend '${name}' has no domainOrIp`, "setBackend('name', { domainOrIp: 'example.com' })");
    return null;
  }
  warnUnknownKeys('backend', options, report);
  return Object.fromEntries(
    Object.entries(options).filter(([key, value]) => value !== undefined && KEYS.backend.includes(key as never)),
  ) as unknown as BackendOptions;
}
