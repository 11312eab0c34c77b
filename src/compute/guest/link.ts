/**
 * The control path to the platform, taken away from project code: `process.send` would otherwise make programs
 * believe that they run under a process manager and talk to it.
 */
import type { FromGuest, ToGuest } from '../ipc.ts';

const send = process.send?.bind(process);

/** Written at once as long as the pipe takes it, so that a report still gets out before the process dies. */
export const tell = (message: FromGuest): void => {
  if (process.connected) send?.(message, undefined, undefined, () => {});
};

export function openLink(onMessage: (message: ToGuest) => void): void {
  process.on('message', (message) => onMessage(message as ToGuest));
  process.on('disconnect', endGroup);
  // `disconnect` stays: Node itself calls it when the pipe closes.
  process.send = undefined;
}

/** The platform is gone: nobody must stay behind, this process leads the group of everything that it started. */
function endGroup(): void {
  try {
    process.kill(-process.pid, 'SIGKILL');
  } catch {
    process.kill(process.pid, 'SIGKILL');
  }
}
