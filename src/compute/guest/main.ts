/**
 * The guest: first and last platform code in a worker process. It hides the platform from project code, loads
 * the bundle, serves route handlers on a private socket and reports what goes wrong before it is too late.
 */
import type { StartMessage, ToGuest } from '../ipc.ts';
import { startApp } from './app.ts';
import { installConsole } from './console.ts';
import { guestHost } from './host.ts';
import { openLink, tell } from './link.ts';
import { watchOutgoing } from './outgoing.ts';
import { describe, installReports } from './report.ts';
import { abortRun, loadRouter, serveRoutes } from './routes.ts';
import { watchSockets } from './sockets.ts';
import { guestState } from './state.ts';
import { watchTimers } from './timers.ts';

delete process.env.NODE_COMPILE_CACHE;
openLink(onMessage);
installConsole();
installReports();
watchOutgoing();
watchSockets();
watchTimers();
tell({ t: 'hello' });

function onMessage(message: ToGuest): void {
  if (message.t === 'start') void start(message);
  else if (message.t === 'abort') abortRun(message.token);
  else if (message.t === 'state') {
    tell({ t: 'alive', n: message.n });
    tell({ t: 'state', n: message.n, state: guestState(message.token) });
  }
}

async function start(options: StartMessage): Promise<void> {
  process.argv = [process.argv[0]!, options.app?.kind === 'module' ? options.app.entry : options.routes];
  try {
    const [router, appHost] = await Promise.all([loadRouter(options.routes), startApp(options)]);
    await serveRoutes(options, router, guestHost(options, appHost));
    tell({ t: 'ready', appHost });
    keepCompiled();
  } catch (error) {
    tell({ t: 'fault', fault: describe(error, 'load-failed') });
  }
}

/** The next worker starts faster with what this one has compiled; a killed process would not leave it behind. */
function keepCompiled(): void {
  const later = setTimeout(async () => (await import('node:module')).flushCompileCache?.(), 50);
  later.unref();
}
