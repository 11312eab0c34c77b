/**
 * What runs in compute: the routes bundle, the app's server, and the files that they read at run time. Everything
 * lies in one folder, which is the worker's working directory.
 */
import { basename, extname, join, posix } from 'node:path';
import { handlersStatement } from '../router/authoring/handlers.ts';
import type { Recording } from '../router/protocol.ts';
import { stageApp } from './app.ts';
import type { BlobFolder } from './blobs.ts';
import { type Bundle, ROUTES_BUNDLE } from './bundle.ts';
import { stageDirectories } from './compat/stage.ts';
import type { Connector, ConnectorBuild } from './connector.ts';
import { expand, type FoundFile, hidden, nothing, walk } from './files.ts';
import type { BundleFile, ServerBundle } from './manifest.ts';
import { placePackages } from './node-modules.ts';
import { type Problems, projectPath } from './problems.ts';
import type { Project } from './project.ts';

export interface ServerRequest {
  readonly project: Project;
  readonly routes: Bundle;
  readonly recording: Recording;
  readonly connector: Connector;
  readonly staged: ConnectorBuild | null;
  readonly blobs: BlobFolder;
  readonly production: boolean;
}

type Need = 'none' | 'routes' | 'app';

/** Whether any route runs in compute, and whether one hands over to the app's own server. */
export function needOf({ table }: Recording): Need {
  let need: Need = 'none';
  for (const { routes, catches } of [table.main, ...Object.values(table.destinations)])
    for (const { action } of [...routes, ...catches.map((one) => one.route)]) {
      if (action?.kind === 'app') return 'app';
      if (action?.kind === 'worker' || (action?.kind === 'static' && action.onNotFound)) need = 'routes';
    }
  return need;
}

/** Null when no route needs a worker. */
export async function collectServer(request: ServerRequest, problems: Problems): Promise<ServerBundle | null> {
  const need = needOf(request.recording);
  if (need === 'none') return null;
  const { project, routes, staged } = request;
  const files = new Map<string, FoundFile | string>();
  await addProjectFiles(project, files, problems);
  if (project.config.includeNodeModules || staged?.requests.includeNodeModules)
    await addPackages(project, files, problems);
  if (staged) await addFolder(stageDirectories(staged.stageDir).server, '', files, problems);
  const app = await stageApp(request, problems);
  // What the project names itself has been placed as it wishes.
  for (const [path, file] of app?.files ?? []) if (typeof file === 'string' || !files.has(path)) files.set(path, file);
  if (need === 'app' && app === null && request.production && !problems.failed) refuseMissingApp(request, problems);
  files.set(ROUTES_BUNDLE, routes.code + handlersStatement(request.recording.handlers ?? []));
  files.set(`${ROUTES_BUNDLE}.map`, routes.map);
  if (problems.failed) return null;
  return { files: await store(files, request.blobs), routes: ROUTES_BUNDLE, ...(app ? { app: app.run } : {}) };
}

async function store(files: ReadonlyMap<string, FoundFile | string>, blobs: BlobFolder): Promise<BundleFile[]> {
  const paths = [...files.keys()].sort();
  const onDisk = paths.filter((path) => typeof files.get(path) !== 'string');
  const refs = await blobs.addFiles(onDisk.map((path) => (files.get(path) as FoundFile).file));
  const stored = new Map(onDisk.map((path, at) => [path, refs[at]!]));
  const result: BundleFile[] = [];
  for (const path of paths) {
    const file = files.get(path)!;
    const ref = typeof file === 'string' ? await blobs.addText(file) : stored.get(path)!;
    result.push({ path, ...ref, ...(typeof file !== 'string' && file.executable ? { executable: true } : {}) });
  }
  return result;
}

type Files = Map<string, FoundFile | string>;

/** `includeFiles`, the app's folder, and package.json: it decides what kind of module a `.js` file is. */
async function addProjectFiles({ dir, config }: Project, files: Files, problems: Problems): Promise<void> {
  const root = dir;
  for (const found of await walk(join(dir, 'package.json'), { root, leaveOut: hidden, problems }))
    files.set('package.json', found);
  for (const [pattern, to] of Object.entries(config.includeFiles)) {
    const found = await expand(pattern, { root, problems });
    if (found.length === 0) problems.warn(`\`includeFiles\`: nothing matches \`${pattern}\`.`);
    for (const one of found) files.set(destinationOf(one, to, dir), one);
  }
  if (config.app?.directory !== undefined) {
    const found = await walk(join(dir, config.app.directory), { root, leaveOut: nothing, problems });
    if (found.length === 0)
      problems.error(`The app's folder \`${config.app.directory}\` does not exist or is empty.`, {
        remedy: 'build the app first, or correct `app.directory`.',
      });
    for (const one of found) files.set(projectPath(dir, one.file), one);
  }
}

/** `true` keeps the place. A single file may be renamed; several go below the destination. */
function destinationOf({ file, path }: FoundFile, to: true | string, dir: string): string {
  if (to === true) return projectPath(dir, file);
  const target = posix.normalize(to).replace(/^\.?\//, '');
  if (path !== '') return posix.join(target, path);
  return extname(target) === '' ? posix.join(target, basename(file)) : target;
}

async function addPackages({ dir }: Project, files: Files, problems: Problems): Promise<void> {
  for (const { directory, target } of placePackages(dir, problems))
    await addFolder(directory, target, files, problems, (name) => name === 'node_modules');
}

async function addFolder(
  root: string,
  target: string,
  files: Files,
  problems: Problems,
  leaveOut = nothing as (name: string) => boolean,
): Promise<void> {
  for (const one of await walk(root, { root, leaveOut, problems })) files.set(posix.join(target, one.path), one);
}

function refuseMissingApp({ recording, project }: ServerRequest, problems: Problems): void {
  const routes = [recording.table.main, ...Object.values(recording.table.destinations)].flatMap(
    (section) => section.routes,
  );
  const source = routes.find(({ action }) => action?.kind === 'app')?.source;
  const place =
    source && source.file !== '' ? { file: source.file, line: source.line } : { file: project.configFile ?? undefined };
  problems.error('A route hands over to the app (renderWithApp), but the project names none.', {
    ...place,
    remedy:
      "write `app: { entry: 'server.js' }` or `app: { command: ['node', 'server.js'] }` in the configuration, or name a `connector` with a `prod` entry.",
  });
}
