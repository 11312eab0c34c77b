/**
 * Starts POP processes, tells them what to be, replaces those that die, and ends them in order. A process that died
 * is started again at once, and more slowly the more often it dies without having served in between.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Clock, systemClock } from '../../base/clock.ts';
import type { TrafficDelta } from '../../telemetry/traffic.ts';
import { type FromPop, POP_PROCESS, type PopSpec, type Ports, type ToPop } from './spec.ts';

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url));
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 5_000;
const ALIVE_MS = 3_600_000;
/** What a mapped file that is not as it was left does to a process. */
const DAMAGE_SIGNALS: ReadonlySet<string> = new Set(['SIGSEGV', 'SIGBUS', 'SIGABRT', 'SIGILL']);
/** Longer than this alive, and a death counts as the first again. */
const STEADY_MS = 10_000;

export interface SupervisedPop {
  /** Resolves with the ports once it serves; rejects when it could not start. */
  readonly ready: Promise<Ports>;
  /** Lets it finish what it has, then ends it; resolves when the process is gone. */
  stop(graceMs: number): Promise<void>;
}

export interface SupervisorOptions {
  readonly clock?: Clock;
  readonly report: (message: string) => void;
  /** What a process has served, told every so often. */
  readonly onTraffic?: (delta: TrafficDelta) => void;
}

/**
 * Forks at once, so that the process boots while `spec` is still being found out. Once it has served on its ports,
 * its successors take the same ones.
 */
export function supervisePop(name: string, spec: Promise<PopSpec>, options: SupervisorOptions): SupervisedPop {
  return new Supervised(name, spec, options);
}

class Supervised implements SupervisedPop {
  readonly ready: Promise<Ports>;
  readonly #name: string;
  readonly #spec: Promise<PopSpec>;
  readonly #options: SupervisorOptions;
  readonly #clock: Clock;
  readonly #first = Promise.withResolvers<Ports>();
  /** While its only child is dead nothing else keeps this process alive. */
  readonly #alive = setInterval(() => {}, ALIVE_MS);
  #child: ChildProcess;
  #ports: Ports | undefined;
  #stopping = false;
  #startedMs: number;
  #pauseMs = FIRST_PAUSE_MS;
  #brokenBeforeMs = 0;

  constructor(name: string, spec: Promise<PopSpec>, options: SupervisorOptions) {
    this.#name = name;
    this.#spec = spec;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.ready = this.#first.promise;
    this.ready.catch(() => {});
    this.#startedMs = this.#clock.monotonicMs();
    this.#child = this.#fork();
  }

  async stop(graceMs: number): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#alive);
    this.#first.reject(new Error(`${this.#name} was stopped while it started`));
    const child = this.#child;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    child.once('exit', () => resolve());
    const late = setTimeout(() => child.kill('SIGKILL'), graceMs + KILL_AFTER_MS);
    this.#tell({ drain: graceMs });
    await promise;
    clearTimeout(late);
  }

  #fork(): ChildProcess {
    const child = fork(MAIN, [POP_PROCESS], {
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    child.on('message', (message: FromPop) => this.#hear(message));
    child.on('exit', (code, signal) => this.#exited(code, signal));
    // No process could be made: there is no exit to come.
    child.on('error', (error) => child.pid === undefined && this.#exited(null, null, error.message));
    return child;
  }

  #tell(message: ToPop): void {
    if (this.#child.connected) this.#child.send(message, () => {});
  }

  #hear(message: FromPop): void {
    if ('booted' in message) {
      this.#spec.then(
        (spec) => {
          const listen = { ...spec.listen, ...this.#ports };
          this.#tell({ start: { ...spec, listen, brokenBeforeMs: this.#brokenBeforeMs } });
        },
        () => {},
      );
    } else if ('ready' in message) {
      this.#ports = message.ready;
      this.#first.resolve(this.#ports);
    } else if ('traffic' in message) {
      this.#options.onTraffic?.(message.traffic);
    } else {
      this.#first.reject(new Error(message.failed));
      // Of the first start the caller tells.
      if (this.#ports !== undefined) this.#options.report(`${this.#name} could not start: ${message.failed}`);
      this.#child.kill('SIGKILL');
    }
  }

  #exited(code: number | null, signal: NodeJS.Signals | null, ending: string = signal ?? `exit code ${code}`): void {
    if (this.#stopping) return;
    const isFirstBreak = this.#brokenBeforeMs === 0;
    if (DAMAGE_SIGNALS.has(ending)) this.#brokenBeforeMs = this.#clock.nowMs();
    if (this.#ports === undefined && isFirstBreak && this.#brokenBeforeMs > 0) {
      this.#options.report(
        `${this.#name} ended while it started (${ending}); it starts again without what it had stored`,
      );
      this.#child = this.#fork();
      return;
    }
    if (this.#ports === undefined) {
      this.#first.reject(new Error(`${this.#name} ended while it started (${ending})`));
      return;
    }
    if (this.#clock.monotonicMs() - this.#startedMs > STEADY_MS) this.#pauseMs = FIRST_PAUSE_MS;
    this.#options.report(`${this.#name} ended (${ending}); a new one starts in ${this.#pauseMs} ms`);
    this.#clock.setTimer(this.#pauseMs, () => {
      if (this.#stopping) return;
      this.#startedMs = this.#clock.monotonicMs();
      this.#child = this.#fork();
    });
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }
}

/** After the grace period a process has this long to end by itself. */
const KILL_AFTER_MS = 2_000;
