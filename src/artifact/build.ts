/**
 * Turns a project directory into an immutable deployment: a manifest and the blobs that it names. The same input
 * gives the same bytes, wherever it lies. Every error that can be found is told at once.
 */
import { readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Recording } from '../router/protocol.ts';
import { collectAssets } from './assets.ts';
import { BlobFolder } from './blobs.ts';
import { type BrowserFile, bundleBrowserEntries, bundleServiceWorkers } from './browser.ts';
import { type Bundle, bundle, ROUTES_BUNDLE } from './bundle.ts';
import { buildWithConnector, type Connector, findConnector } from './connector.ts';
import { type BlobRef, type DeploymentManifest, MANIFEST_FORMAT, type ServerBundle } from './manifest.ts';
import { describeProblem, type ProblemList, Problems } from './problems.ts';
import { loadProject, type Project } from './project.ts';
import { recordRoutes } from './record.ts';
import { collectServer } from './server.ts';

export interface BuildOptions {
  /** The project. */
  readonly dir: string;
  /** Where manifest, blobs and staged files go. Default `<dir>/.selvedge`. */
  readonly outDir?: string;
  /** False builds the routes of development and runs no framework build. Default true. */
  readonly production?: boolean;
  /** Takes the framework's output of last time. */
  readonly skipFramework?: boolean;
  readonly limits?: BundleLimits;
  /** Header prefixes that belong to the platform (`Branding.reservedHeaderPrefixes`). */
  readonly reservedHeaderPrefixes?: readonly string[];
  readonly onProgress?: (event: BuildEvent) => void;
}

/** `bundle.*` of the platform's limits. */
export interface BundleLimits {
  readonly compressedBytes: number;
  readonly uncompressedBytes: number;
}

export type BuildStep = 'config' | 'connector' | 'bundle' | 'routes' | 'assets' | 'server';
export type BuildEvent =
  | { readonly kind: 'step'; readonly step: BuildStep }
  /** A line that project code printed while the step ran. */
  | { readonly kind: 'output'; readonly step: BuildStep; readonly line: string }
  | { readonly kind: 'files'; readonly step: BuildStep; readonly done: number; readonly total: number };

export interface BuildStats {
  readonly durationMs: number;
  readonly routes: number;
  readonly assets: number;
  readonly assetBytes: number;
  readonly serverFiles: number;
  readonly serverBytes: number;
}

export type BuildResult =
  | {
      readonly ok: true;
      readonly project: Project;
      readonly manifest: DeploymentManifest;
      /** The manifest as bytes: what a deployment is named by. */
      readonly manifestFile: string;
      /** File of a blob that the manifest names. */
      readonly blobs: (sha256: string) => string;
      readonly problems: ProblemList;
      readonly stats: BuildStats;
    }
  | { readonly ok: false; readonly problems: ProblemList };

const MIB = 1_048_576;
const DEFAULT_LIMITS: BundleLimits = { compressedBytes: 50 * MIB, uncompressedBytes: 250 * MIB };

export async function buildProject(options: BuildOptions): Promise<BuildResult> {
  const startedMs = performance.now();
  const problems = new Problems();
  const build = new Build(options, problems);
  const loaded = await build.load();
  if (loaded === null) return { ok: false, problems };
  const outDir = await prepare(options.outDir ?? join(loaded.dir, '.selvedge'));
  const { project, files: entries } = await bundleBrowserEntries(loaded, outDir, problems);
  const compiled = await build.compile(project, outDir);
  if (compiled === null) return { ok: false, problems };
  const blobs = await BlobFolder.open(join(outDir, 'blobs'));
  const { table } = compiled.recording;
  const browserFiles = [...entries, ...(await bundleServiceWorkers(project, table, outDir, problems))];
  const { assets, server } = await build.collect(project, compiled, blobs, browserFiles);
  if (server !== null) await checkSize(server, blobs, options.limits ?? DEFAULT_LIMITS, problems);
  if (problems.failed) return { ok: false, problems };
  await blobs.prune();
  const manifest: DeploymentManifest = {
    format: MANIFEST_FORMAT,
    builder: ownVersion(),
    name: project.name,
    routes: table,
    assets,
    server,
    warnings: problems.warnings.map(describeProblem),
  };
  const manifestFile = join(outDir, 'manifest.json');
  await writeFile(manifestFile, `${JSON.stringify(manifest)}\n`);
  const stats = statsOf(manifest, performance.now() - startedMs);
  return { ok: true, project, manifest, manifestFile, blobs: (sha256) => blobs.pathOf(sha256), problems, stats };
}

interface Compiled {
  readonly routes: Bundle;
  readonly recording: Recording;
  readonly connector: Connector;
  readonly staged: Awaited<ReturnType<typeof buildWithConnector>>;
}

/** The steps, with what all of them need. */
class Build {
  readonly #options: BuildOptions;
  readonly #problems: Problems;

  constructor(options: BuildOptions, problems: Problems) {
    this.#options = options;
    this.#problems = problems;
  }

  load(): Promise<Project | null> {
    return loadProject(this.#options.dir, this.#problems, { onOutput: this.#enter('config') });
  }

  /** Null after errors. The framework is only built for a project whose configuration and routes file make sense. */
  async compile(project: Project, outDir: string): Promise<Compiled | null> {
    const { production = true, skipFramework = false } = this.#options;
    const problems = this.#problems;
    const connector = findConnector(project, problems);
    const early = await this.#bundleRoutes(project);
    const willBuild = production && connector.kind === 'entries' && connector.entries.build !== undefined;
    if (early === null || problems.failed || (early.errors.length > 0 && !(willBuild && early.curable))) {
      if (early) problems.add(early);
      return null;
    }
    let staged: Compiled['staged'] = null;
    if (production) {
      const onOutput = this.#enter('connector');
      staged = await buildWithConnector(
        { project, connector, stageDir: join(outDir, 'stage'), skipFramework, onOutput },
        problems,
      );
      if (problems.failed) return null;
    }
    // The framework's build may have made files that the routes import.
    const routes = staged === null && early.errors.length === 0 ? early : await this.#bundleRoutes(project);
    problems.add(routes!);
    if (problems.failed) return null;
    const recording = await this.#record(project, routes!);
    return recording === null ? null : { routes: routes!, recording, connector, staged };
  }

  async collect(
    project: Project,
    compiled: Compiled,
    blobs: BlobFolder,
    browserFiles: readonly BrowserFile[],
  ): Promise<Pick<DeploymentManifest, 'assets' | 'server'>> {
    const { recording, staged } = compiled;
    this.#enter('assets');
    const assets = await collectAssets(
      {
        projectDir: project.dir,
        staticFiles: recording.staticFiles,
        globs: project.config.staticAssets,
        stageDir: staged?.stageDir ?? null,
        browserFiles,
        blobs,
        onProgress: (done, total) => this.#options.onProgress?.({ kind: 'files', step: 'assets', done, total }),
      },
      this.#problems,
    );
    this.#enter('server');
    const { production = true } = this.#options;
    const server = await collectServer({ project, ...compiled, blobs, production }, this.#problems);
    return { assets, server };
  }

  async #bundleRoutes(project: Project): Promise<Bundle | null> {
    this.#enter('bundle');
    const { dir, routesFile, config, rawConfig } = project;
    if (routesFile === null) return null;
    const { production = true } = this.#options;
    return bundle({
      projectDir: dir,
      entry: routesFile,
      out: ROUTES_BUNDLE,
      includeNodeModules: config.includeNodeModules,
      config: rawConfig,
      production,
    });
  }

  #record({ dir, routesFile, config, rawConfig }: Project, routes: Bundle): Promise<Recording | null> {
    const { production = true, reservedHeaderPrefixes } = this.#options;
    const onOutput = this.#enter('routes');
    const { backends } = config;
    return recordRoutes(
      {
        projectDir: dir,
        routesFile: routesFile!,
        bundle: routes,
        backends,
        reservedHeaderPrefixes,
        madeFiles: Object.values((rawConfig.browser ?? {}) as Readonly<Record<string, string>>),
        production,
        onOutput,
      },
      this.#problems,
    );
  }

  /** Announces a step; returns where its output goes. */
  #enter(step: BuildStep): (line: string) => void {
    this.#options.onProgress?.({ kind: 'step', step });
    return (line) => this.#options.onProgress?.({ kind: 'output', step, line });
  }
}

/** Made by builds and nothing to keep in version control. */
async function prepare(outDir: string): Promise<string> {
  await mkdir(outDir, { recursive: true });
  await writeFile(join(outDir, '.gitignore'), '*\n');
  return outDir;
}

async function checkSize(
  { files }: ServerBundle,
  blobs: BlobFolder,
  limits: BundleLimits,
  problems: Problems,
): Promise<void> {
  const unpacked = bytesOf(files);
  // Compression never makes it larger by an amount that counts: no need to try below the limit.
  const packed = unpacked > limits.compressedBytes ? await blobs.packedBytes(files) : unpacked;
  if (unpacked <= limits.uncompressedBytes && packed <= limits.compressedBytes) return;
  const largest = [...files].sort((a, b) => b.bytes - a.bytes).slice(0, 3);
  problems.error(
    `The server bundle is too large: ${megabytes(packed)} packed and ${megabytes(unpacked)} unpacked, where ${megabytes(limits.compressedBytes)} and ${megabytes(limits.uncompressedBytes)} are allowed.`,
    {
      remedy: `leave files out of \`includeFiles\`, \`includeNodeModules\` or the app's folder. Largest: ${largest.map((file) => `${file.path} (${megabytes(file.bytes)})`).join(', ')}.`,
    },
  );
}

const megabytes = (bytes: number): string => `${(bytes / MIB).toFixed(bytes < 10 * MIB ? 2 : 0)} MB`;
const bytesOf = (refs: readonly BlobRef[]): number => refs.reduce((sum, { bytes }) => sum + bytes, 0);

function ownVersion(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}

function statsOf({ routes, assets, server }: DeploymentManifest, durationMs: number): BuildStats {
  const sections = [routes.main, ...Object.values(routes.destinations)];
  return {
    durationMs: Math.round(durationMs),
    routes: sections.reduce((sum, section) => sum + section.routes.length + section.catches.length, 0),
    assets: Object.keys(assets).length,
    assetBytes: bytesOf(Object.values(assets)),
    serverFiles: server?.files.length ?? 0,
    serverBytes: bytesOf(server?.files ?? []),
  };
}
