/**
 * One ES module out of a project's routes file (or app entry) and everything that it imports, with a source map.
 * The output depends on the project's content alone: no absolute path is in it, so that two checkouts build the
 * same bytes. The banner gives bundled CommonJS what it expects around it; `__dirname` and `import.meta.url` of
 * a project file tell where that file would be below the bundle's folder.
 */
import { join, posix } from 'node:path';
import { type BuildOptions, build, type BuildResult as EsbuildResult, type Message } from 'esbuild';
import { bundleProblems } from './bundle-problems.ts';
import { OWN_SOURCES, platformPlugin } from './plugin-platform.ts';
import { projectPlugin } from './plugin-project.ts';
import { type ProblemList, Problems, projectPath } from './problems.ts';

/** The routes module in every server bundle. */
export const ROUTES_BUNDLE = 'routes.mjs';

export interface BundleRequest {
  /** Real path of the project. */
  readonly projectDir: string;
  /** Absolute path of the file to bundle. */
  readonly entry: string;
  /** Where the output lies in the bundle's folder: `routes.mjs`. A `.cjs` keeps CommonJS with its sloppy mode. */
  readonly out: string;
  /** Packages that cannot be bundled (native add-ons) stay imports, because their files join the bundle. */
  readonly includeNodeModules: boolean;
  /** Only the project's own files are bundled, packages are found when it runs: for code that runs at build time. */
  readonly packagesStay?: boolean;
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
  /** Files that it was made of, relative to the project. */
  readonly inputs: readonly string[];
}

/** Where `core/config` looks for the project's configuration, whichever copy of it asks. */
const CONFIG_SLOT = 'globalThis[Symbol.for("selvedge.project-config.v1")]';

/** Names that stand for `__dirname` and its relatives; each bundle has its own, because two may share a process. */
const placeNames = (out: string) => {
  const prefix = `__selvedge_${posix.basename(out).replace(/\W.*/, '')}`;
  return { dirname: `${prefix}_dirname`, filename: `${prefix}_filename`, url: `${prefix}_url` } as const;
};

/** Runs before everything else: what bundled files expect around them, and what old packages expect of Node. */
function bannerOf({ out, config, production }: BundleRequest): string {
  const here = out.endsWith('.cjs') ? '__dirname' : 'import.meta.dirname';
  const depth = out.split('/').length - 1;
  const { dirname, filename, url } = placeNames(out);
  return [
    `globalThis.__selvedge_root??=process.getBuiltinModule("node:path").join(${[here, ...Array(depth).fill('".."')].join()});`,
    `globalThis.${dirname}=globalThis.__selvedge_root+${JSON.stringify(posix.join('/', posix.dirname(out)).replace(/\/$/, ''))};`,
    `globalThis.${filename}=globalThis.__selvedge_root+${JSON.stringify(`/${out}`)};`,
    `globalThis.${url}="file://"+encodeURI(globalThis.${filename});`,
    'globalThis.require??=process.getBuiltinModule("node:module").createRequire(globalThis.__selvedge_root+"/index.js");',
    // Gone from Node 25, but part of the token libraries that many older servers load.
    '{const b=process.getBuiltinModule("node:buffer");b.SlowBuffer??=Object.assign(function SlowBuffer(n){return b.Buffer.allocUnsafeSlow(n)},{prototype:b.Buffer.prototype})}',
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

type Output =
  | EsbuildResult<{ write: false; metafile: true }>
  | { errors: Message[]; warnings: Message[]; outputFiles?: undefined; metafile?: undefined };

async function run(request: BundleRequest, external: ReadonlySet<string>, natives: Set<string>): Promise<Output> {
  try {
    return await build({ ...optionsFor(request, external, natives), write: false, metafile: true });
  } catch (error) {
    const { errors, warnings } = error as Partial<EsbuildResult>;
    if (!errors) throw error;
    return { errors, warnings: warnings ?? [] };
  }
}

function optionsFor(request: BundleRequest, external: ReadonlySet<string>, natives: Set<string>): BuildOptions {
  const { projectDir, entry, out, includeNodeModules, packagesStay = false } = request;
  const places = placeNames(out);
  return {
    absWorkingDir: projectDir,
    entryPoints: [entry],
    outfile: join(projectDir, out),
    bundle: true,
    format: out.endsWith('.cjs') ? 'cjs' : 'esm',
    platform: 'node',
    target: 'node24',
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
      __dirname: places.dirname,
      __filename: places.filename,
      'import.meta.dirname': places.dirname,
      'import.meta.filename': places.filename,
      'import.meta.url': places.url,
    },
    loader: { '.js': 'jsx', '.css': 'empty', ...Object.fromEntries(TEXT_FILES.map((type) => [type, 'text' as const])) },
    plugins: [platformPlugin(), projectPlugin({ projectDir, includeNodeModules, natives, places })],
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
    map: withoutOwnSources(file('.map')),
    external: [...external].sort(),
    inputs: Object.keys(result.metafile?.inputs ?? {}).sort(),
  };
}

/** Our own code keeps its line numbers, but a worker need not load its text with every project. */
function withoutOwnSources(map: string): string {
  if (map === '') return map;
  const parsed = JSON.parse(map) as { sources: string[]; sourcesContent: (string | null)[] };
  const keep = (text: string | null, at: number) => (parsed.sources[at]!.startsWith('selvedge:') ? null : text);
  return JSON.stringify({ ...parsed, sourcesContent: parsed.sourcesContent.map(keep) });
}

/** The same map with absolute sources, for running the bundle away from the project during a build. */
export function mapForRunning(map: string, projectDir: string): string {
  const parsed = JSON.parse(map) as { sources: string[] };
  const place = (source: string) =>
    source.startsWith('selvedge:') ? join(OWN_SOURCES, source.slice('selvedge:'.length)) : join(projectDir, source);
  return JSON.stringify({ ...parsed, sources: parsed.sources.map(place) });
}
