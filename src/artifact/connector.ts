/**
 * What ties a framework to the platform: a folder of the project or an installed package with up to four entries
 * (`init`, `dev`, `build`, `prod`). The build entry runs in a child process and stages files; the prod entry is
 * the app's server. Express has a built-in connector, whether its package is installed or not.
 * Source: spec page compute, section 8.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { failureOf, runChild } from './child.ts';
import type { ConnectorInput } from './children/run-connector.ts';
import type { StageRequests } from './compat/stage.ts';
import { nodeOptionsForBuilds } from './old-frameworks.ts';
import { type Problems, projectPath } from './problems.ts';
import type { Project } from './project.ts';

export type ConnectorEntry = 'init' | 'dev' | 'build' | 'prod';

export type Connector =
  | { readonly kind: 'none' }
  | { readonly kind: 'express' }
  /** `entries`: absolute paths. */
  | {
      readonly kind: 'entries';
      readonly name: string;
      readonly entries: Readonly<Partial<Record<ConnectorEntry, string>>>;
    };

export interface ConnectorBuild {
  readonly stageDir: string;
  readonly requests: StageRequests;
}

const EXPRESS = new Set(['express', 'selvedge/express', '@layer0/express', '@edgio/express']);
/** Their routes plugins are part of the platform; what their builds made of browser scripts is the project's to make. */
const BUILT_IN = new Set(['@layer0/starter', '@edgio/starter']);
const ENTRIES: readonly ConnectorEntry[] = ['init', 'dev', 'build', 'prod'];
const ENTRY_TYPES = ['js', 'cjs', 'mjs', 'ts', 'cts', 'mts'];
const NEWEST_RELEASE = 6;
/** Framework builds are long. */
const BUILD_TIME_LIMIT_MS = 30 * 60_000;

export function findConnector({ dir, config, configFile }: Project, problems: Problems): Connector {
  const { connector, express } = config;
  if (connector === undefined) return { kind: express === undefined ? 'none' : 'express' };
  if (EXPRESS.has(connector)) return { kind: 'express' };
  const directory = directoryOf(dir, connector);
  const release = directory === null ? undefined : releaseOf(directory, connector);
  if (release !== undefined && release > NEWEST_RELEASE)
    problems.error(
      `The connector package \`${connector}\` is of release ${release}, whose routes are feature objects.`,
      {
        file: configFile ?? undefined,
        remedy: `install release ${NEWEST_RELEASE} (\`npm install ${connector}@${NEWEST_RELEASE}\`) and write routes with handler functions; or replace it by \`app: { command: ['node', 'server.js'] }\`, which runs any server.`,
      },
    );
  if (directory !== null) return { kind: 'entries', name: connector, entries: entriesOf(directory) };
  const file = configFile ?? undefined;
  if (BUILT_IN.has(connector)) {
    problems.warn(`The connector package \`${connector}\` is not installed, so its build step does not run.`, {
      file,
      remedy:
        'its routes plugin is part of the platform; make the browser scripts in `dist/` with a build script of your own.',
    });
    return { kind: 'none' };
  }
  if (/^[./]/.test(connector))
    problems.error(`The connector's folder \`${connector}\` does not exist.`, {
      file,
      remedy: 'correct `connector` in the configuration.',
    });
  else
    problems.error(`The connector package \`${connector}\` is not installed.`, {
      file,
      remedy: `run \`npm install\` in the project, or \`npm install ${connector}\`; or replace it by \`app: { command: ['node', 'server.js'] }\`, which runs any server.`,
    });
  return { kind: 'none' };
}

/** A folder of the project, or a package as Node would find it. */
function directoryOf(dir: string, connector: string): string | null {
  const isFolder = (path: string): boolean => existsSync(path) && statSync(path).isDirectory();
  const own = isAbsolute(connector) ? connector : join(dir, connector);
  if (isFolder(own)) return own;
  if (/^[./]/.test(connector)) return null;
  for (let at = dir; ; at = dirname(at)) {
    const installed = join(at, 'node_modules', connector);
    if (isFolder(installed)) return installed;
    if (at === dirname(at)) return null;
  }
}

/** Of a package of the old scopes; their release 7 is another interface. */
function releaseOf(directory: string, connector: string): number | undefined {
  if (!/^@(?:layer0|edgio)\//.test(connector)) return undefined;
  try {
    const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { version?: string };
    return Number.parseInt(version ?? '', 10) || undefined;
  } catch {
    return undefined;
  }
}

function entriesOf(directory: string): Partial<Record<ConnectorEntry, string>> {
  const found: Partial<Record<ConnectorEntry, string>> = {};
  for (const entry of ENTRIES) {
    const candidates = ENTRY_TYPES.flatMap((type) => [
      join(directory, `${entry}.${type}`),
      join(directory, entry, `index.${type}`),
    ]);
    const file = candidates.find((candidate) => existsSync(candidate));
    if (file !== undefined) found[entry] = file;
  }
  return found;
}

export interface ConnectorRun {
  readonly project: Project;
  readonly connector: Connector;
  /** Emptied first. */
  readonly stageDir: string;
  readonly skipFramework: boolean;
  readonly onOutput?: (line: string) => void;
}

/** Runs the build entry. Null when there is none, or when it failed (told in `problems`). */
export async function buildWithConnector(run: ConnectorRun, problems: Problems): Promise<ConnectorBuild | null> {
  const { project, connector, stageDir, skipFramework, onOutput } = run;
  await rm(stageDir, { recursive: true, force: true });
  const entry = connector.kind === 'entries' ? connector.entries.build : undefined;
  if (entry === undefined) return null;
  const { dir, rawConfig } = project;
  const input: ConnectorInput = {
    projectDir: dir,
    entry,
    stageDir,
    skipFramework,
    config: rawConfig,
    routesFile: project.routesFile ?? '',
  };
  const outcome = await runChild<StageRequests>({
    job: 'run-connector',
    input,
    cwd: dir,
    env: { NODE_OPTIONS: nodeOptionsForBuilds() },
    timeLimitMs: BUILD_TIME_LIMIT_MS,
    onOutput,
  });
  if (outcome.kind === 'result') {
    for (const path of Object.keys(outcome.value.expirations))
      problems.warn(`setStaticAssetExpiration('${path}') has no effect here.`, {
        remedy: 'give `expiresSeconds` to `serveStatic` in the route.',
      });
    return { stageDir, requests: outcome.value };
  }
  const failure = failureOf(outcome, {
    projectDir: dir,
    what: 'The build entry of the connector',
    file: projectPath(dir, entry),
  });
  // Whoever skips the framework's build has its output already; the rest of the entry may not be runnable at all.
  if (skipFramework)
    problems.warnings.push({ ...failure, remedy: 'what it would have staged is missing from this build.' });
  else problems.errors.push(failure);
  return null;
}
