/**
 * A route's handler behind the edge, in a worker. It runs again from the top: what the edge has done already is a
 * no-op, the first sender is remembered and executed when the handler has settled, and from then on every member
 * acts at once. Source: spec "Routing", section 7, and "Compute", sections 3 and 4.
 */
import type { GuestResponse, GuestStream, RunOptions } from '../protocol.ts';
import { FILE_PARAM } from './constants.ts';
import type { CatchDeclaration, Declaration } from './declarations.ts';
import { findHandler } from './handlers.ts';
import { LiveExchange } from './live-exchange.ts';
import { liveWriter } from './live-writer.ts';
import type { PluginBase } from './plugin.ts';
import { Request } from './request.ts';
import { type RunContext, withinRun } from './run-context.ts';
import type { RouterState } from './state.ts';
import type { RouteHandler } from './types.ts';

export function run(
  state: RouterState,
  plugins: readonly Partial<PluginBase>[],
  options: RunOptions,
): Promise<GuestResponse | GuestStream> {
  return withinRun(options, async (context) => {
    const startedMs = performance.now();
    const { [FILE_PARAM]: file, ...params } = options.params;
    const handler = handlerOf(state, options.routeId, typeof file === 'string' ? file : undefined);
    const request = new Request({ ...options.request, params });
    const exchange = new LiveExchange(request, options);
    for (const plugin of plugins) await plugin.onRequest?.(request);
    await handler(liveWriter(exchange));
    options.mark('wr', performance.now() - startedMs);
    await exchange.execute(options.routeId);
    return withTimings(exchange.result(), context);
  });
}

function handlerOf(state: RouterState, routeId: string, file: string | undefined): RouteHandler {
  const declaration = findHandler(state, Number.parseInt(routeId, 10));
  const handler = declaration && ownHandler(declaration, file);
  if (typeof handler === 'function') return handler;
  throw new Error(
    `the routes file has no handler for route ${routeId}; it declares other routes here than when it was built`,
  );
}

function ownHandler(declaration: Declaration | CatchDeclaration, file: string | undefined): RouteHandler | undefined {
  if ('handler' in declaration) return declaration.handler;
  return declaration.kind === 'files' && file !== undefined ? declaration.options.handler?.(file) : undefined;
}

function withTimings<Message extends GuestResponse | GuestStream>(
  message: Message,
  { timings, options }: RunContext,
): Message {
  if (timings.size === 0 || options.userTiming) return message;
  const members = [...timings].map(([name, ms]) => `${name};dur=${Math.round(ms * 10) / 10}`);
  return { ...message, headers: [...message.headers, 'server-timing', members.join(', ')] };
}
