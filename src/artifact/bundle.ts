/**
 * One ES module out of a project's routes file (or app entry) and everything that it imports, with a source map.
 * The output depends on the project's content alone: no absolute path is in it, so that two checkouts build the
 * same bytes. The banner gives bundled CommonJS what it expects around it; `__dirname` and `import.meta.url` of
 * a project file tell where that file would be below the bundle's folder.
 */
import { join } from 'node:path';
import { type BuildOptions, build, type BuildResult as EsbuildResult, type Message } from 'esbuild';
import { bundleProblems } from './bundle-problems.ts';
import { OWN_SOURCES, platformPlugin } from './plugin-platform.ts';
import { projectPlugin } from './plugin-project.ts';
import { type ProblemList, Problems, projectPath } from './problems.ts';

export interface BundleRequest {
  /** Real path of the project. */
  readonly projectDir: string;
  /** Absolute path of the file to bundle. */
  readonly entry: string;
  /** Name of the output without extension: `routes`, `app`. */
  readonly name: string;
  /** Packages that cannot be bundled (native add-ons) stay imports, because their files join the bundle. */
  readonly includeNodeModules: boolean;
  /** Only the project's own files are bundled, packages are found when it runs: for code that runs at build time. */
  readonly packagesStay?: boolean;
  /** `cjs` for app entries written in CommonJS: they may rely on sloppy mode. Default `esm`. */
  readonly format?: 'esm' | 'cjs';
  /** The project's configuration, as `core/config` serves it. */
  readonly config: Readonly<Record<string, unknown>>;
  /** False: `isProductionBuild()` is false. */
  readonly production: boolean;
}

export interface Bundle extends ProblemList {
  /** Empty when there are errors. */
  readonly code: string;
  /** Source map; `sources` are relative to the project, platform code is named `selvedge:…`. */
  readonly map: string;
  /** All errors are about files of the project that are not there: a framework build may make them. */
  readonly curable: boolean;
  /** Packages that stayed imports. */
  readonly external: readonly string[];
}

/** Where `core/config` looks for the project's configuration, whichever copy of it asks. */
const CONFIG_SLOT = 'globalThis[Symbol.for("selvedge.project-config.v1")]';

/** Same names as in `define` below. Survives being evaluated by two bundles of one process. */
function bannerOf({ config, production, format = 'esm' }: BundleRequest): string {
  return [
    `globalThis.__selvedge_root??=${format === 'esm' ? 'import.meta.dirname' : '__dirname'};`,
    'globalThis.__selvedge_dirname??=globalThis.__selvedge_root;',
    'globalThis.__selvedge_filename??=globalThis.__selvedge_root+"/index.js";',
    'globalThis.__selvedge_url??="file://"+encodeURI(globalThis.__selvedge_filename);',
    'globalThis.require??=process.getBuiltinModule("node:module").createRequire(globalThis.__selvedge_filename);',
    `${CONFIG_SLOT}??=${JSON.stringify(config)};`,
    // A worker must see the same routes as the build did.
    production ? '' : 'process.env.SELVEDGE_BUILD_MODE="development";',
  ].join('');
}

const TEXT_FILES = ['.txt', '.html', '.md', '.graphql', '.gql', '.svg', '.xml', '.csv', '.yaml', '.yml'];

export async function bundle(request: BundleRequest): Promise<Bundle> {
  const external = new Set<string>();
  for (;;) {
    const natives = new Set<string>();
    const result = await run(request, external, natives);
    const found = request.includeNodeModules ? [...natives].filter((name) => !external.has(name)) : [];
    // With the packages' own files in the bundle, what cannot be bundled is imported from there instead.
    if (found.length === 0) return finish(result, request, external);
    for (const name of found) external.add(name);
  }
}

type Output = EsbuildResult<{ write: false }> | { errors: Message[]; warnings: Message[]; outputFiles?: undefined };

async function run(request: BundleRequest, external: ReadonlySet<string>, natives: Set<string>): Promise<Output> {
  try {
    return await build({ ...optionsFor(request, external, natives), write: false });
  } catch (error) {
    const { errors, warnings } = error as Partial<EsbuildResult>;
    if (!errors) throw error;
    return { errors, warnings: warnings ?? [] };
  }
}

function optionsFor(request: BundleRequest, external: ReadonlySet<string>, natives: Set<string>): BuildOptions {
  const { projectDir, entry, name, includeNodeModules, format = 'esm', packagesStay = false } = request;
  return {
    absWorkingDir: projectDir,
    entryPoints: [entry],
    outfile: join(projectDir, outputName(name, format)),
    bundle: true,
    format,
    platform: 'node',
    target: 'node24',
    // Modules for Node first: browser builds of packages have no place in a worker.
    mainFields: ['module', 'main'],
    conditions: ['node', 'import', 'module'],
    ...(packagesStay ? { packages: 'external' as const } : {}),
    external: [...external].flatMap((name) => [name, `${name}/*`]),
    sourcemap: 'linked',
    sourcesContent: true,
    legalComments: 'none',
    charset: 'utf8',
    treeShaking: true,
    keepNames: true,
    logLevel: 'silent',
    banner: { js: bannerOf(request) },
    define: {
      __dirname: '__selvedge_dirname',
      __filename: '__selvedge_filename',
      'import.meta.dirname': '__selvedge_dirname',
      'import.meta.filename': '__selvedge_filename',
      'import.meta.url': '__selvedge_url',
    },
    loader: { '.js': 'jsx', '.css': 'empty', ...Object.fromEntries(TEXT_FILES.map((type) => [type, 'text' as const])) },
    plugins: [platformPlugin(), projectPlugin({ projectDir, includeNodeModules, natives })],
  };
}

function finish(result: Output, { projectDir, entry }: BundleRequest, external: ReadonlySet<string>): Bundle {
  const problems = new Problems();
  problems.add(bundleProblems(result, projectDir, projectPath(projectDir, entry)));
  const file = (end: string) => result.outputFiles?.find(({ path }) => path.endsWith(end))?.text ?? '';
  const curable = result.errors.every(({ text }) => /^Could not resolve "\.{1,2}\//.test(text));
  return {
    curable,
    errors: problems.errors,
    warnings: problems.warnings,
    code: file('js'),
    map: file('.map'),
    external: [...external].sort(),
  };
}

/** File name of a bundle; its source map has `.map` behind it. */
export const outputName = (name: string, format: 'esm' | 'cjs' = 'esm'): string =>
  `${name}.${format === 'esm' ? 'mjs' : 'cjs'}`;

/** The same map with absolute sources, for running the bundle away from the project during a build. */
export function mapForRunning(map: string, projectDir: string): string {
  const parsed = JSON.parse(map) as { sources: string[] };
  const place = (source: string) =>
    source.startsWith('selvedge:') ? join(OWN_SOURCES, source.slice('selvedge:'.length)) : join(projectDir, source);
  return JSON.stringify({ ...parsed, sources: parsed.sources.map(place) });
}
