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
import type { FromGuest, GuestFault, GuestState, ToGuest } from './ipc.ts';
import { WorkerLog } from './log.ts';
import { kernelKills, residentBytes, treeBytes } from './memory.ts';
import { endFault, type KillReason, type WorkerEnd } from './outcome.ts';
import { type GuestPlace, killGroup, spawnGuest } from './process.ts';
import type { Room } from './room.ts';
import { sampleStack } from './sample.ts';
import { readGuestState } from './state.ts';
import { loadFault } from './timeout.ts';
import type { ComputeCall, Runnable } from './types.ts';

const MEMORY_CHECK_MS = 50;
/** Longest that a process may take until it can load anything: only a machine in trouble takes seconds. */
const START_MS = 30_000;
const MIB = 1_048_576;
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

/** How many times longer it is waited for the end of a process that should show that it lives. */
const ENDING_TIMES = 10;

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
  #memoryTimer: Timer | undefined;
  #loadTimer: Timer | undefined;
  #cgroupKillsBefore = 0;
  #memoryBytes = 0;

  constructor(room: Room, runnable: Runnable) {
    this.#room = room;
    this.runnable = runnable;
    this.ready = this.#ready.promise;
    this.ended = this.#ended.promise;
    this.ready.catch(() => {});
    this.startedMs = this.idleSinceMs = room.clock.monotonicMs();
    this.#directory = room.workerDirectory();
    this.#log = new WorkerLog(room, this);
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
    this.#watchMemory();
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
    this.#tell({ t: 'abort', token });
  }

  /** Resolves when the guest says that the handler of an aborted request has ended, or the process has. */
  async handlerEnded(token: string): Promise<void> {
    await Promise.race([this.#message((message) => message.t === 'done' && message.token === token), this.ended]);
  }

  /** Asks what a request, or loading, waits for. Settles when the guest's event loop turns. */
  inquire(token?: string): { readonly alive: Promise<'alive'>; readonly state: Promise<GuestState> } {
    const n = Math.random();
    const alive = this.#message((message) => message.t === 'alive' && message.n === n).then(() => 'alive' as const);
    const state = this.#message((message) => message.t === 'state' && message.n === n).then(readGuestState);
    this.#tell({ t: 'state', n, ...(token === undefined ? {} : { token }) });
    return { alive, state };
  }

  /** Where the main thread is, while it does not let the event loop turn. */
  stackSample(withinMs: number): Promise<string | undefined> {
    const { pid } = this;
    if (pid === undefined || this.state === 'ended') return Promise.resolve(undefined);
    const address = this.#log.inspector();
    try {
      process.kill(pid, 'SIGUSR1');
    } catch {
      return Promise.resolve(undefined);
    }
    return sampleStack(address, this.#room.clock, withinMs);
  }

  get phase(): WorkerEnd['phase'] {
    return this.#phase;
  }

  /** What is known about a connection that broke: a report, the end of the process, or nothing in time. */
  async brokenBy(run: WorkerRun, withinMs: number): Promise<GuestFault | WorkerEnd | null> {
    if (run.report && !this.#report) return run.report;
    const reported = this.#message((message) => message.t === 'fault' && !message.dying && message.token === run.token);
    const found = await Promise.race([this.ended, reported, this.#stillAlive(withinMs)]);
    return found && 't' in found ? (found.t === 'fault' ? found.fault : null) : (found ?? run.report ?? null);
  }

  /**
   * Null once the guest shows that it lives, or the time is up. Reports come on the same pipe before the sign of
   * life; the end of an app command may not, so there only time tells. On a busy machine a process takes its time to
   * end, so one that could show that it lives and does not is waited for longer.
   */
  async #stillAlive(withinMs: number): Promise<null> {
    const { promise, resolve } = Promise.withResolvers<null>();
    const isCommand = this.runnable.app?.kind === 'command';
    const timer = this.#room.clock.setTimer(isCommand ? withinMs : withinMs * ENDING_TIMES, () => resolve(null));
    if (!isCommand) void this.inquire().alive.then(() => resolve(null));
    return promise.finally(() => timer.cancel());
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

  residentMiB(): number {
    return this.pid === undefined ? 0 : Math.round(residentBytes(this.pid) / MIB);
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
    const { limits } = this.#room;
    this.#cgroupKillsBefore = kernelKills();
    const child = spawnGuest(this.#place(confines), limits);
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
    this.#watchMemory();
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
    this.#tell({
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

  #watchMemory(): void {
    if (this.#memoryTimer || this.state === 'ended') return;
    this.#memoryTimer = this.#room.clock.setTimer(MEMORY_CHECK_MS, () => {
      this.#memoryTimer = undefined;
      if (this.state === 'ended' || this.pid === undefined) return;
      const bytes = this.runnable.app?.kind === 'command' ? treeBytes(this.pid) : residentBytes(this.pid);
      this.#memoryBytes = bytes;
      if (bytes > this.#room.limits.memoryMiB * MIB) this.kill('memory');
      else if (this.runs.size > 0 || this.state === 'starting') this.#watchMemory();
    });
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
      memory: { bytes: this.#memoryBytes, limitBytes: this.#room.limits.memoryMiB * MIB },
      cgroupKill: signal === 'SIGKILL' && kernelKills() > this.#cgroupKillsBefore,
      phase: this.#phase,
      spawnError: this.#spawnError,
    };
    this.state = 'ended';
    this.#loadTimer?.cancel();
    this.#memoryTimer?.cancel();
    this.agent.destroy();
    if (this.port !== 0) this.#room.ports.give(this.port);
    if (this.pid !== undefined) this.#room.reaper.forget(this.pid);
    this.#ready.reject(endFault(end, this.#room.projectCrashed));
    void rm(this.#directory, { recursive: true, force: true })
      .catch(() => {})
      .then(() => this.#ended.resolve(end));
  }

  #tell(message: ToGuest): void {
    if (this.#child?.connected) this.#child.send(message, () => {});
  }

  #message(wanted: (message: FromGuest) => boolean): Promise<FromGuest> {
    return new Promise((resolve) => {
      const waiter = (message: FromGuest): void => {
        if (!wanted(message)) return;
        this.#waiters.delete(waiter);
        resolve(message);
      };
      this.#waiters.add(waiter);
    });
  }
}
