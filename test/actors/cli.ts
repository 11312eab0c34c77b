/** The command line as a user runs it: a process, its exit code and what it printed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { COMMANDS } from '../../src/cli/commands/index.ts';
import { runCli } from '../../src/cli/run.ts';

export interface CliResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** The same without a process of its own: for what depends on nothing but arguments, files and the network. */
export async function cliHere(
  args: readonly string[],
  { cwd = tmpdir(), env = {} }: CliOptions = {},
): Promise<CliResult> {
  const text = { stdout: '', stderr: '' };
  const code = await runCli(
    args,
    { commands: COMMANDS, version: '0.0.0-test' },
    {
      env,
      cwd,
      isTerminal: false,
      out: (more) => {
        text.stdout += more;
      },
      err: (more) => {
        text.stderr += more;
      },
    },
  );
  return { code, signal: null, ...text };
}

export function startCli(args: readonly string[], { cwd, env }: CliOptions = {}): ChildProcess {
  const main = fileURLToPath(new URL('./cli-main.ts', import.meta.url));
  const clean = { ...process.env, SELVEDGE_CONTROL: undefined, SELVEDGE_TOKEN: undefined, SELVEDGE_DATA: undefined };
  return spawn(process.execPath, [main, ...args], {
    cwd,
    env: { ...clean, NODE_TEST_CONTEXT: undefined, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

export async function cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  return finished(startCli(args, options));
}

export async function finished(child: ChildProcess): Promise<CliResult> {
  const text = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]!.setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
    });
  }
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, ...text };
}
