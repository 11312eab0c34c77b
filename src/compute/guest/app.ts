/**
 * The project's own HTTP server on 127.0.0.1:$PORT, however it is written: a `prod(port)` function, an exported
 * request listener or server, a module that listens by itself, or a command in any language.
 */
import { spawn } from 'node:child_process';
import { createServer, type IncomingMessage, type RequestListener, Server, type ServerResponse } from 'node:http';
import { connect, Server as NetServer } from 'node:net';
import { pathToFileURL } from 'node:url';
import type { StartMessage } from '../ipc.ts';
import { endRun, ownServers, runOf, within } from './context.ts';
import { tell } from './link.ts';

const LOOPBACK = ['127.0.0.1', '::1'] as const;
const POLL_MS = 10;

/** Resolves with the loopback address that takes connections; undefined when the deployment has no app. */
export async function startApp(options: StartMessage): Promise<string | undefined> {
  const { app, port, runHeader, loadMs } = options;
  if (!app) return undefined;
  if (app.kind === 'command') runCommand(app.command, app.args);
  else {
    attributeRequests(runHeader);
    await startModule(app.entry, port);
  }
  return untilAccepting(port, performance.now() + loadMs);
}

/** In this process's group, which ends as one; its output goes straight to the worker's streams. */
function runCommand(command: string, args: readonly string[]): void {
  const child = spawn(command, args, { stdio: ['ignore', 1, 2] });
  child.once('error', (error) => {
    tell({ t: 'fault', fault: { kind: 'load-failed', message: `${command}: ${error.message}` } });
  });
  child.once('exit', (code, signal) => tell({ t: 'app-exit', code, signal }));
}

async function startModule(entry: string, port: number): Promise<void> {
  const listensItself = watchListen(port);
  const module = (await import(pathToFileURL(entry).href)) as Record<string, unknown>;
  if (listensItself()) return;
  const inner = (module.default ?? {}) as Record<string, unknown>;
  const prod = module.prod ?? inner.prod;
  if (typeof prod === 'function') return serve(await prod(port), port);
  const exported = [inner.default, module.default, module.listener, module.handler, inner.listener, inner.handler];
  for (const candidate of exported) {
    if (isServer(candidate) || isListener(candidate)) return serve(candidate, port);
    if (typeof candidate === 'function') return serve(await candidate(port), port);
  }
}

/** Whether project code has asked to listen on PORT; then its exports are its own business. */
function watchListen(port: number): () => boolean {
  let asked = false;
  const { listen } = NetServer.prototype;
  NetServer.prototype.listen = function (this: NetServer, ...args: unknown[]) {
    const [first] = args;
    const wanted = typeof first === 'object' && first !== null ? (first as { port?: unknown }).port : first;
    if (Number(wanted) === port) asked = true;
    return (listen as (...all: unknown[]) => NetServer).apply(this, args);
  } as typeof listen;
  return () => asked;
}

/** `(request, response)` or with a third `next`; one parameter or none is a function that takes the port. */
const isListener = (value: unknown): value is RequestListener => typeof value === 'function' && value.length >= 2;
const isServer = (value: unknown): value is NetServer => value instanceof NetServer;

function serve(value: unknown, port: number): void {
  if (isServer(value)) {
    if (!value.listening) value.listen(port, LOOPBACK[0]);
  } else if (isListener(value)) createServer(value).listen(port, LOOPBACK[0]);
}

/** Puts the work of each request into its context, so that log lines of concurrent requests are told apart. */
function attributeRequests(runHeader: string): void {
  const { emit } = Server.prototype;
  Server.prototype.emit = function (this: Server, event: string | symbol, ...args: unknown[]) {
    const forward = () => (emit as (...all: unknown[]) => boolean).call(this, event, ...args);
    const isRequest = event === 'request' && !ownServers.has(this);
    const token = isRequest ? takeToken(args[0] as IncomingMessage, runHeader) : undefined;
    if (token === undefined) return forward();
    // A route handler that asks its own app: one request, which ends with the handler.
    const inner = runOf(token) !== undefined;
    if (!inner) tell({ t: 'begun', token });
    return within(token, (run) => {
      if (!inner) (args[1] as ServerResponse).once('close', () => endRun(run));
      return forward();
    });
  } as typeof emit;
}

function takeToken({ headers, rawHeaders }: IncomingMessage, runHeader: string): string | undefined {
  const token = headers[runHeader];
  if (typeof token !== 'string') return undefined;
  delete headers[runHeader];
  const at = rawHeaders.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === runHeader);
  if (at >= 0) rawHeaders.splice(at, 2);
  return token;
}

/** A connection that is taken is the only proof of readiness that every kind of server gives. */
async function untilAccepting(port: number, deadlineMs: number): Promise<string> {
  while (performance.now() < deadlineMs) {
    for (const host of LOOPBACK) if (await accepts(host, port)) return host;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`nothing listens on port ${port}`);
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}
