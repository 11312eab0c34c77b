/**
 * What a project directory says about itself: its configuration file, run in a process of its own, and its routes
 * file. Every mistake is told at once. Source: spec page platform, section 8.
 */
import { existsSync, statSync } from 'node:fs';
import { mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { bundle, mapForRunning } from './bundle.ts';
import { failureOf, runChild } from './child.ts';
import type { LoadConfigInput } from './children/load-config.ts';
import { isRecord, type ProjectConfig, readConfig } from './config-fields.ts';
import { isInside, type Problems, projectPath } from './problems.ts';

export interface Project {
  /** Real path. */
  readonly dir: string;
  /** From the configuration, else from package.json; empty when neither says. */
  readonly name: string;
  readonly config: ProjectConfig;
  /** As exported, for code of the project that asks for keys of its own. */
  readonly rawConfig: Readonly<Record<string, unknown>>;
  /** Project-relative; null when there is none. */
  readonly configFile: string | null;
  /** Absolute path; null when there is none (that is an error of the project already). */
  readonly routesFile: string | null;
}

export interface LoadOptions {
  /** Default 30,000. */
  readonly timeLimitMs?: number;
  readonly onOutput?: (line: string) => void;
}

const JS_TYPES = ['ts', 'js', 'mjs', 'cjs', 'mts', 'cts'] as const;
/** First found wins. */
const CONFIG_FILES = ['selvedge', 'layer0', 'edgio'].flatMap((name) =>
  JS_TYPES.map((type) => `${name}.config.${type}`),
);
const ROUTES_FILES = JS_TYPES.map((type) => `routes.${type}`);
const CONFIG_TIME_LIMIT_MS = 30_000;

export async function loadProject(
  directory: string,
  problems: Problems,
  options: LoadOptions = {},
): Promise<Project | null> {
  if (!existsSync(directory) || !statSync(directory).isDirectory()) {
    problems.error(`\`${directory}\` is not a directory.`, { remedy: 'name the directory of a project.' });
    return null;
  }
  const dir = await realpath(directory);
  const [configFile = null, ...others] = CONFIG_FILES.filter((name) => existsSync(join(dir, name)));
  for (const other of others) problems.warn(`${other} is ignored, because ${configFile} is there.`, { file: other });
  const rawConfig = configFile === null ? {} : await runConfig(dir, configFile, problems, options);
  const config = readConfig(rawConfig, configFile ?? CONFIG_FILES[0]!, problems);
  const name = config.name ?? (await packageName(dir));
  return { dir, name, config, rawConfig, configFile, routesFile: findRoutes(dir, config.routes, configFile, problems) };
}

/** Empty after an error. */
async function runConfig(
  dir: string,
  name: string,
  problems: Problems,
  options: LoadOptions,
): Promise<Record<string, unknown>> {
  const bundled = await bundle({
    projectDir: dir,
    entry: join(dir, name),
    out: 'config.mjs',
    includeNodeModules: false,
    packagesStay: true,
    config: {},
    production: true,
  });
  problems.add(bundled);
  if (bundled.errors.length > 0) return {};
  const folder = await mkdtemp(join(tmpdir(), 'selvedge-config-'));
  try {
    const file = join(folder, 'config.mjs');
    await writeFile(file, bundled.code);
    await writeFile(`${file}.map`, mapForRunning(bundled.map, dir));
    const input: LoadConfigInput = { projectDir: dir, file };
    const { timeLimitMs = CONFIG_TIME_LIMIT_MS, onOutput } = options;
    const outcome = await runChild<unknown>({ job: 'load-config', input, cwd: dir, timeLimitMs, onOutput });
    if (outcome.kind === 'result' && isRecord(outcome.value)) return outcome.value;
    if (outcome.kind !== 'result')
      problems.errors.push(failureOf(outcome, { projectDir: dir, what: 'The configuration', file: name }));
    else
      problems.error('The configuration file exports no object.', {
        file: name,
        remedy: 'write `export default { … }` or `module.exports = { … }`.',
      });
    return {};
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function packageName(dir: string): Promise<string> {
  try {
    const { name } = JSON.parse(await readFile(join(dir, 'package.json'), 'utf8')) as { name?: unknown };
    return typeof name === 'string' ? name : '';
  } catch {
    return '';
  }
}

function findRoutes(
  dir: string,
  configured: string | undefined,
  configFile: string | null,
  problems: Problems,
): string | null {
  if (configured === undefined) {
    const name = ROUTES_FILES.find((candidate) => existsSync(join(dir, candidate)));
    if (name !== undefined) return join(dir, name);
    problems.error('The project has no routes file.', {
      remedy: `write \`routes.ts\` in the project's folder (\`selvedge init\` makes one), or name it by \`routes\` in the configuration. Looked for: ${ROUTES_FILES.join(', ')}.`,
    });
    return null;
  }
  const path = isAbsolute(configured) ? configured : join(dir, configured);
  const found = ['', ...JS_TYPES.map((type) => `.${type}`)]
    .map((end) => `${path}${end}`)
    .find((file) => existsSync(file) && statSync(file).isFile());
  if (found !== undefined && isInside(dir, found)) return found;
  const what = found === undefined ? 'does not exist' : 'is outside of the project';
  problems.error(`The routes file \`${projectPath(dir, path)}\` ${what}.`, {
    file: configFile ?? undefined,
    remedy: 'correct `routes` in the configuration.',
  });
  return null;
}
