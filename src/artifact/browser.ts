/**
 * Code for browsers, bundled with the deployment: the entries that the configuration names by `browser`, under names
 * that change with their content, and service workers in TypeScript or with imports of `selvedge/prefetch`.
 * Project code finds the names at `config.get('browser')`, by source file. The output depends on content alone.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, extname, join, posix } from 'node:path';
import { type BuildFailure, build } from 'esbuild';
import type { RouteTable } from '../router/table.ts';
import { bundleProblems } from './bundle-problems.ts';
import { platformPlugin } from './plugin-platform.ts';
import { isInside, type Problems } from './problems.ts';
import type { Project } from './project.ts';

/** A file that joins the assets of the deployment. */
export interface BrowserFile {
  /** Among the assets. */
  readonly path: string;
  /** Where the build put it. */
  readonly file: string;
  readonly type: string;
  readonly permanent: boolean;
}

export interface BrowserFiles {
  /** Its `rawConfig.browser` tells the names that the entries got. */
  readonly project: Project;
  readonly files: readonly BrowserFile[];
}

const FOLDER = 'browser';
const TYPES = { js: 'text/javascript; charset=utf-8', css: 'text/css; charset=utf-8' } as const;
/** Digits of the hash in a name: enough that two contents of one file never meet. */
const HASH_DIGITS = 10;
const SMALL_FILES = ['.svg', '.png', '.jpg', '.webp', '.avif', '.gif', '.woff2', '.woff'];

/** The entries of `browser` in the configuration. */
export async function bundleBrowserEntries(
  project: Project,
  outDir: string,
  problems: Problems,
): Promise<BrowserFiles> {
  const entries = Object.entries(project.config.browser);
  if (entries.length === 0) return { project, files: [] };
  const files: BrowserFile[] = [];
  const names: Record<string, string> = {};
  for (const [source, target] of entries) {
    const code = await bundleForBrowser(project, source, problems);
    if (code === null) continue;
    const path = hashedName(target, code);
    names[source] = path;
    files.push(
      await write(outDir, { path, type: TYPES[extname(path) === '.css' ? 'css' : 'js'], permanent: true }, code),
    );
  }
  return { project: { ...project, rawConfig: { ...project.rawConfig, browser: names } }, files };
}

/** Service workers that a browser could not run as they are; they keep their path. */
export async function bundleServiceWorkers(
  project: Project,
  table: RouteTable,
  outDir: string,
  problems: Problems,
): Promise<BrowserFile[]> {
  const files: BrowserFile[] = [];
  for (const path of serviceWorkersOf(table)) {
    if (!needsBundling(join(project.dir, path))) continue;
    const code = await bundleForBrowser(project, path, problems);
    if (code !== null) files.push(await write(outDir, { path, type: TYPES.js, permanent: false }, code));
  }
  return files;
}

function serviceWorkersOf({ main, destinations }: RouteTable): Set<string> {
  const paths = new Set<string>();
  for (const { routes } of [main, ...Object.values(destinations)])
    for (const { action } of routes) if (action?.kind === 'static' && action.serviceWorker) paths.add(action.path);
  return paths;
}

const PREFETCH_IMPORT =
  /\bfrom\s*['"](?:selvedge|@layer0|@edgio)\/prefetch\/|\brequire\(\s*['"](?:selvedge|@layer0|@edgio)\/prefetch\//;

function needsBundling(file: string): boolean {
  if (!existsSync(file)) return false;
  return /\.[cm]?ts$/.test(file) || PREFETCH_IMPORT.test(readFileSync(file, 'utf8'));
}

/** Null after errors. */
async function bundleForBrowser(
  { dir, configFile }: Project,
  source: string,
  problems: Problems,
): Promise<Uint8Array | null> {
  const entry = join(dir, source);
  if (!isInside(dir, entry) || !existsSync(entry)) {
    const remedy = 'correct the path: it is relative to the project.';
    problems.error(`\`browser\`: the file \`${source}\` does not exist.`, { file: configFile ?? undefined, remedy });
    return null;
  }
  const result = await build({
    absWorkingDir: dir,
    entryPoints: [entry],
    outdir: join(dir, FOLDER),
    write: false,
    bundle: true,
    format: 'iife',
    platform: 'browser',
    target: ['es2022'],
    minify: true,
    charset: 'utf8',
    legalComments: 'none',
    logLevel: 'silent',
    define: { 'process.env.NODE_ENV': '"production"' },
    loader: Object.fromEntries(SMALL_FILES.map((type) => [type, 'dataurl' as const])),
    plugins: [platformPlugin()],
  }).catch((error: BuildFailure) => {
    if (!error.errors) throw error;
    return { ...error, outputFiles: [] };
  });
  problems.add(bundleProblems(result, dir, source));
  return result.outputFiles[0]?.contents ?? null;
}

/** `assets/app.js` → `assets/app-3f9a1c2b55.js`. */
function hashedName(target: string, content: Uint8Array): string {
  const path = posix.normalize(target).replace(/^\.?\//, '');
  const hash = createHash('sha256').update(content).digest('hex').slice(0, HASH_DIGITS);
  const end = posix.extname(path);
  return `${path.slice(0, path.length - end.length)}-${hash}${end}`;
}

async function write(outDir: string, about: Omit<BrowserFile, 'file'>, content: Uint8Array): Promise<BrowserFile> {
  const file = join(outDir, FOLDER, about.path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
  return { ...about, file };
}
