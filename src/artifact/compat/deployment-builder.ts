/**
 * `DeploymentBuilder`: how a connector's `build` stages what its framework made. Files go to a staging folder;
 * the platform takes them from there into assets and the server bundle, so `build()` only says "complete".
 * Most members return the builder, because real connectors chain them. Source: spec page compute, section 8.
 */
import { spawn } from 'node:child_process';
import {
  type CopySyncOptions,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, delimiter, dirname, isAbsolute, join, matchesGlob, relative } from 'node:path';
import { currentStage, stageDirectories } from './stage.ts';

export interface ExecOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly silent?: boolean;
}

export default class DeploymentBuilder {
  readonly appDir: string;
  readonly layer0Dir: string;
  readonly edgioDir: string;
  readonly buildDir: string;
  readonly jsDir: string;
  readonly jsAppDir: string;
  readonly staticAssetsDir: string;
  readonly permanentStaticAssetsDir: string;
  readonly sourcesDir: string;
  readonly tempDir: string;
  readonly #stage = currentStage();

  constructor(appDir: string = process.cwd()) {
    const { stageDir } = this.#stage;
    const { server, assets, permanentAssets, sources } = stageDirectories(stageDir);
    this.appDir = appDir;
    this.layer0Dir = this.edgioDir = this.buildDir = stageDir;
    this.jsDir = this.jsAppDir = server;
    this.staticAssetsDir = assets;
    this.permanentStaticAssetsDir = permanentAssets;
    this.sourcesDir = sources;
    this.tempDir = join(stageDir, 'tmp');
  }

  /** Printed when the variable `debug` is set. */
  log(...message: unknown[]): void {
    if (process.env.debug) console.log(...message);
  }

  /** Runs a shell command in the project with its `node_modules/.bin` in the path. Rejects when it fails. */
  exec(command: string, { cwd = this.appDir, env = process.env, silent = false }: ExecOptions = {}): Promise<void> {
    if (this.#stage.skipCommands) {
      console.log(`skipped: ${command}`);
      return Promise.resolve();
    }
    if (!existsSync(cwd))
      return Promise.reject(new Error(`\`${command}\`: the folder ${relative(this.appDir, cwd)} does not exist`));
    const PATH = [join(this.appDir, 'node_modules', '.bin'), env.PATH].join(delimiter);
    return new Promise((resolve, reject) => {
      const child = spawn(command, {
        shell: true,
        cwd,
        env: { ...env, PATH },
        stdio: ['ignore', silent ? 'ignore' : 'inherit', 'inherit'],
      });
      child.once('error', reject);
      child.once('exit', (code, signal) => {
        if (code === 0) resolve();
        else reject(new Error(`\`${command}\` ended with ${signal ?? `exit code ${code}`}`));
      });
    });
  }

  /** A file or folder for the server bundle; `dest` defaults to its place in the project. */
  addJSAsset(src: string, dest?: string, options: Partial<CopySyncOptions> = {}): this {
    this.#copy(src, join(this.jsDir, this.#target(src, dest)), options);
    return this;
  }

  /** A file or folder to serve; `exclude` are globs relative to `src`. */
  addStaticAsset(
    src: string,
    dest?: string,
    { permanent = false, exclude = [] }: { permanent?: boolean; exclude?: readonly string[] } = {},
  ): this {
    const from = this.#source(src);
    const to = join(permanent ? this.permanentStaticAssetsDir : this.staticAssetsDir, this.#target(src, dest));
    const isExcluded = (path: string): boolean => exclude.some((glob) => matchesGlob(path, glob) || path === glob);
    this.#copy(src, to, { filter: (file) => file === from || !isExcluded(relative(from, file)) });
    return this;
  }

  addSource(src: string): this {
    this.#copy(src, join(this.sourcesDir, this.#target(src)), {});
    return this;
  }

  /** Copies files of `all` and of `js` or `ts` that the project does not have yet. */
  addDefaultAppResources(defaultAppPath: string): this {
    const language = existsSync(join(this.appDir, 'tsconfig.json')) ? 'ts' : 'js';
    for (const folder of ['all', language]) {
      const from = join(defaultAppPath, folder);
      if (existsSync(from)) cpSync(from, this.appDir, { recursive: true, force: false });
    }
    return this;
  }

  addDefaultLayer0Scripts(scripts: Readonly<Record<string, string>> = {}, overrideExisting = false): this {
    return this.#addScripts(scripts, overrideExisting);
  }

  addDefaultEdgioScripts(scripts: Readonly<Record<string, string>> = {}, overrideExisting = false): this {
    return this.#addScripts(scripts, overrideExisting);
  }

  /** Asks for the files that the configuration names; they are part of every bundle anyway. */
  async includeFiles(): Promise<void> {}

  /** Takes the production dependencies of package.json into the server bundle. */
  async includeNodeModules(): Promise<void> {
    this.#stage.requests.includeNodeModules = true;
  }

  preparePackageJson(): this {
    return this.addJSAsset(join(this.appDir, 'package.json'));
  }

  setStaticAssetExpiration(path: string, maxAgeSeconds: number, staleWhileRevalidateSeconds?: number): this {
    this.#stage.requests.expirations[path] = { maxAgeSeconds, staleWhileRevalidateSeconds };
    return this;
  }

  deleteMapFiles(dir: string): this {
    for (const file of globSync('**/*.map', { cwd: dir })) rmSync(join(dir, file), { force: true });
    return this;
  }

  copySync(from: string, to: string, options: Partial<CopySyncOptions> = {}): void {
    this.#copy(from, to, options);
  }

  writeFileSync(to: string, content: string): void {
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, content);
  }

  readFileSync(path: string, { encoding = 'utf8' }: { encoding?: BufferEncoding } = {}): string {
    return readFileSync(path, { encoding });
  }

  removeSync(path: string): void {
    rmSync(path, { recursive: true, force: true });
  }

  emptyDirSync(dir: string): void {
    rmSync(dir, { recursive: true, force: true });
    mkdirSync(dir, { recursive: true });
  }

  clearPreviousBuildOutput(): this {
    for (const dir of [this.jsDir, this.staticAssetsDir, this.permanentStaticAssetsDir, this.sourcesDir])
      this.removeSync(dir);
    return this;
  }

  isYarn(): boolean {
    return existsSync(join(this.appDir, 'yarn.lock'));
  }

  /** The project's router, bundled and loaded. */
  async getRouter(): Promise<unknown> {
    const extension = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
    const { loadRouter } = await import(new URL(`../children/load-router.${extension}`, import.meta.url).href);
    return loadRouter(this.#stage.projectDir, this.#stage.routesFile);
  }

  async build(_options: unknown = {}): Promise<void> {
    this.#stage.requests.built = true;
  }

  #source(src: string): string {
    return isAbsolute(src) ? src : join(this.appDir, src);
  }

  /** Relative to the stage; sources outside the project come in under their own name. */
  #target(src: string, dest?: string): string {
    if (dest !== undefined) return isAbsolute(dest) ? relative(this.appDir, dest) : dest;
    const path = relative(this.appDir, this.#source(src));
    return path.startsWith('..') ? basename(src) : path;
  }

  #copy(src: string, to: string, options: Partial<CopySyncOptions>): void {
    const from = this.#source(src);
    if (!existsSync(from)) throw new Error(`${relative(this.appDir, from)} does not exist: was it built?`);
    // A file for a folder that is named with a slash goes into it.
    const target = to.endsWith('/') && statSync(from).isFile() ? join(to, basename(from)) : to;
    mkdirSync(dirname(target), { recursive: true });
    cpSync(from, target, { recursive: true, dereference: true, ...options });
  }

  #addScripts(scripts: Readonly<Record<string, string>>, overrideExisting: boolean): this {
    const path = join(this.appDir, 'package.json');
    const manifest = JSON.parse(readFileSync(path, 'utf8')) as { scripts?: Record<string, string> };
    const added = {
      'selvedge:dev': 'selvedge dev',
      'selvedge:build': 'selvedge build',
      'selvedge:deploy': 'selvedge deploy',
      ...scripts,
    };
    manifest.scripts = overrideExisting ? { ...manifest.scripts, ...added } : { ...added, ...manifest.scripts };
    writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
    return this;
  }
}
