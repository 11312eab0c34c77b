/**
 * Runs the bundled routes file once, in a child process, and gets what its router recorded: the route table and
 * the files that routes serve. A routes file that throws, hangs, exits or exports no router becomes an error with
 * the place in the project's own source.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Recording } from '../router/protocol.ts';
import type { RouteTable } from '../router/table.ts';
import { type Bundle, mapForRunning, ROUTES_BUNDLE } from './bundle.ts';
import { failureOf, runChild } from './child.ts';
import type { RecordInput, RecordOutput } from './children/record-routes.ts';
import { type Problems, projectPath } from './problems.ts';

export interface RecordRequest {
  readonly projectDir: string;
  /** Absolute; named in errors without a better place. */
  readonly routesFile: string;
  readonly bundle: Bundle;
  readonly backends: RouteTable['backends'];
  /** Files that the build itself makes, relative to the project. */
  readonly madeFiles?: readonly string[];
  readonly reservedHeaderPrefixes?: readonly string[];
  /** False: the routes of development (`isProductionBuild()` is false). */
  readonly production: boolean;
  /** For the whole run, `prerender` functions included. Default 60,000. */
  readonly timeLimitMs?: number;
  /** What project code prints. */
  readonly onOutput?: (line: string) => void;
}

const RECORD_TIME_LIMIT_MS = 60_000;

/** Null after an error; the recording's own problems are added to `problems`. */
export async function recordRoutes(request: RecordRequest, problems: Problems): Promise<Recording | null> {
  const {
    projectDir,
    backends,
    reservedHeaderPrefixes,
    madeFiles,
    production,
    onOutput,
    timeLimitMs = RECORD_TIME_LIMIT_MS,
  } = request;
  const routes = projectPath(projectDir, request.routesFile);
  const folder = await mkdtemp(join(tmpdir(), 'selvedge-record-'));
  try {
    const file = join(folder, ROUTES_BUNDLE);
    await writeFile(file, request.bundle.code);
    await writeFile(`${file}.map`, mapForRunning(request.bundle.map, projectDir));
    const input: RecordInput = { projectDir, backends, reservedHeaderPrefixes, madeFiles, file };
    const env = {
      NODE_ENV: production ? 'production' : 'development',
      SELVEDGE_BUILD_MODE: production ? 'production' : 'development',
      SELVEDGE_RUNTIME: 'local',
    };
    const outcome = await runChild<RecordOutput>({
      job: 'record-routes',
      input,
      cwd: projectDir,
      env,
      timeLimitMs,
      onOutput,
    });
    if (outcome.kind !== 'result') {
      problems.errors.push(failureOf(outcome, { projectDir, what: 'The routes file', file: routes }));
      return null;
    }
    if (outcome.value === null) {
      problems.error('The routes file exports no Router.', {
        file: routes,
        remedy: 'end it with `export default new Router()…` (or `module.exports = …`).',
      });
      return null;
    }
    problems.add(outcome.value);
    const { main, destinations } = outcome.value.table;
    if (main.routes.length === 0 && Object.keys(destinations).length === 0)
      problems.warn('The router has no routes, so every address is answered 404.', {
        file: routes,
        remedy: "add routes, for example `.static('public')` or `.fallback(({ proxy }) => proxy('backend'))`.",
      });
    return outcome.value.errors.length > 0 ? null : outcome.value;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
