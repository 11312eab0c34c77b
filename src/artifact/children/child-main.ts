/** The child's half of `child.ts`: takes the job's input, says once how it ended, and dies with its parent. */
import type { ChildReport, ThrownError } from '../child.ts';

export function runJob<I>(job: (input: I) => Promise<unknown>): void {
  let reported = false;
  const report = (message: ChildReport): void => {
    if (reported) return;
    reported = true;
    process.send?.(message);
  };
  const fail = (error: unknown): void => report({ error: portableError(error) });
  process.once('disconnect', () => process.kill(-process.pid, 'SIGKILL'));
  process.once('uncaughtException', fail);
  process.once('unhandledRejection', fail);
  process.once('message', ({ input }: { input: I }) => {
    job(input).then((value) => report({ value }), fail);
  });
}

/** Anything can be thrown; an `Error` across realms is told by its shape. */
function portableError(error: unknown): ThrownError {
  const { name, message, stack, code } = (Object(error) ?? {}) as Partial<ThrownError>;
  if (typeof message !== 'string') return { name: 'Error', message: `${String(error)} was thrown`, stack: '' };
  return { name: name ?? 'Error', message, stack: stack ?? '', ...(typeof code === 'string' ? { code } : {}) };
}
