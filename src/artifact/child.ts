/**
 * Project code at build time runs in a process of its own: it can throw, exit, hang or leave handles open and
 * the platform only reads how that ended. The child leads its process group, so that whatever it started ends
 * with it; it watches the channel to its parent and does not outlive it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { BuildProblem } from '../router/protocol.ts';
import { isInside, projectPath } from './problems.ts';

/** The jobs that exist; each is a file in `children/`. */
export type Job = 'load-config' | 'record-routes' | 'run-connector';

export interface ChildRun {
  readonly job: Job;
  readonly input: unknown;
  readonly cwd: string;
  readonly timeLimitMs: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Each line that project code prints. */
  readonly onOutput?: (line: string) => void;
}

export interface ThrownError {
  readonly name: string;
  readonly message: string;
  /** Frames as Node prints them, source maps applied. */
  readonly stack: string;
  readonly code?: string;
}

export type ChildOutcome<T> =
  | { readonly kind: 'result'; readonly value: T }
  | { readonly kind: 'threw'; readonly error: ThrownError }
  | { readonly kind: 'exited'; readonly code: number | null; readonly signal: NodeJS.Signals | null }
  | { readonly kind: 'timeout'; readonly limitMs: number };

/** What a child says, once. */
export type ChildReport = { readonly value: unknown } | { readonly error: ThrownError };

/** Sources run as they are in a checkout and as JavaScript in a published package. */
const EXTENSION = import.meta.filename.endsWith('.ts') ? '.ts' : '.js';
const entryOf = (job: Job): string => fileURLToPath(new URL(`./children/${job}${EXTENSION}`, import.meta.url));
/** Credentials of the platform that the person who builds may have in the environment; project code has no use for them. */
const WITHHELD = ['SELVEDGE_TOKEN', 'SELVEDGE_CONTROL', 'NODE_TEST_CONTEXT'];

export function runChild<T>(run: ChildRun): Promise<ChildOutcome<T>> {
  const env: NodeJS.ProcessEnv = { ...process.env, ...run.env };
  for (const name of WITHHELD) delete env[name];
  const child = spawn(process.execPath, ['--enable-source-maps', entryOf(run.job)], {
    cwd: run.cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  showOutput(child, run.onOutput);
  child.send({ input: run.input });
  return outcomeOf<T>(child, run.timeLimitMs).finally(() => endGroup(child));
}

function showOutput(child: ChildProcess, onOutput: ChildRun['onOutput']): void {
  for (const stream of [child.stdout!, child.stderr!])
    createInterface({ input: stream }).on('line', (line) => onOutput?.(line));
}

function outcomeOf<T>(child: ChildProcess, limitMs: number): Promise<ChildOutcome<T>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve({ kind: 'timeout', limitMs }), limitMs);
    let report: ChildReport | undefined;
    child.once('message', (message: ChildReport) => {
      report = message;
      // Its output may still be on the way; the end of the process is the end of that as well.
      child.kill('SIGKILL');
    });
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      if (report === undefined) resolve({ kind: 'exited', code, signal });
      else if ('error' in report) resolve({ kind: 'threw', error: report.error });
      else resolve({ kind: 'result', value: report.value as T });
    });
    // A grandchild that keeps the pipes open must not hold the build.
    child.once('exit', () => setTimeout(() => endGroup(child), 500).unref());
  });
}

function endGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // Nobody left in the group.
  }
}

export interface FailureContext {
  readonly projectDir: string;
  /** What was running, as the start of a sentence: `the routes file`. */
  readonly what: string;
  /** Project-relative file to name when no better place is known. */
  readonly file: string;
}

/** Says in the user's terms how a child failed: their file and line, never our frames. */
export function failureOf(
  outcome: Exclude<ChildOutcome<unknown>, { kind: 'result' }>,
  context: FailureContext,
): BuildProblem {
  const { what, file, projectDir } = context;
  if (outcome.kind === 'timeout')
    return {
      file,
      message: `${what} did not finish within ${Math.round(outcome.limitMs / 1000)} s.`,
      remedy: 'look for a promise that never settles or a call that never returns.',
    };
  if (outcome.kind === 'exited') {
    const how = outcome.signal ? `was ended by ${outcome.signal}` : `ended its process with exit code ${outcome.code}`;
    return {
      file,
      message: `${what} ${how} before it was done.`,
      remedy: 'see its output above, and throw errors instead of calling process.exit().',
    };
  }
  const { error } = outcome;
  const place = placeOf(error.stack, projectDir);
  const name = error.name === 'Error' ? '' : `${error.name}: `;
  return {
    file,
    ...place,
    message: sentence(`${what} failed: ${name}${firstLine(error.message)}`),
    remedy: remedyFor(error),
  };
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);
const firstLine = (text: string): string => text.split('\n', 1)[0] ?? '';

function remedyFor(error: ThrownError): string | undefined {
  if (error.code === 'ERR_MODULE_NOT_FOUND' || error.code === 'MODULE_NOT_FOUND')
    return "install the project's packages first (npm install), and check the spelling of the name.";
  return undefined;
}

/** The innermost frame in the project's own files; undefined when the stack has none. */
export function placeOf(stack: string, projectDir: string): { file: string; line: number } | undefined {
  for (const [, at, line] of stack.matchAll(/(?:\(|at |^)((?:file:\/\/)?\/[^():\n]+):(\d+)(?::\d+)?\)?/gm)) {
    const file = at!.startsWith('file:') ? fileURLToPath(at!) : at!;
    if (isInside(projectDir, file) && !file.includes('/node_modules/'))
      return { file: projectPath(projectDir, file), line: Number(line) };
  }
  return undefined;
}
