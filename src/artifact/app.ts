/**
 * The project's own HTTP server in a deployment: a command with its files, or one bundled module. Where it comes
 * from, in this order: `app` of the configuration, the `prod` entry of the connector, an Express entry.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import type { Connector } from './connector.ts';
import { type FoundFile, hidden, walk } from './files.ts';
import type { ServerBundle } from './manifest.ts';
import { type Problems, projectPath } from './problems.ts';
import type { Project } from './project.ts';
import { traceServer } from './traced.ts';

export interface StagedApp {
  /** As the manifest names it. */
  readonly run: NonNullable<ServerBundle['app']>;
  /** By path in the server bundle: a file of the project, or text. */
  readonly files: ReadonlyMap<string, FoundFile | string>;
}

export interface AppRequest {
  readonly project: Project;
  readonly connector: Connector;
  readonly production: boolean;
}

interface Entry {
  readonly file: string;
  /** Folder in the bundle. Connectors find the bundle's folder as the parent of their own. */
  readonly folder: '' | '__backends__/';
}

const EXPRESS_ENTRIES = ['src/server', 'src/app', 'src/index', 'server', 'app', 'index'].flatMap((name) => [
  `${name}.ts`,
  `${name}.js`,
]);

/** Null when the project has no server, or after an error. */
export async function stageApp(request: AppRequest, problems: Problems): Promise<StagedApp | null> {
  const { project, connector, production } = request;
  const command = project.config.app?.command;
  if (command !== undefined) return stageCommand(project, command, problems);
  const entry = findEntry(project, connector, problems);
  if (entry === null) return null;
  const { dir, config, rawConfig } = project;
  const out = `${entry.folder}app.${formatOf(entry.file)}`;
  const { includeNodeModules } = config;
  const bundled = await bundle({
    projectDir: dir,
    entry: entry.file,
    out,
    includeNodeModules,
    config: rawConfig,
    production,
  });
  problems.add(bundled);
  // A connector's build stages what its server needs; of other servers nobody has said it.
  const traced = entry.folder === '' && !problems.failed;
  const files = new Map<string, FoundFile | string>(
    traced ? await traceServer({ projectDir: dir, entry: entry.file, inputs: bundled.inputs }) : [],
  );
  files.set(out, bundled.code).set(`${out}.map`, bundled.map);
  return { run: { kind: 'module', entry: out }, files };
}

/** Arguments that are files of the project join the bundle where they are. */
async function stageCommand(
  { dir }: Project,
  [command, ...args]: readonly string[],
  problems: Problems,
): Promise<StagedApp> {
  const files = new Map<string, FoundFile>();
  for (const path of args.filter((arg) => !arg.startsWith('-') && existsSync(join(dir, arg))))
    for (const found of await walk(join(dir, path), { root: dir, leaveOut: hidden, problems }))
      files.set(projectPath(dir, found.file), found);
  return { run: { kind: 'command', command: command!, args }, files };
}

function findEntry({ dir, config }: Project, connector: Connector, problems: Problems): Entry | null {
  if (config.app?.entry !== undefined) return existing(dir, config.app.entry, 'app.entry', problems);
  if (connector.kind === 'none') return null;
  if (connector.kind === 'entries') {
    const { prod } = connector.entries;
    return prod === undefined ? null : { file: prod, folder: '__backends__/' };
  }
  const { appPath } = config.express ?? {};
  if (appPath !== undefined) return existing(dir, appPath, 'express.appPath', problems);
  const found = EXPRESS_ENTRIES.find((name) => existsSync(join(dir, name)));
  if (found !== undefined) return { file: join(dir, found), folder: '' };
  problems.error('No entry of the Express app was found.', {
    remedy: `name it: \`express: { appPath: './server.js' }\`. Looked for: ${EXPRESS_ENTRIES.join(', ')}.`,
  });
  return null;
}

function existing(dir: string, path: string, field: string, problems: Problems): Entry | null {
  const file = join(dir, path);
  if (existsSync(file) && statSync(file).isFile()) return { file, folder: '' };
  problems.error(`\`${field}\`: the file \`${projectPath(dir, path)}\` does not exist.`, {
    remedy: 'build the app first if a build step makes it, or correct the path.',
  });
  return null;
}

/** CommonJS stays CommonJS: old servers need its sloppy mode. */
function formatOf(file: string): 'mjs' | 'cjs' {
  if (/\.c[jt]s$/.test(file)) return 'cjs';
  if (/\.m[jt]s$/.test(file)) return 'mjs';
  return /^\s*(?:import\s*[\w*{'"]|export\s)/m.test(readFileSync(file, 'utf8')) ? 'mjs' : 'cjs';
}
