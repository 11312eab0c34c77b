/** The lab behind the Control API: each order is a `selvedge lab` of its own, beside the platform and not in it. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { LabCaseView, LabRunLine, RequestView } from '../../control/contract.ts';
import type { LabOrder, LabSource } from '../../control/lab.ts';
import { Problem } from '../../control/problem.ts';

/** Each is a platform of its own. */
const MOST_AT_ONCE = 3;
const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));

export class LabProcesses implements LabSource {
  readonly #running = new Set<ChildProcess>();
  #cases: Promise<readonly LabCaseView[]> | undefined;

  cases(): Promise<readonly LabCaseView[]> {
    this.#cases ??= this.#listed();
    return this.#cases;
  }

  run(order: LabOrder, signal: AbortSignal): AsyncGenerator<LabRunLine> {
    if (this.#running.size >= MOST_AT_ONCE) {
      const detail = `${MOST_AT_ONCE} runs of the lab are under way; wait until one of them has ended`;
      throw new Problem({ status: 429, reason: 'lab-busy', detail });
    }
    return this.#play(order, signal);
  }

  async *#play({ code, variant }: LabOrder, signal: AbortSignal): AsyncGenerator<LabRunLine> {
    const only = variant === undefined ? [] : ['--variant', variant];
    const { cases } = await this.#lab<{ readonly cases: readonly PlayedCase[] }>([String(code), ...only], signal);
    for (const played of cases) yield lineOf(played);
  }

  /** Ends every lab that is under way; resolves when their processes are gone. */
  async close(): Promise<void> {
    await Promise.all(
      [...this.#running].map((child) => {
        child.kill('SIGTERM');
        return once(child, 'close');
      }),
    );
  }

  async #listed(): Promise<readonly LabCaseView[]> {
    try {
      return (await this.#lab<{ readonly cases: readonly LabCaseView[] }>(['--list'])).cases;
    } catch (error) {
      this.#cases = undefined;
      throw error;
    }
  }

  /** Differences are an answer, too: exit code 1 with JSON. */
  async #lab<Answer>(args: readonly string[], signal?: AbortSignal): Promise<Answer> {
    const child = spawn(process.execPath, [MAIN, 'lab', ...args, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#running.add(child);
    const stop = (): void => void child.kill('SIGTERM');
    signal?.addEventListener('abort', stop);
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('utf8').on('data', (text: string) => {
        said[name] += text;
      });
    }
    await once(child, 'close');
    signal?.removeEventListener('abort', stop);
    this.#running.delete(child);
    if (said.stdout === '') throw new Error(`the lab ended without an answer: ${said.stderr}`);
    return JSON.parse(said.stdout) as Answer;
  }
}

/** As `selvedge lab --json` prints it. */
interface PlayedCase {
  readonly code: number;
  readonly variant: string;
  readonly how: string;
  readonly expected: { readonly cause: string; readonly hop: string };
  readonly got: { readonly code: number | null };
  readonly requestId: string;
  readonly differences: readonly string[];
  readonly story?: RequestView;
}

function lineOf({ code, variant, how, expected, got, requestId, differences, story }: PlayedCase): LabRunLine {
  const telling = story?.tellings[0];
  return {
    ...{ code, variant, how, cause: expected.cause, hop: expected.hop, got: got.code, requestId, differences },
    ...(telling === undefined ? {} : { telling }),
  };
}
