/** A project's build as the commands need it. The builder (esbuild and all) is loaded only when it is asked for. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BuildEvent, BuildStep } from '../artifact/build.ts';
import type { DeploymentManifest } from '../artifact/manifest.ts';
import type { ProblemList } from '../artifact/problems.ts';
import { CommandFailed } from './command.ts';
import { OUTPUT_FOLDER } from './project-lock.ts';
import type { BlobFiles } from './upload.ts';

export interface Built {
  readonly manifest: DeploymentManifest;
  /** The manifest as it is sent. */
  readonly manifestFile: string;
  /** The blobs that the manifest names. */
  readonly files: BlobFiles;
  readonly problems: ProblemList;
}

export interface BuildHooks {
  /** What is being done, for people. */
  readonly onStep: (text: string) => void;
  /** A line that code of the project printed. */
  readonly onOutput: (line: string) => void;
}

const STEPS: Readonly<Record<BuildStep, string>> = {
  config: 'reading the configuration',
  connector: 'building the framework',
  bundle: 'bundling the routes',
  routes: 'recording the routes',
  assets: 'collecting static files',
  server: 'collecting server code',
};

/** Throws `CommandFailed` with every problem of the project. */
export async function build(dir: string, skipFramework: boolean, hooks: BuildHooks): Promise<Built> {
  const [{ buildProject }, { describeProblem }] = await Promise.all([
    import('../artifact/build.ts'),
    import('../artifact/problems.ts'),
  ]);
  const result = await buildProject({ dir, skipFramework, onProgress: (event) => tell(event, hooks) });
  if (result.ok) {
    const { manifest, manifestFile, problems } = result;
    return { manifest, manifestFile, problems, files: filesOf(manifest, result.blobs) };
  }
  const { errors, warnings } = result.problems;
  const noun = errors.length === 1 ? 'problem' : 'problems';
  throw new CommandFailed(`the project cannot be built: ${errors.length} ${noun}`, [
    ...errors.map(describeProblem),
    ...warnings.map((it) => `warning: ${describeProblem(it)}`),
  ]);
}

function tell(event: BuildEvent, { onStep, onOutput }: BuildHooks): void {
  if (event.kind === 'step') onStep(STEPS[event.step]);
  else if (event.kind === 'files') onStep(`${STEPS[event.step]}, ${event.done} of ${event.total}`);
  else onOutput(event.line);
}

/** What the last build of the project made. */
export async function readBuilt(dir: string): Promise<Built> {
  const folder = join(dir, OUTPUT_FOLDER);
  const manifestFile = join(folder, 'manifest.json');
  let manifest: DeploymentManifest;
  try {
    manifest = JSON.parse(await readFile(manifestFile, 'utf8')) as DeploymentManifest;
  } catch (error) {
    throw new CommandFailed(
      `${dir} has not been built`,
      ["'selvedge build' does that, or leave out --skip-build."],
      error,
    );
  }
  const files = filesOf(manifest, (sha256) => join(folder, 'blobs', sha256));
  return { manifest, manifestFile, files, problems: { errors: [], warnings: [] } };
}

function filesOf({ assets, server }: DeploymentManifest, pathOf: (sha256: string) => string): BlobFiles {
  const refs = [...Object.values(assets), ...(server?.files ?? [])];
  return new Map(refs.map(({ sha256 }) => [sha256, pathOf(sha256)]));
}
