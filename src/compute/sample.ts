/**
 * The stack of project code that does not let the event loop turn, taken from outside: SIGUSR1 makes Node open
 * its inspector on a thread of its own, which stops the main thread between two instructions of JavaScript. Costs
 * nothing until then. The address has a secret in it that only the process's standard error tells.
 */
import type { Clock } from '../base/clock.ts';

/** Lets Node choose a free port on loopback, and tell it on the standard error only. */
export const INSPECTOR_FLAGS = ['--inspect-port=127.0.0.1:0', '--inspect-publish-uid=stderr'] as const;

const ADDRESS = /^Debugger listening on (ws:\/\/127\.0\.0\.1:\d+\/\S+)/;
const CHATTER =
  /^(Debugger listening on ws:|For help, see: https:\/\/nodejs\.org|Debugger attached\.|Waiting for the debugger)/;

/** A line of standard error that is the inspector's and not the project's. */
export const isInspectorLine = (line: string): boolean => CHATTER.test(line);
export const inspectorAddress = (line: string): string | undefined => ADDRESS.exec(line)?.[1];

interface Reply {
  readonly id?: number;
  readonly method?: string;
  readonly params?: { readonly callFrames?: readonly { readonly callFrameId: string }[] };
  readonly result?: { readonly result?: { readonly value?: unknown } };
}

const EVALUATE_ID = 3;
/** In the frame itself: the process maps its own stack to the sources. */
const EXPRESSION = '(globalThis.Error.stackTraceLimit = 50, new globalThis.Error("blocked")).stack';

/** Undefined when no stack can be had in time: native code, a refused connection, a busy machine. */
export function sampleStack(address: Promise<string>, clock: Clock, withinMs: number): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const timer = clock.setTimer(withinMs, () => resolve(undefined));
  let socket: WebSocket | undefined;
  void address.then((url) => {
    socket = new WebSocket(url);
    const send = (id: number, method: string, params = {}): void =>
      socket?.send(JSON.stringify({ id, method, params }));
    socket.addEventListener('open', () => {
      send(1, 'Debugger.enable');
      send(2, 'Debugger.pause');
    });
    socket.addEventListener('message', ({ data }) => {
      const reply = JSON.parse(String(data)) as Reply;
      const callFrameId = reply.params?.callFrames?.[0]?.callFrameId;
      if (reply.method === 'Debugger.paused' && callFrameId !== undefined)
        send(EVALUATE_ID, 'Debugger.evaluateOnCallFrame', { callFrameId, expression: EXPRESSION, silent: true });
      if (reply.id === EVALUATE_ID) resolve(textOf(reply.result?.result?.value));
    });
    socket.addEventListener('error', () => resolve(undefined));
    socket.addEventListener('close', () => resolve(undefined));
  });
  return promise.finally(() => {
    timer.cancel();
    socket?.close();
  });
}

const textOf = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
