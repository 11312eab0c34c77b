/**
 * From a file, command-line overrides and defaults to one checked, frozen `PlatformConfig`. Everything that is
 * wrong is told at once, each with its path, what was seen and what is allowed; nothing is started with a
 * configuration that has a problem. YAML 1.2, of which JSON is a subset.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { LineCounter, parseDocument, parse as parseYaml } from 'yaml';
import { brandingOf } from '../status/branding.ts';
import { crossProblems, followers } from './cross.ts';
import { nearest } from './near.ts';
import { type FileConfig, OPTIONS, type Option } from './options.ts';
import type { PlatformConfig } from './platform.ts';

export interface ConfigProblem {
  /** Dotted path, or empty for the file as a whole. */
  readonly path: string;
  /** Where the value came from: the file's name, with line where known, or the option of the command line. */
  readonly from: string;
  /** A sentence that names what was seen and what is allowed. */
  readonly message: string;
}

/** All problems of one configuration; `message` lists them for people. */
export class ConfigError extends Error {
  readonly problems: readonly ConfigProblem[];
  constructor(problems: readonly ConfigProblem[]) {
    const noun = problems.length === 1 ? 'problem' : 'problems';
    const lines = problems.map(({ path, from, message }) => `  ${from}: ${path ? `${path}: ` : ''}${message}`);
    super(`${problems.length} ${noun} in the configuration\n${lines.join('\n')}`);
    this.name = 'ConfigError';
    this.problems = problems;
  }
}

/** One value that wins over the file. Text is read like a YAML value where the option wants a number or a list. */
export interface ConfigOverride {
  readonly path: string;
  readonly value: unknown;
  /** What the user wrote, e.g. `--http-port`. */
  readonly from: string;
}

export interface ConfigSources {
  /** YAML or JSON file; undefined: defaults only. */
  readonly file?: string;
  readonly overrides?: readonly ConfigOverride[];
}

/** Throws `ConfigError`. Relative paths of a file's values are relative to that file, others to the working directory. */
export function loadConfig({ file, overrides = [] }: ConfigSources = {}): PlatformConfig {
  if (file === undefined) return resolveConfig('', { overrides });
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new ConfigError([{ path: '', from: file, message: `cannot be read (${(error as Error).message})` }]);
  }
  return resolveConfig(text, { name: file, directory: dirname(resolve(file)), overrides });
}

export interface ResolveOptions {
  /** How problems call the text. */
  readonly name?: string;
  /** Base of relative paths in the text. */
  readonly directory?: string;
  readonly overrides?: readonly ConfigOverride[];
}

/** The same for text at hand. */
export function resolveConfig(text: string, options: ResolveOptions = {}): PlatformConfig {
  const { name = 'configuration', directory = process.cwd(), overrides = [] } = options;
  const problems: ConfigProblem[] = [];
  const settings = [...readDocument(text, name, directory, problems), ...overrides.map(fromCommandLine)];
  const values = new Map([...OPTIONS].map(([path, option]) => [path, option.default()]));
  const given = new Map<string, Setting>();
  for (const setting of settings) {
    const read = readSetting(setting, given, problems);
    if (read) values.set(setting.path, read.value);
  }
  for (const { path, value } of followers(values, (path) => given.has(path))) values.set(path, value);
  const config = assemble(values);
  for (const { path, message } of crossProblems(config)) {
    problems.push({ path, from: given.get(path)?.from ?? name, message });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return deepFreeze(config);
}

/** `path=value` as on a command line. */
export function parseOverride(assignment: string, from = '--set'): ConfigOverride {
  const at = assignment.indexOf('=');
  if (at <= 0) throw new ConfigError([{ path: '', from, message: `'${assignment}' must be written PATH=VALUE` }]);
  return { path: assignment.slice(0, at).trim(), value: assignment.slice(at + 1).trim(), from };
}

interface Setting extends ConfigOverride {
  readonly directory: string;
  /** Text may stand for numbers and lists. */
  readonly lenient: boolean;
}

const fromCommandLine = (override: ConfigOverride): Setting => ({
  ...override,
  directory: process.cwd(),
  lenient: true,
});

function readDocument(text: string, name: string, directory: string, problems: ConfigProblem[]): Setting[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  for (const error of document.errors) {
    problems.push({ path: '', from: `${name}:${lines.linePos(error.pos[0]).line}`, message: error.message });
  }
  if (document.errors.length > 0) return [];
  let root: unknown;
  try {
    root = document.toJS() ?? {};
  } catch (error) {
    // Aliases that would unfold to far more than was written.
    problems.push({ path: '', from: name, message: (error as Error).message });
    return [];
  }
  if (!isSection(root)) {
    problems.push({ path: '', from: name, message: `must be a mapping of options, not ${seen(root)}` });
    return [];
  }
  const lineOf = (keys: readonly string[]): string => {
    const node = document.getIn(keys, true) as { range?: readonly [number, number, number] } | undefined;
    return node?.range ? `${name}:${lines.linePos(node.range[0]).line}` : name;
  };
  return [...settingsIn(root, [], lineOf)].map((setting) => ({ ...setting, directory, lenient: false }));
}

/** Sections may be nested, dotted, or both: `limits: { upstream.dnsMs: 100 }`. */
function* settingsIn(
  section: object,
  keys: readonly string[],
  lineOf: (keys: readonly string[]) => string,
): Generator<ConfigOverride> {
  for (const [key, value] of Object.entries(section)) {
    const here = [...keys, key];
    const path = here.join('.');
    if (SECTIONS.has(path) && value === null) continue;
    if (SECTIONS.has(path) && isSection(value)) yield* settingsIn(value, here, lineOf);
    else yield { path, value, from: lineOf(here) };
  }
}

function readSetting(
  setting: Setting,
  given: Map<string, Setting>,
  problems: ConfigProblem[],
): { readonly value: unknown } | undefined {
  const { path, value, from } = setting;
  const problem = (message: string) => void problems.push({ path, from, message });
  const option = OPTIONS.get(path);
  if (!option) return problem(unknownMessage(path, value));
  const before = given.get(path);
  given.set(path, setting);
  if (before && !before.lenient && !setting.lenient) return problem(`is given twice, first at ${before.from}`);
  const read = readValue(option, setting);
  if (!read) return problem(`must be ${option.kind.allowed}, not ${option.secret ? 'what was given' : seen(value)}`);
  if (option.kind.folder) return { value: resolve(setting.directory, read.value as string) };
  const { holds } = option.kind;
  if (!holds) return read;
  const file = resolve(setting.directory, read.value as string);
  try {
    if (holds(readFileSync(file, 'utf8'))) return { value: file };
  } catch {
    // Told below: it cannot be read.
  }
  return problem(`must be ${option.kind.allowed}, but ${file} is not`);
}

function readValue({ kind }: Option, { value, lenient }: Setting): { readonly value: unknown } | undefined {
  const read = kind.read(value);
  if (read || !lenient || typeof value !== 'string') return read;
  try {
    const parsed: unknown = parseYaml(value);
    return kind.read(parsed) ?? kind.read(value.split(',').map((item) => item.trim()));
  } catch {
    return undefined;
  }
}

function unknownMessage(path: string, value: unknown): string {
  if (SECTIONS.has(path)) return `is a section and must be a mapping, not ${seen(value)}`;
  const guess = nearest(path, isSection(value) ? SECTIONS : OPTIONS.keys());
  return guess === undefined ? 'is no option' : `is no option; did you mean '${guess}'?`;
}

/** Every path that has options below it. */
const SECTIONS: ReadonlySet<string> = new Set(
  [...OPTIONS.keys()].flatMap((path) => {
    const parts = path.split('.');
    return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('.'));
  }),
);

function assemble(values: ReadonlyMap<string, unknown>): PlatformConfig {
  const tree: Record<string, unknown> = {};
  const limits: Record<string, unknown> = {};
  for (const [path, value] of values) {
    if (path.startsWith('limits.')) limits[path.slice(7)] = value;
    else put(tree, path.split('.'), value);
  }
  const { branding, ...rest } = tree as unknown as FileConfig;
  const { preset, ...overrides } = branding;
  return { ...rest, branding: brandingOf(preset, overrides), limits: limits as PlatformConfig['limits'] };
}

function put(tree: Record<string, unknown>, [first, ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) tree[first!] = value;
  else {
    tree[first!] ??= {};
    put(tree[first!] as Record<string, unknown>, rest, value);
  }
}

const isSection = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A value as the user would recognise it, cut to a line. */
function seen(value: unknown): string {
  const text = value === null || value === undefined ? 'empty' : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const member of Object.values(value)) deepFreeze(member);
  return Object.freeze(value);
}
