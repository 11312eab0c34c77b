/** The response writer of a running handler: the same members as at build time, acting on a live exchange. */
import { DEFAULT_BRANDING } from '../../status/branding.ts';
import { BACKENDS, FAR_FUTURE_TTL } from './constants.ts';
import { hostBackendName } from './ledger.ts';
import type { LiveExchange } from './live-exchange.ts';
import { operationMembers, type Reporter } from './op-builders.ts';
import { isReservedHeader } from './reserved.ts';
import { currentRun } from './run-context.ts';
import type { Compute, ResponseWriter } from './types.ts';

/** The build has warned about what is in the handler itself; what happens inside a callback is told here. */
const report: Reporter = {
  warn: (message) => console.warn(message),
  error: (message, remedy) => {
    throw new TypeError(remedy ? `${message}: ${remedy}` : message);
  },
  // Here the native engine runs, in a process of the project's own.
  checkExpression: () => undefined,
  isReserved(name, on) {
    const prefix = currentRun()?.options.headerPrefix;
    return isReservedHeader(name, on, prefix === undefined ? DEFAULT_BRANDING.reservedHeaderPrefixes : [prefix]);
  },
};

const NOTHING = (): void => undefined;

export function liveWriter(exchange: LiveExchange): ResponseWriter {
  const sink = {
    request: exchange.requestOp.bind(exchange),
    upstreamResponse: exchange.responseOp.bind(exchange),
    response: exchange.responseOp.bind(exchange),
  };
  const compute: ResponseWriter['compute'] = Object.assign(
    ((callback) => exchange.send(() => exchange.compute(callback))) as Compute,
    { fetch: ((handler) => exchange.send(() => exchange.fetch(handler))) as Compute['fetch'] },
  );
  const proxy: ResponseWriter['proxy'] = (backend, options = {}) =>
    exchange.send(() => (backend === BACKENDS.js ? exchange.renderWithApp(options) : exchange.proxy(backend, options)));
  const serveStatic: ResponseWriter['serveStatic'] = (path, options = {}) =>
    exchange.send(() => exchange.serveStatic(path, options, async () => options.onNotFound?.(writer)));
  const writer: ResponseWriter = {
    ...operationMembers(sink, report),
    request: exchange.request,
    response: exchange.response,
    FAR_FUTURE_TTL,
    cache: NOTHING,
    verifyJwt: NOTHING,
    compute,
    proxy,
    proxyHost: (backend, options) => proxy(hostBackendName(backend), options),
    stream: (backend) => proxy(backend),
    serveStatic,
    appShell: serveStatic,
    serviceWorker: async (path, options) => {
      await serveStatic(path, options);
    },
    redirect: (to, options) => exchange.send(() => exchange.redirect(to, options)),
    send: (body, status, message) => exchange.send(() => exchange.sendBody(body, status, message)),
    renderWithApp: (options = {}) => exchange.send(() => exchange.renderWithApp(options)),
    render: (callback) => (callback ? compute(callback) : exchange.send(() => exchange.renderWithApp({}))),
  };
  return writer;
}
