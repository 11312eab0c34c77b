/**
 * TCP as a phase of its own: all addresses of a name within one deadline, each started a quarter of a second after
 * the one before or as soon as that has failed (a small form of RFC 8305). The first that connects wins. Node's own
 * family selection is not used: it gives every attempt up after 250 ms and hides which of them timed out.
 */
import { connect, type Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import type { LegStage } from '../status/causes.ts';
import { Deadline } from './deadline.ts';
import type { Address } from './dns.ts';
import { codeOf, StageFailure, type Trail } from './failure.ts';
import type { Prohibited } from './prohibited.ts';
import type { Attempt } from './types.ts';

export interface ConnectOptions {
  readonly port: number;
  readonly clock: Clock;
  /** For all addresses together. */
  readonly connectMs: number;
  readonly signal: AbortSignal;
  readonly prohibited: Prohibited | undefined;
  readonly trail: Trail;
}

export interface Connected {
  readonly socket: Socket;
  readonly attempt: Attempt;
}

const STAGGER_MS = 250;

/** Rejects with a `StageFailure` of a `connect.*` stage, or with the signal's reason. */
export function connectFirst(addresses: readonly Address[], options: ConnectOptions): Promise<Connected> {
  return new Promise((resolve, reject) => new Race(addresses, options, resolve, reject).start());
}

interface Runner {
  readonly socket: Socket;
  readonly attempt: Attempt;
  readonly startedMs: number;
}

class Race {
  readonly #waiting: Address[];
  readonly #options: ConnectOptions;
  readonly #resolve: (connected: Connected) => void;
  readonly #reject: (reason: unknown) => void;
  readonly #running = new Set<Runner>();
  readonly #failures: StageFailure[] = [];
  readonly #aborted = (): void => this.#lose(this.#options.signal.reason);
  #deadline: Deadline | undefined;
  #stagger: { cancel(): void } | undefined;

  constructor(
    addresses: readonly Address[],
    options: ConnectOptions,
    resolve: (connected: Connected) => void,
    reject: (reason: unknown) => void,
  ) {
    this.#waiting = [...addresses];
    this.#options = options;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  start(): void {
    const { clock, connectMs, signal } = this.#options;
    if (signal.aborted) {
      this.#reject(signal.reason);
      return;
    }
    signal.addEventListener('abort', this.#aborted, { once: true });
    this.#deadline = new Deadline(clock, connectMs, () => this.#timeOut());
    this.#next();
  }

  #next(): void {
    this.#stagger?.cancel();
    const address = this.#waiting.shift();
    if (address === undefined) {
      if (this.#running.size === 0) this.#lose(worst(this.#failures));
      return;
    }
    const refusal = this.#options.prohibited?.reason(address.address, this.#options.port) ?? null;
    if (refusal === null) this.#dial(address);
    else this.#prohibit(address, refusal);
  }

  #prohibit(address: Address, rule: string): void {
    const target = `${show(address)}:${this.#options.port}`;
    const failure = new StageFailure('connect.prohibited', { evidence: { address: target, rule } });
    const attempt = this.#options.trail.begin({ reusedConnection: false, address: target });
    this.#fail(attempt, failure);
    this.#next();
  }

  #dial(address: Address): void {
    const { port, clock, trail } = this.#options;
    const attempt = trail.begin({ reusedConnection: false, address: `${show(address)}:${port}` });
    const socket = connect({ host: address.address, port, noDelay: true, keepAlive: true, autoSelectFamily: false });
    const runner: Runner = { socket, attempt, startedMs: clock.monotonicMs() };
    this.#running.add(runner);
    socket.once('connect', () => this.#win(runner));
    // Stays on the winner's socket, too, where it does nothing: the next phase listens for itself.
    socket.on('error', (error) => this.#stumble(runner, error));
    if (this.#waiting.length > 0) this.#stagger = clock.setTimer(STAGGER_MS, () => this.#next());
  }

  #win(runner: Runner): void {
    this.#running.delete(runner);
    this.#measure(runner);
    this.#finish();
    this.#resolve({ socket: runner.socket, attempt: runner.attempt });
  }

  #stumble(runner: Runner, error: unknown): void {
    if (!this.#running.delete(runner)) return;
    this.#measure(runner);
    const stage = STAGES[codeOf(error) ?? ''];
    if (stage === undefined) {
      // What no table row names (no more file descriptors, for example) is our own trouble, not the peer's.
      this.#lose(error);
      return;
    }
    const evidence = { address: runner.attempt.address, error: codeOf(error) };
    this.#fail(runner.attempt, new StageFailure(stage, { error, evidence }));
    this.#next();
  }

  #timeOut(): void {
    for (const runner of this.#running) {
      this.#measure(runner);
      const evidence = { address: runner.attempt.address, value: this.#options.connectMs };
      this.#fail(runner.attempt, new StageFailure('connect.timeout', { evidence }));
    }
    this.#lose(worst(this.#failures));
  }

  #fail(attempt: Attempt, failure: StageFailure): void {
    attempt.fault = this.#options.trail.fault(failure);
    this.#failures.push(failure);
  }

  #measure(runner: Runner): void {
    runner.attempt.connectMs = this.#options.clock.monotonicMs() - runner.startedMs;
  }

  #lose(reason: unknown): void {
    this.#finish();
    this.#reject(reason);
  }

  #finish(): void {
    this.#deadline?.stop();
    this.#stagger?.cancel();
    this.#options.signal.removeEventListener('abort', this.#aborted);
    for (const runner of this.#running) {
      this.#measure(runner);
      runner.socket.destroy();
    }
    this.#running.clear();
  }
}

/** Failures before `connect` (status-code page, 531). */
const STAGES: Readonly<Record<string, LegStage>> = {
  ECONNREFUSED: 'connect.refused',
  ECONNRESET: 'connect.refused',
  ECONNABORTED: 'connect.refused',
  ETIMEDOUT: 'connect.timeout',
  EHOSTUNREACH: 'connect.unroutable',
  ENETUNREACH: 'connect.unroutable',
  ENETDOWN: 'connect.unroutable',
  EHOSTDOWN: 'connect.unroutable',
  EADDRNOTAVAIL: 'connect.unroutable',
  EAFNOSUPPORT: 'connect.unroutable',
  EACCES: 'connect.unroutable',
  EPERM: 'connect.unroutable',
  EINVAL: 'connect.unroutable',
};

/** Of several addresses' failures the one that names the code: any that timed out makes it a timeout. */
const TELLING: readonly LegStage[] = ['connect.timeout', 'connect.refused', 'connect.unroutable', 'connect.prohibited'];

function worst(failures: readonly StageFailure[]): StageFailure {
  return [...failures].sort((a, b) => TELLING.indexOf(a.stage) - TELLING.indexOf(b.stage))[0]!;
}

const show = ({ address, family }: Address): string => (family === 6 ? `[${address}]` : address);
