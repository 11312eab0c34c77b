/**
 * Why a worker did not answer in time: the sub-cause of a 539 with its evidence, from what the guest tells, or,
 * when it cannot tell, from what the system and the inspector say about its main thread. The one complication is a
 * machine that is too busy: a guest that got no processor time has not been asked yet, so that time does not count.
 */
import type { Actor } from '../status/causes.ts';
import { Fault } from '../status/fault.ts';
import type { BrokerSession } from './broker.ts';
import { processorUse } from './cpu.ts';
import { inquire, stackSample } from './inquiry.ts';
import type { GuestState, OpenRequest } from './ipc.ts';
import { GUEST_ROOM } from './process.ts';
import type { Room } from './room.ts';
import { projectFrame, readableStack } from './stack.ts';
import type { Worker, WorkerRun } from './worker.ts';

export type TimeoutCause =
  | 'cold-start'
  | 'loop-blocked'
  | 'upstream-slow'
  | 'upstream-blocked'
  | 'sleeping'
  | 'cpu-bound'
  | 'never-answered'
  | 'starved';

export interface Finding {
  readonly details: TimeoutCause;
  readonly acts: Actor;
  /** One sentence for whoever has to act. */
  readonly summary: string;
  readonly evidence: Readonly<Record<string, unknown>>;
}

/** Longest that looking may take on a busy machine, beyond the time that is reserved for it. */
const PATIENCE_MS = 5_000;
const LOOK_MS = 20;
/** Looks at which a thread that sleeps has not answered: it waits for something else than its event loop. */
const SLEEPING_LOOKS = 8;
const STACK_MS = 3_000;
/** Long enough to be a reason, of the time that the request had. */
const LARGE_SHARE = 0.5;

export async function timeoutFault(room: Room, worker: Worker, run: WorkerRun, session: BrokerSession): Promise<Fault> {
  const ranMs = room.clock.monotonicMs() - run.begunMs;
  const finding = await find(room, worker, { run, session, ranMs });
  return findingFault(finding, 'compute.responseMs', room.limits.responseMs, worker);
}

/** A bundle that was still loading after `compute.loadMs`. */
export async function loadFault(room: Room, worker: Worker): Promise<Fault> {
  const ranMs = room.clock.monotonicMs() - worker.startedMs;
  return findingFault(await find(room, worker, { ranMs }), 'compute.loadMs', room.loadMs, worker);
}

const findingFault = ({ details, acts, summary, evidence }: Finding, limit: string, value: number, worker: Worker) =>
  new Fault({
    cause: 'compute.timeout',
    hop: 'compute',
    details,
    acts,
    evidence: { limit, value, summary, ...evidence, memoryMiB: worker.residentMiB(), lastLog: worker.lastLog() },
  });

/** About a request, or about loading when there is none. */
interface Question {
  readonly run?: WorkerRun;
  readonly session?: BrokerSession;
  readonly ranMs: number;
}

async function find(room: Room, worker: Worker, question: Question): Promise<Finding> {
  const cold = worker.phase !== 'serve';
  if (worker.phase === 'boot') return coldStart(worker, room, undefined);
  const inquiry = inquire(worker, question.run?.token);
  const asking = { over: false };
  const heard = await Promise.race([inquiry.alive, silence(room, worker, asking)]);
  asking.over = true;
  const found =
    heard === 'alive'
      ? await told(room, inquiry.state, question)
      : await unheard(room, worker, { ...question, how: heard });
  return cold ? coldStart(worker, room, found) : found;
}

async function told(room: Room, answer: Promise<GuestState>, question: Question): Promise<Finding> {
  const { clock, limits } = room;
  const inTime = Promise.withResolvers<'starved'>();
  const timer = clock.setTimer(limits.reservedMs + PATIENCE_MS, () => inTime.resolve('starved'));
  const state = await Promise.race([answer, inTime.promise]);
  timer.cancel();
  // An idle guest that the request never got to has had no time for it.
  const unreached = question.run !== undefined && !question.run.begun && !isCommand(question.run);
  return state === 'starved' || unreached ? starved(question.ranMs) : waiting(state, question);
}

/** Commands say nothing about their requests. */
const isCommand = ({ call }: WorkerRun): boolean => call.runnable.app?.kind === 'command';

type Silence = 'busy' | 'in-native-wait' | 'starved';

/** Settles when the guest's silence has a reason; never on a machine that merely has no time for it, up to a bound. */
async function silence(room: Room, worker: Worker, asking: { readonly over: boolean }): Promise<Silence> {
  const { clock, limits } = room;
  const enoughMs = Math.max(50, limits.reservedMs / 2);
  const startMs = clock.monotonicMs();
  const before = worker.pid === undefined ? null : processorUse(worker.pid);
  let asleep = 0;
  while (!asking.over && worker.state !== 'ended' && clock.monotonicMs() - startMs < limits.reservedMs + PATIENCE_MS) {
    await look(room);
    const now = worker.pid === undefined ? null : processorUse(worker.pid);
    if (!now || !before) {
      if (clock.monotonicMs() - startMs >= enoughMs) return 'busy';
    } else if (now.cpuMs - before.cpuMs >= enoughMs) return 'busy';
    else asleep = now.asleep ? asleep + 1 : 0;
    if (asleep >= SLEEPING_LOOKS) return 'in-native-wait';
  }
  return 'starved';
}

/** One look later, with the poll phase in between: an answer that has arrived counts. */
const look = ({ clock }: Room): Promise<void> =>
  new Promise((resolve) => clock.setTimer(LOOK_MS, () => setImmediate(resolve)));

type Unheard = Question & { readonly how: Silence };

function unheard(room: Room, worker: Worker, silent: Unheard): Finding | Promise<Finding> {
  return silent.how === 'starved' ? starved(silent.ranMs) : blocked(room, worker, silent);
}

async function blocked({ clock }: Room, worker: Worker, { how, ranMs }: Unheard): Promise<Finding> {
  const raw = how === 'busy' ? await stackSample(worker, clock, STACK_MS) : undefined;
  const { directory } = worker.runnable;
  const from = projectFrame(raw, directory, GUEST_ROOM);
  const what = how === 'busy' ? 'JavaScript ran without a pause' : 'a synchronous call of the system did not return';
  return {
    details: 'loop-blocked',
    acts: 'project',
    summary: `the event loop was blocked: ${what}${from ? `, at ${from}` : ''}`,
    evidence: {
      blocked: { how, from, ...(raw ? { stack: readableStack(raw, directory) } : {}), ranMs: Math.round(ranMs) },
    },
  };
}

function starved(ranMs: number): Finding {
  return {
    details: 'starved',
    acts: 'capacity',
    summary: 'the worker got no processor time to say what it was waiting for: the machine is overloaded',
    evidence: { ranMs: Math.round(ranMs) },
  };
}

function coldStart(worker: Worker, { clock }: Room, found: Finding | undefined): Finding {
  const forMs = Math.round(clock.monotonicMs() - worker.startedMs);
  const boot = worker.phase === 'boot';
  const what = boot ? 'the worker process had not started' : 'the bundle was still being loaded';
  return {
    details: 'cold-start',
    acts: boot ? 'platform' : found?.details === 'starved' ? 'capacity' : 'project',
    summary: `${what}, after ${seconds(forMs)}${found ? `: ${found.summary}` : ''}`,
    evidence: { ...found?.evidence, coldStart: { phase: worker.phase, forMs } },
  };
}

function waiting(state: GuestState, { session, ranMs }: Question): Finding {
  const own = state.open;
  const managed = (session?.openRequests() ?? []).filter(() => !own.some(({ kind }) => kind === 'platform'));
  const open = [...own, ...managed].sort((a, b) => b.elapsedMs - a.elapsedMs);
  const [longest] = open;
  const [timer] = state.timers;
  const pending = { open, timers: state.timers, resources: state.resources, cpuMs: state.cpuMs, calls: state.calls };
  const evidence = { ...pending, ranMs: Math.round(ranMs) };
  if (longest) return { ...onUpstream(longest, ranMs, state), evidence: { ...evidence, ...upstreamFields(longest) } };
  const cpuMs = state.cpuMs ?? 0;
  if (cpuMs > ranMs * LARGE_SHARE) {
    const summary = `the handler computed for ${seconds(cpuMs)} of ${seconds(ranMs)} and was not done`;
    return { details: 'cpu-bound', acts: 'project', summary, evidence };
  }
  if (timer) {
    const summary = `sleeping in a timer of ${seconds(timer.delayMs)}, due in ${seconds(timer.dueInMs)}${madeAt(timer)}`;
    return { details: 'sleeping', acts: 'project', summary, evidence };
  }
  const handles = Object.entries(state.resources).map(([name, count]) => `${count} ${name}`);
  const left = handles.length === 0 ? 'no pending work is left' : `only these handles are open: ${handles.join(', ')}`;
  const summary = `nobody answers, and ${left}: a missing await, callback or end()`;
  return { details: 'never-answered', acts: 'project', summary, evidence };
}

const PHASES: Readonly<Record<OpenRequest['phase'], string>> = {
  unsent: 'made but never sent: end() was not called',
  queue: 'waiting for a free connection',
  dns: 'looking up its name',
  connect: 'connecting',
  tls: 'negotiating TLS',
  send: 'sending',
  head: 'waiting for the answer',
  body: 'reading the body',
};
const NOT_REACHED = new Set<OpenRequest['phase']>(['dns', 'connect', 'tls']);

function onUpstream(call: OpenRequest, ranMs: number, state: GuestState): Omit<Finding, 'evidence'> {
  const { phase, elapsedMs, method, host, path = '' } = call;
  const name = method ? `${method} ${host}${path}` : host;
  const summary = `waiting for ${name} for ${seconds(elapsedMs)} of ${seconds(ranMs)} (${PHASES[phase]}${madeAt(call)})`;
  const most = elapsedMs >= ranMs * LARGE_SHARE;
  const many = most ? '' : `; the ${state.calls ?? 1} calls of this request together took too long`;
  return {
    details: NOT_REACHED.has(phase) ? 'upstream-blocked' : 'upstream-slow',
    // Who never sends, waits for its own connections or asks again and again is not held up by the other side.
    acts: most && phase !== 'unsent' && phase !== 'queue' ? 'upstream' : 'project',
    summary: `${summary}${many}`,
  };
}

const upstreamFields = ({ host, elapsedMs, from }: OpenRequest) => ({
  upstream: host,
  upstreamElapsedMs: elapsedMs,
  from,
});

const madeAt = ({ from }: { from?: string }): string => (from ? `, from ${from}` : '');
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`;
