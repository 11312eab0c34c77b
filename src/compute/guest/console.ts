/**
 * Console and standard streams of project code as log records with the request that wrote them. Bounded, because
 * a loop that prints must not fill the platform's memory.
 */
import { format } from 'node:util';
import type { GuestFault } from '../ipc.ts';
import { currentRun } from './context.ts';
import { tell } from './link.ts';

const LINE_CHARS = 65_536;
const WINDOW_MS = 1_000;
const WINDOW_CHARS = 1_048_576;

/** pino numbers. */
const LEVELS = { trace: 10, debug: 20, log: 30, info: 30, warn: 40, error: 50 } as const;

let windowStart = 0;
let windowChars = 0;

export function installConsole(): void {
  for (const [method, level] of Object.entries(LEVELS)) {
    if (method === 'trace') continue;
    console[method as 'log'] = (...args: unknown[]) => write(level, format(...args));
  }
  console.trace = (...args: unknown[]) => {
    const at = new Error(format(...args));
    at.name = 'Trace';
    write(LEVELS.trace, at.stack ?? at.message);
  };
  captureStream('stdout', LEVELS.info);
  captureStream('stderr', LEVELS.error);
}

/** What the project threw, where its developer looks first; what the platform threw is told by its own code. */
export function logThrown(error: unknown, { kind }: GuestFault): void {
  if (kind !== 'platform') write(LEVELS.error, format(error));
}

function write(level: number, message: string): void {
  const nowMs = Date.now();
  if (nowMs - windowStart > WINDOW_MS) {
    windowStart = nowMs;
    windowChars = 0;
  }
  if (windowChars > WINDOW_CHARS) return;
  const text = message.length > LINE_CHARS ? `${message.slice(0, LINE_CHARS)}…` : message;
  windowChars += text.length + 1;
  const run = currentRun();
  const late = run?.ended ? { late: true } : {};
  tell({ t: 'log', time: nowMs, level, message: text, token: run?.token, ...late });
  if (windowChars > WINDOW_CHARS)
    tell({ t: 'log', time: nowMs, level: LEVELS.warn, message: 'too much output: lines of this second are dropped' });
}

/** The stream is made when project code first asks for it; making it costs time that most workers never need. */
function captureStream(name: 'stdout' | 'stderr', level: number): void {
  const original = Object.getOwnPropertyDescriptor(process, name)!;
  let stream: NodeJS.WriteStream | undefined;
  Object.defineProperty(process, name, {
    configurable: true,
    enumerable: true,
    get() {
      if (stream) return stream;
      stream = original.get!.call(process) as NodeJS.WriteStream;
      stream.write = linewise(level) as typeof stream.write;
      return stream;
    },
  });
}

function linewise(level: number) {
  let open = '';
  return (chunk: string | Uint8Array, encoding?: unknown, callback?: unknown): boolean => {
    open += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
    const lines = open.split('\n');
    open = lines.pop()!;
    if (open.length > LINE_CHARS) lines.push(open.slice(0, LINE_CHARS));
    if (open.length > LINE_CHARS) open = '';
    for (const line of lines) if (line !== '') write(level, line);
    const done = typeof encoding === 'function' ? encoding : callback;
    if (typeof done === 'function') process.nextTick(done as () => void);
    return true;
  };
}
