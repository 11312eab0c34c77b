/**
 * One worker process from spawn to end: its life is `starting` → `ready` → `retiring` → `ended`. It leads a process
 * group of its own, so that whatever project code starts dies with it. Nothing of the platform's environment and
 * no descriptor but the standard streams and the control pipe goes in.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Agent } from 'node:http';
import { join } from 'node:path';
import type { Timer } from '../base/clock.ts';
import type { Fault } from '../status/fault.ts';
import { confined, confinedEnvironment, type Place } from './confine.ts';
import { workerEnvironment } from './environment.ts';
import type { LogLine } from './fault-line.ts';
import type { FromGuest, GuestFault, ToGuest } from './ipc.ts';
import { WorkerLog } from './log.ts';
import { MemoryWatch, type Watched } from './memory-watch.ts';
import { endFault, type KillReason, type WorkerEnd } from './outcome.ts';
import { type GuestPlace, killGroup, spawnGuest } from './process.ts';
import type { Room } from './room.ts';
import { loadFault } from './timeout.ts';
import type { ComputeCall, Runnable } from './types.ts';

/** Longest that a process may take until it can load anything: only a machine in trouble takes seconds. */
const START_MS = 30_000;

/** A request in the worker's hands. */
export interface WorkerRun {
  readonly token: string;
  readonly call: ComputeCall;
  /** Monotonic. */
  readonly begunMs: number;
  /** It has reached code of the project. */
  begun: boolean;
  /** What the guest told about this request. */
  report?: GuestFault;
}

export type WorkerState = 'starting' | 'ready' | 'retiring' | 'ended';

export class Worker {
  readonly wi = randomUUID();
  readonly runnable: Runnable;
  readonly runs = new Map<string, WorkerRun>();
  /** Settles once: ready to serve, or the fault that stopped it. */
  readonly ready: Promise<void>;
  readonly ended: Promise<WorkerEnd>;
  readonly agent = new Agent({ keepAlive: true });
  readonly runHeader = `x-${randomBytes(8).toString('hex')}`;
  readonly startedMs: number;
  state: WorkerState = 'starting';
  served = 0;
  busyMs = 0;
  idleSinceMs: number;
  port = 0;
  appHost: string | undefined;

  readonly #room: Room;
  readonly #directory: string;
  readonly #log: WorkerLog;
  readonly #memory: MemoryWatch;
  readonly #ready = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<WorkerEnd>();
  readonly #waiters = new Set<(message: FromGuest) => void>();
  #child: ChildProcess | undefined;
  #phase: WorkerEnd['phase'] = 'boot';
  #killed: KillReason | undefined;
  #late: Fault | undefined;
  #reportToken: string | undefined;
  #report: GuestFault | undefined;
  #app: WorkerEnd['app'];
  #spawnError: Error | undefined;
  #loadTimer: Timer | undefined;

  constructor(room: Room, runnable: Runnable) {
    this.#room = room;
    this.runnable = runnable;
    this.ready = this.#ready.promise;
    this.ended = this.#ended.promise;
    this.ready.catch(() => {});
    this.startedMs = this.idleSinceMs = room.clock.monotonicMs();
    this.#directory = room.workerDirectory();
    this.#log = new WorkerLog(room, this);
    this.#memory = new MemoryWatch(this.#watched());
    void this.#start();
  }

  get socketPath(): string {
    return join(this.#directory, 's');
  }

  /** The process, while there is one. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Takes a request; the worker is watched more closely until `finish`. */
  begin(call: ComputeCall): WorkerRun {
    const run: WorkerRun = {
      token: randomBytes(16).toString('base64url'),
      call,
      begunMs: this.#room.clock.monotonicMs(),
      begun: false,
    };
    this.runs.set(run.token, run);
    this.served++;
    this.#memory.watch();
    return run;
  }

  finish(run: WorkerRun): void {
    this.runs.delete(run.token);
    this.#log.remember(run);
    this.idleSinceMs = this.#room.clock.monotonicMs();
    if (this.state === 'retiring' && this.runs.size === 0) this.kill('stop');
  }

  /** No further requests; ended as soon as it has none. */
  retire(): void {
    if (this.state === 'ended') return;
    this.state = 'retiring';
    if (this.runs.size === 0) this.kill('stop');
  }

  /** The whole group, at once. */
  kill(reason: KillReason): void {
    if (this.state === 'ended') return;
    this.state = 'retiring';
    this.#killed ??= reason;
    if (this.pid !== undefined) killGroup(this.pid);
  }

  abort(token: string): void {
    this.tell({ t: 'abort', token });
  }

  /** Of the process that is ending, or did not load. */
  get report(): GuestFault | undefined {
    return this.#report;
  }

  tell(message: ToGuest): void {
    if (this.#child?.connected) this.#child.send(message, () => {});
  }

  /** The next message of the guest that is wanted; never, when there is none. */
  message(wanted: (message: FromGuest) => boolean): Promise<FromGuest> {
    return new Promise((resolve) => {
      const waiter = (message: FromGuest): void => {
        if (!wanted(message)) return;
        this.#waiters.delete(waiter);
        resolve(message);
      };
      this.#waiters.add(waiter);
    });
  }

  get phase(): WorkerEnd['phase'] {
    return this.#phase;
  }

  tellFault(run: WorkerRun, { level, message }: LogLine): void {
    this.#log.told(level, message, run);
  }

  /** Id of the request that a token stands for, also when it is over. */
  requestOf(token: string): string | undefined {
    return this.#log.requestOf(token);
  }

  lastLog(): string | undefined {
    return this.#log.lastMessage();
  }

  /** Where its inspector listens, once it is asked to. */
  inspector(): Promise<string> {
    return this.#log.inspector();
  }

  residentMiB(): number {
    return this.#memory.residentMiB();
  }

  async #start(): Promise<void> {
    try {
      const { runnable } = this;
      mkdirSync(join(this.#directory, 't'), { recursive: true, mode: 0o700 });
      if (runnable.app) this.port = await this.#room.ports.take();
      await this.#room.broker.listening;
      const confines = await this.#room.confines;
      if (this.#killed) this.#end(null, null);
      else this.#spawn(confines);
    } catch (error) {
      this.#spawnError = error as Error;
      this.#end(null, null);
    }
  }

  #spawn(confines: boolean): void {
    this.#memory.start();
    const child = spawnGuest(this.#place(confines), this.#room.limits);
    this.#child = child;
    if (child.pid !== undefined) this.#room.reaper.watch(child.pid);
    child.once('error', (error) => {
      this.#spawnError = error;
      if (child.pid === undefined) this.#end(null, null);
    });
    child.on('message', (message) => this.#onMessage(message as FromGuest));
    this.#log.follow(child.stdout!, child.stderr!);
    // Stragglers of the group hold the pipes open: they go first, then `close` comes with everything read.
    child.once('exit', () => child.pid !== undefined && killGroup(child.pid));
    child.once('close', (code, signal) => this.#end(code, signal));
    this.#limitLoading(Math.max(this.#room.loadMs, START_MS));
    this.#memory.watch();
  }

  /** Once for the start of the process, and anew for the bundle: a slow start is not the project's. */
  #limitLoading(withinMs: number): void {
    this.#loadTimer?.cancel();
    this.#loadTimer = this.#room.clock.setTimer(withinMs, () => setImmediate(() => void this.#loadsTooLong()));
  }

  async #loadsTooLong(): Promise<void> {
    if (this.state !== 'starting') return;
    const fault = await loadFault(this.#room, this);
    if (this.state !== 'starting') return;
    this.#late = fault;
    this.kill('load-timeout');
  }

  #place(confines: boolean): GuestPlace {
    const { variablePrefix, limits, hidden, brokerDirectory } = this.#room;
    const bundle = this.runnable.directory;
    const temporary = join(this.#directory, 't');
    const compileCache = this.#room.compileCacheOf(this.runnable.owner ?? this.runnable.id);
    const env = workerEnvironment(this.runnable, { temporary, port: this.port, variablePrefix, compileCache });
    if (!confines) return { cwd: bundle, env };
    const place: Place = {
      ...{ bundle, directory: this.#directory, compileCache, brokerDirectory, temporary },
      ...{ temporaryMiB: limits.tmpMiB, hidden },
    };
    return { cwd: '/', env: confinedEnvironment(env), confine: (command) => confined(place, command) };
  }

  #onMessage(message: FromGuest): void {
    if (message === null || typeof message !== 'object') return;
    if (message.t === 'hello') this.#load();
    else if (message.t === 'ready') this.#serve(message.appHost);
    else if (message.t === 'log') this.#log.line(message);
    else if (message.t === 'app-exit') this.#appExited(message);
    else if (message.t === 'fault') this.#reported(message);
    else if (message.t === 'begun') this.#begun(message.token);
    for (const waiter of [...this.#waiters]) waiter(message);
  }

  #load(): void {
    const { runnable } = this;
    this.#phase = 'load';
    this.#limitLoading(this.#room.loadMs);
    this.tell({
      t: 'start',
      socketPath: this.socketPath,
      brokerPath: this.#room.broker.socketPath,
      runHeader: this.runHeader,
      routes: join(runnable.directory, runnable.routes),
      app:
        runnable.app?.kind === 'module'
          ? { kind: 'module', entry: join(runnable.directory, runnable.app.entry) }
          : runnable.app,
      port: this.port,
      loadMs: this.#room.loadMs,
      ...(this.#room.headerPrefix === undefined ? {} : { headerPrefix: this.#room.headerPrefix }),
    });
  }

  #serve(appHost: string | undefined): void {
    if (this.state !== 'starting') return;
    this.#loadTimer?.cancel();
    this.#phase = 'serve';
    this.state = 'ready';
    this.appHost = appHost === '::1' ? '::1' : '127.0.0.1';
    this.#ready.resolve();
  }

  #appExited(app: { code: number | null; signal: string | null }): void {
    this.#app = { code: app.code, signal: app.signal };
    this.#killWithoutReason();
  }

  #begun(token: string): void {
    const run = this.runs.get(token);
    if (run) run.begun = true;
  }

  #reported({ token, dying, fault }: { token?: string; dying?: boolean; fault: GuestFault }): void {
    const [only] = this.runs.values();
    const run = token === undefined ? (this.runs.size === 1 ? only : undefined) : this.runs.get(token);
    if (run) run.report = fault;
    if (fault.kind === 'load-failed' && this.#phase === 'load') {
      this.#report = fault;
      this.#killWithoutReason();
    } else if (dying) {
      this.#report = fault;
      this.#reportToken = token;
      this.#log.lastWordsOf(token);
    }
  }

  /** The process is of no use any more; how it ended is known already. */
  #killWithoutReason(): void {
    this.state = 'retiring';
    if (this.pid !== undefined) killGroup(this.pid);
  }

  #watched(): Watched {
    const { clock, limits } = this.#room;
    return {
      clock,
      limitMiB: limits.memoryMiB,
      tree: this.runnable.app?.kind === 'command',
      pid: () => this.pid,
      works: () => this.runs.size > 0 || this.state === 'starting',
      tooLarge: () => this.kill('memory'),
    };
  }

  #end(code: number | null, signal: string | null): void {
    if (this.state === 'ended') return;
    const end: WorkerEnd = {
      wi: this.wi,
      code,
      signal,
      killed: this.#killed,
      report: this.#report,
      reportToken: this.#reportToken,
      late: this.#late,
      app: this.#app,
      stderr: this.#log.stderrTail(),
      memory: this.#memory.figures,
      cgroupKill: signal === 'SIGKILL' && this.#memory.kernelKilled(),
      phase: this.#phase,
      spawnError: this.#spawnError,
    };
    this.state = 'ended';
    this.#loadTimer?.cancel();
    this.#memory.end();
    this.agent.destroy();
    if (this.port !== 0) this.#room.ports.give(this.port);
    if (this.pid !== undefined) this.#room.reaper.forget(this.pid);
    this.#ready.reject(endFault(end, this.#room.projectCrashed));
    void rm(this.#directory, { recursive: true, force: true })
      .catch(() => {})
      .then(() => this.#ended.resolve(end));
  }
}
