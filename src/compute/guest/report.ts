/**
 * Tells the platform why the process is about to die. Without it a throw, a rejection, a wrong status number and
 * a line break in a header all look the same from outside: exit code 1.
 */
import type { GuestFault } from '../ipc.ts';
import { currentRun } from './context.ts';
import { tell } from './link.ts';

const STACK_CHARS = 16_384;
/** Marks errors that stand for a fault which the platform still holds. */
export const FAULT_REF: unique symbol = Symbol.for('selvedge.fault.ref') as never;

const MALFORMED = new Set([
  'ERR_HTTP_INVALID_STATUS_CODE',
  'ERR_HTTP_INVALID_HEADER_VALUE',
  'ERR_INVALID_CHAR',
  'ERR_INVALID_HTTP_TOKEN',
]);

export function installReports(): void {
  process.on('uncaughtExceptionMonitor', (error, origin) => {
    // A project that handles its uncaught exceptions goes on living; only what ends the process is reported.
    if (process.listenerCount('uncaughtException') > 0) return;
    const kind = origin === 'unhandledRejection' ? 'unhandled-rejection' : 'uncaught';
    tell({ t: 'fault', token: currentRun()?.token, dying: true, fault: describe(error, kind) });
  });
}

export function describe(error: unknown, kind: GuestFault['kind']): GuestFault {
  const details = error as { message?: unknown; stack?: unknown; name?: unknown } | null | undefined;
  const code = codeOf(error) ?? codeOf((error as Error | undefined)?.cause);
  const ref = faultRef(error);
  const coding = codingOf(error);
  return {
    kind: ref ? 'platform' : coding ? 'content-coding' : kindOf(kind, code),
    message: textOf(details?.message ?? error).slice(0, STACK_CHARS),
    stack: typeof details?.stack === 'string' ? details.stack.slice(0, STACK_CHARS) : undefined,
    code,
    name: typeof details?.name === 'string' ? details.name : undefined,
    ref,
    ...(coding === undefined ? {} : { coding }),
  };
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : undefined;
}

function textOf(value: unknown): string {
  try {
    return String(value);
  } catch {
    return 'a value that cannot be shown';
  }
}

function kindOf(kind: GuestFault['kind'], code: string | undefined): GuestFault['kind'] {
  return kind !== 'load-failed' && code !== undefined && MALFORMED.has(code) ? 'malformed' : kind;
}

function codingOf(error: unknown): string | undefined {
  const { code, coding } = (error ?? {}) as { code?: unknown; coding?: unknown };
  return code === 'ERR_CONTENT_CODING' && typeof coding === 'string' ? coding : undefined;
}

/** Project code may have wrapped our error in its own. */
function faultRef(error: unknown): string | undefined {
  let at = error;
  for (let depth = 0; depth < 8 && at instanceof Error; depth++, at = at.cause) {
    const ref = (at as { [FAULT_REF]?: unknown })[FAULT_REF];
    if (typeof ref === 'string') return ref;
  }
  return undefined;
}
