/**
 * The keys of a project's configuration file as one table: how each is checked and what to write instead. Keys of
 * the declarative generation (v7) are read and mapped in `origins.ts`. Source: spec page platform, section 8.
 */
import type { Backend } from '../router/table.ts';
import { mapDeclarativeKeys } from './origins.ts';
import type { Problems } from './problems.ts';

/** The project's own HTTP server, for any framework and language. One of `entry` and `command`. */
export interface AppConfig {
  /** Module that listens on `$PORT` or exports a request listener; bundled into one file. */
  readonly entry?: string;
  /** Program and arguments, run in the bundle's folder: `['node', 'server.js']`. Its files: `directory`, `includeFiles`. */
  readonly command?: readonly string[];
  /** Self-contained folder (a framework's standalone output) that joins the bundle whole, `node_modules` included. */
  readonly directory?: string;
}

export interface ProjectConfig {
  readonly name?: string;
  readonly team?: string;
  readonly routes?: string;
  readonly backends: Readonly<Record<string, Backend>>;
  /** Package name or project-relative directory with `build`, `prod` … entries. */
  readonly connector?: string;
  readonly includeNodeModules: boolean;
  /** Glob → `true` (same place) or the destination folder (or file, for a single file) in the bundle. */
  readonly includeFiles: Readonly<Record<string, true | string>>;
  /** Globs of files that are served as they are. */
  readonly staticAssets: readonly string[];
  /** Code for browsers: source file → asset (`assets/app.js`), whose name gets a hash of the content. */
  readonly browser: Readonly<Record<string, string>>;
  readonly sources?: readonly string[];
  /** 1 to 200. */
  readonly prerenderConcurrency: number;
  readonly express?: { readonly appPath?: string; readonly bundler?: string };
  readonly app?: AppConfig;
}

export const PRERENDER_CONCURRENCY_MAX = 200;

interface FieldRow {
  /** Completes "must be …". */
  readonly expected: string;
  readonly test: (value: unknown) => boolean;
  /** An example that can be written instead. */
  readonly example: string;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '';
const isFlag = (value: unknown): boolean => typeof value === 'boolean';
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const isWhole = (from: number, to: number) => (value: unknown) =>
  Number.isInteger(value) && (value as number) >= from && (value as number) <= to;
export const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !('$selvedge' in value);

const text = (example: string): FieldRow => ({ expected: 'a non-empty string', test: isText, example });

const FIELDS: Readonly<Record<string, FieldRow>> = {
  name: text("name: 'shop'"),
  team: text("team: 'web'"),
  routes: text("routes: './src/routes.ts'"),
  backends: {
    expected: 'an object of named backends',
    test: isRecord,
    example: "backends: { api: { domainOrIp: 'api.example.com' } }",
  },
  connector: text("connector: './connector'"),
  includeNodeModules: { expected: 'true or false', test: isFlag, example: 'includeNodeModules: true' },
  includeFiles: {
    expected: 'an object of globs, each with true or a destination',
    test: (value) => isRecord(value) && Object.values(value).every((to) => typeof to === 'boolean' || isText(to)),
    example: "includeFiles: { 'views/**': true }",
  },
  staticAssets: { expected: 'a list of globs', test: isTexts, example: "staticAssets: ['public/**']" },
  browser: {
    expected: 'an object of source files, each with the asset that it becomes',
    test: (value) => isRecord(value) && Object.values(value).every(isText),
    example: "browser: { 'client/app.ts': 'assets/app.js' }",
  },
  sources: { expected: 'a list of globs', test: isTexts, example: "sources: ['src/**']" },
  prerenderConcurrency: {
    expected: `a whole number from 1 to ${PRERENDER_CONCURRENCY_MAX}`,
    test: isWhole(1, PRERENDER_CONCURRENCY_MAX),
    example: `prerenderConcurrency: ${PRERENDER_CONCURRENCY_MAX}`,
  },
  express: { expected: 'an object', test: isRecord, example: "express: { appPath: './server.js' }" },
  app: { expected: 'an object', test: isRecord, example: "app: { entry: 'server.js' }" },
};

/** Members of `express` and `app`. */
const NESTED: Readonly<Record<string, Readonly<Record<string, FieldRow>>>> = {
  express: { appPath: text("appPath: './server.js'"), bundler: text("bundler: 'esbuild'") },
  app: {
    entry: text("entry: 'server.js'"),
    command: {
      expected: 'a list of strings, the program first',
      test: (value) => isTexts(value) && (value as unknown[]).length > 0,
      example: "command: ['node', 'server.js']",
    },
    directory: text("directory: '.next/standalone'"),
  },
};

const BACKEND: Readonly<Record<string, FieldRow>> = {
  domainOrIp: {
    expected: 'a host name or an IP address, without scheme, port and path',
    test: (value) => isText(value) && /^(\[?[0-9a-f:.]*:[0-9a-f:.]*\]?|[^\s/:?#@]+)$/i.test(value),
    example: "domainOrIp: 'api.example.com'",
  },
  hostHeader: text("hostHeader: 'api.example.com'"),
  port: { expected: 'a whole number from 1 to 65535', test: isWhole(1, 65_535), example: 'port: 8443' },
  scheme: {
    expected: "'https', 'http' or 'match'",
    test: (value) => value === 'https' || value === 'http' || value === 'match',
    example: "scheme: 'http'",
  },
  basePath: text("basePath: '/v2'"),
  disableCheckCert: { expected: 'true or false', test: isFlag, example: 'disableCheckCert: true' },
  firstByteTimeout: {
    expected: 'milliseconds, a positive whole number',
    test: isWhole(1, Number.MAX_SAFE_INTEGER),
    example: 'firstByteTimeout: 30000',
  },
};

/** Read by older platforms; here they change nothing, and the user is told so. */
const WITHOUT_EFFECT = new Set([
  'cloudRuntime',
  'purgeCacheOnDeploy',
  'proxyToServerlessByDefault',
  'interpolationValues',
  'environments',
]);
/** Folded into other keys by `mapDeclarativeKeys`. */
const MAPPED = new Set(['origins', 'serverless', 'organization']);

/** Checks everything and tells all mistakes; what is right is taken. `file` is named in every problem. */
export function readConfig(raw: Readonly<Record<string, unknown>>, file: string, problems: Problems): ProjectConfig {
  const values = { ...mapDeclarativeKeys(raw, file, problems) };
  for (const key of Object.keys(values)) {
    if (values[key] === undefined || !checkField(key, values[key], file, problems, raw)) delete values[key];
  }
  const backends: Record<string, Backend> = {};
  for (const [name, value] of Object.entries((values.backends as Record<string, unknown>) ?? {})) {
    if (checkMembers(`backends.${name}`, value, BACKEND, file, problems, ['domainOrIp']))
      backends[name] = value as Backend;
  }
  for (const key of Object.keys(NESTED))
    if (key in values) checkMembers(key, values[key], NESTED[key]!, file, problems, []);
  checkApp(values.app as AppConfig | undefined, file, problems);
  return {
    prerenderConcurrency: PRERENDER_CONCURRENCY_MAX,
    includeNodeModules: false,
    staticAssets: [],
    browser: {},
    ...values,
    includeFiles: withoutFalse(values.includeFiles as Record<string, boolean | string> | undefined),
    backends,
  } as ProjectConfig;
}

function checkField(
  key: string,
  value: unknown,
  file: string,
  problems: Problems,
  raw: Readonly<Record<string, unknown>>,
): boolean {
  const row = FIELDS[key];
  if (row) return checkValue(key, value, row, file, problems);
  if (MAPPED.has(key)) return false;
  if (WITHOUT_EFFECT.has(key)) problems.warn(`\`${key}\` is read but has no effect here.`, { file });
  else if (!isConnectorOptions(key, raw.connector))
    problems.warn(`Unknown key \`${key}\` is ignored.`, { file, remedy: nearest(key, Object.keys(FIELDS)) });
  return false;
}

/** `astro: {…}` belongs to `connector: '@edgio/astro'`, which reads it itself. */
const isConnectorOptions = (key: string, connector: unknown): boolean =>
  typeof connector === 'string' && connector.split('/').at(-1) === key;

function checkValue(path: string, value: unknown, row: FieldRow, file: string, problems: Problems): boolean {
  if (row.test(value)) return true;
  problems.error(`\`${path}\` must be ${row.expected}, but is ${show(value)}.`, {
    file,
    remedy: `write for example \`${row.example}\`.`,
  });
  return false;
}

function checkMembers(
  path: string,
  value: unknown,
  rows: Readonly<Record<string, FieldRow>>,
  file: string,
  problems: Problems,
  required: readonly string[],
): boolean {
  if (!isRecord(value))
    return checkValue(
      path,
      value,
      { expected: 'an object', test: isRecord, example: `${path.split('.').at(-1)}: { … }` },
      file,
      problems,
    );
  let right = true;
  for (const name of required) {
    if (value[name] !== undefined) continue;
    problems.error(`\`${path}.${name}\` is missing.`, {
      file,
      remedy: `write for example \`${rows[name]!.example}\`.`,
    });
    right = false;
  }
  for (const [name, member] of Object.entries(value)) {
    const row = rows[name];
    if (member === undefined) continue;
    if (row === undefined)
      problems.warn(`Unknown key \`${path}.${name}\` is ignored.`, { file, remedy: nearest(name, Object.keys(rows)) });
    else if (!checkValue(`${path}.${name}`, member, row, file, problems)) right = false;
  }
  return right;
}

function checkApp(app: AppConfig | undefined, file: string, problems: Problems): void {
  if (app === undefined || (app.entry === undefined) !== (app.command === undefined)) return;
  problems.error('`app` must have either `entry` or `command`.', {
    file,
    remedy:
      "write `app: { entry: 'server.js' }` for a module, or `app: { command: ['node', 'server.js'] }` for a program.",
  });
}

const withoutFalse = (files: Record<string, boolean | string> = {}): Record<string, true | string> =>
  Object.fromEntries(Object.entries(files).filter(([, to]) => to !== false)) as Record<string, true | string>;

/** The value as the user wrote it, cut where it is long. */
function show(value: unknown): string {
  if (typeof value === 'object' && value !== null && '$selvedge' in value)
    return `a ${(value as { $selvedge: string }).$selvedge}`;
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 60 ? `${json.slice(0, 57)}…` : json;
}

/** "did you mean" for a slip of one or two characters. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const close = known.find((other) => distance(name.toLowerCase(), other.toLowerCase()) <= 2);
  return close === undefined ? undefined : `did you mean \`${close}\`?`;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(next[j - 1]! + 1, row[j]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length]!;
}
