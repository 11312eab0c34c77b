/**
 * Log lines of one worker: those that the guest tells with their request, and raw output on the pipes (native
 * code, app commands, the runtime's last words), which belongs to the only request that runs, or is late.
 */
import type { Readable } from 'node:stream';
import type { GuestLog } from './ipc.ts';
import type { ComputeOptions } from './options.ts';
import { inspectorAddress, isInspectorLine } from './sample.ts';
import type { Runnable } from './types.ts';

const LINE_CHARS = 65_536;
const TAIL_CHARS = 8_192;
const REMEMBERED = 64;
const WINDOW_MS = 1_000;
const WINDOW_CHARS = 1_048_576;
const INFO = 30;
const ERROR = 50;

interface LoggedRun {
  readonly token: string;
  readonly call: { readonly requestId: string; readonly clientIp: string };
}
interface LoggingWorker {
  readonly wi: string;
  readonly runnable: Runnable;
  readonly runs: ReadonlyMap<string, LoggedRun>;
}

export class WorkerLog {
  readonly #options: Pick<ComputeOptions, 'clock' | 'onLog'>;
  readonly #worker: LoggingWorker;
  /** Requests that are over, for what they still write. */
  readonly #past = new Map<string, LoggedRun>();
  #last: LoggedRun | undefined;
  #tail = '';
  #lastMessage: string | undefined;
  #inspected: ((address: string | undefined) => void) | undefined;
  #dying: LoggedRun | undefined;
  #windowStartMs = 0;
  #windowChars = 0;

  constructor(options: Pick<ComputeOptions, 'clock' | 'onLog'>, worker: LoggingWorker) {
    this.#options = options;
    this.#worker = worker;
  }

  remember(run: LoggedRun): void {
    this.#last = run;
    this.#past.set(run.token, run);
    if (this.#past.size > REMEMBERED) this.#past.delete(this.#past.keys().next().value!);
  }

  lastMessage(): string | undefined {
    return this.#lastMessage;
  }

  /** A line of the platform about a request. */
  told(level: number, message: string, run: LoggedRun): void {
    const last = this.#lastMessage;
    this.#emit(this.#options.clock.nowMs(), level, message, run, false);
    this.#lastMessage = last;
  }

  requestOf(token: string): string | undefined {
    return (this.#worker.runs.get(token) ?? this.#past.get(token))?.call.requestId;
  }

  stderrTail(): string {
    return this.#tail;
  }

  line({ time, level, message, token, late }: GuestLog): void {
    const known = token === undefined ? undefined : (this.#worker.runs.get(token) ?? this.#past.get(token));
    if (known) this.#emit(time, level, message, known, late === true);
    else this.#unattributed(time, level, message);
  }

  follow(stdout: Readable, stderr: Readable): void {
    readLines(stdout, (line) => this.#unattributed(this.#options.clock.nowMs(), INFO, line));
    readLines(stderr, (line) => {
      if (this.#inspected && isInspectorLine(line)) return this.#inspected(inspectorAddress(line));
      this.#tail = `${this.#tail}${line}\n`.slice(-TAIL_CHARS);
      const atMs = this.#options.clock.nowMs();
      // A report that the guest wrote first may be behind it in this turn, and says whose words these are.
      setImmediate(() => this.#unattributed(atMs, ERROR, line));
    });
  }

  /** Resolves with the inspector's address once it tells it; its lines are not the project's. */
  inspector(): Promise<string> {
    return new Promise((resolve) => {
      this.#inspected = (address) => address !== undefined && resolve(address);
    });
  }

  /** What comes on the pipes from now on is about the request whose code ends the process, or about none. */
  lastWordsOf(token: string | undefined): void {
    if (token === undefined) return;
    this.#dying = this.#worker.runs.get(token) ?? this.#past.get(token);
  }

  #unattributed(time: number, level: number, message: string): void {
    const { runs } = this.#worker;
    const [only] = runs.values();
    const running = this.#dying ?? (runs.size === 1 ? only : undefined);
    const late = running === undefined ? runs.size === 0 : !runs.has(running.token);
    this.#emit(time, level, message, running ?? this.#last, late);
  }

  #emit(time: number, level: number, message: unknown, run: LoggedRun | undefined, late: boolean): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#windowStartMs > WINDOW_MS) {
      this.#windowStartMs = nowMs;
      this.#windowChars = 0;
    }
    const text = String(message).slice(0, LINE_CHARS + 1);
    this.#lastMessage = text;
    this.#windowChars += text.length;
    if (this.#windowChars > 2 * WINDOW_CHARS) return;
    this.#options.onLog({
      time: Number(time),
      level: Number(level),
      message: text,
      requestId: run?.call.requestId ?? '',
      clientIp: run?.call.clientIp ?? '',
      wi: this.#worker.wi,
      fn: this.#worker.runnable.id,
      ...(late && run ? { late: true } : {}),
    });
  }
}

function readLines(stream: Readable, onLine: (line: string) => void): void {
  let open = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (open + text).split('\n');
    open = lines.pop()!;
    if (open.length > LINE_CHARS) {
      lines.push(open);
      open = '';
    }
    for (const line of lines) if (line !== '') onLine(line);
  });
  stream.once('end', () => open !== '' && onLine(open));
  stream.on('error', () => {});
}
