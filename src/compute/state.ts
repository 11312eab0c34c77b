/** What the guest says about a request, made safe: project code shares its process and could say anything. */
import type { CallPhase, FromGuest, GuestState, OpenRequest, PendingTimer } from './ipc.ts';

const MOST = 16;
const TEXT_CHARS = 512;
const KINDS = ['request', 'platform', 'socket'] as const;
const PHASES: readonly CallPhase[] = ['unsent', 'queue', 'dns', 'connect', 'tls', 'send', 'head', 'body'];

export function readGuestState(message: FromGuest): GuestState {
  const state = recordOf((message as { state?: unknown }).state);
  const resources = Object.entries(recordOf(state.resources)).slice(0, MOST);
  return {
    open: listOf(state.open).map(callOf),
    timers: listOf(state.timers).map(timerOf),
    resources: Object.fromEntries(resources.map(([name, count]) => [textOf(name), numberOf(count)])),
    ...(state.cpuMs === undefined ? {} : { cpuMs: numberOf(state.cpuMs) }),
    ...(state.calls === undefined ? {} : { calls: numberOf(state.calls) }),
  };
}

const callOf = (call: Record<string, unknown>): OpenRequest => ({
  kind: KINDS.find((kind) => kind === call.kind) ?? 'request',
  host: textOf(call.host),
  phase: PHASES.find((phase) => phase === call.phase) ?? 'head',
  elapsedMs: numberOf(call.elapsedMs),
  ...(call.method === undefined ? {} : { method: textOf(call.method) }),
  ...(call.path === undefined ? {} : { path: textOf(call.path) }),
  ...(call.from === undefined ? {} : { from: textOf(call.from) }),
});

const timerOf = (timer: Record<string, unknown>): PendingTimer => ({
  dueInMs: numberOf(timer.dueInMs),
  delayMs: numberOf(timer.delayMs),
  ...(timer.from === undefined ? {} : { from: textOf(timer.from) }),
});

const recordOf = (value: unknown): Record<string, unknown> =>
  value !== null && typeof value === 'object' ? (value as Record<string, unknown>) : {};
const listOf = (value: unknown): Record<string, unknown>[] =>
  Array.isArray(value) ? value.slice(0, MOST).map(recordOf) : [];
const numberOf = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);
const textOf = (value: unknown): string => String(value).slice(0, TEXT_CHARS);
