/**
 * What a handler gets at build time: every call becomes data of its route. Functions cannot be data, so a sender
 * that was given one turns into an action of kind `worker`. Source: spec "Routing", sections 5 and 7.
 */
import type { Action } from '../table.ts';
import { unknownTokens } from '../template.ts';
import { BACKENDS, FAR_FUTURE_TTL } from './constants.ts';
import type { Draft } from './draft.ts';
import { jwtSettings } from './jwt-settings.ts';
import { kindOf, operationMembers, type Reporter } from './op-builders.ts';
import { mergeCacheSettings, readCacheOptions, warnUnknownKeys } from './option-keys.ts';
import { projectPath, stagedPath } from './static-files.ts';
import type {
  BackendOptions,
  Compute,
  ProxyOptions,
  RedirectOptions,
  ResponseWriter,
  ServeStaticOptions,
} from './types.ts';
import { memberRemedy } from './unsupported.ts';

/** What the writer of one route needs from the recording as a whole. */
export interface RecordingScope extends Reporter {
  /** Declared name; reports an error when there is none. */
  useBackend(name: string): void;
  addBackend(options: BackendOptions): string | null;
  stage(path: string, options: { permanent: boolean; exclude: readonly string[]; mayBeMissing: boolean }): void;
  checkTemplate(template: string, what: string): void;
  /** Error routes keep the failed status unless told otherwise, and must not proxy. */
  readonly isCatch: boolean;
}

const DONE = Promise.resolve();

export function recordingWriter(draft: Draft, scope: RecordingScope): ResponseWriter {
  const act = (action: Action | null): Promise<void> => {
    if (action === null) return DONE;
    if (draft.action) scope.warn('a second sender in the same handler has no effect; the first one counts');
    else draft.action = action;
    return DONE;
  };
  const members: ResponseWriter = {
    ...operationMembers(draft, scope),
    ...unreadable(scope),
    FAR_FUTURE_TTL,
    cache(options) {
      const { settings, key } = readCacheOptions(options, scope);
      draft.cache = mergeCacheSettings(draft.cache, settings);
      if (!key) return;
      draft.key = key.toJSON();
      for (const part of draft.key.parts)
        if ('groups' in part) for (const { pattern } of part.groups ?? []) scope.checkExpression(pattern, '');
    },
    verifyJwt(options) {
      draft.jwt = jwtSettings(options, scope) ?? undefined;
    },
    proxy: (backend, options) => act(proxyAction(backend, options ?? {}, draft, scope)),
    proxyHost(backend, options) {
      const name = scope.addBackend(backend);
      return act(name === null ? null : proxyAction(name, options ?? {}, draft, scope));
    },
    stream: (backend) => act(proxyAction(backend, {}, draft, scope)),
    serveStatic: (path, options) => act(staticAction(path, options ?? {}, scope)),
    appShell: (path, options) => act(staticAction(path, options ?? {}, scope)),
    serviceWorker: (path, options) => act(serviceWorkerAction(path, options ?? {}, scope)),
    redirect: (to, options) => act(redirectAction(to, options, draft, scope)),
    send: (body, status, message) => act(sendAction(body, status, message, scope)),
    compute: computeRecorder(act, scope),
    renderWithApp: (options) => act(appAction(options ?? {}, draft, scope)),
    render: (callback) => act(callback ? { kind: 'worker', reason: 'compute' } : { kind: 'app' }),
  };
  return reportingUnknown(members, scope);
}

/** `request` and `response` exist only while code runs; reading them at build time is a mistake worth a sentence. */
function unreadable(scope: RecordingScope): Pick<ResponseWriter, 'request' | 'response'> {
  const trap = (name: string): never =>
    new Proxy(Object.create(null), {
      get(_, key) {
        if (typeof key === 'string' && key !== 'then')
          scope.error(
            `the handler reads ${name}.${key}, but handlers run once, at build time, without a request`,
            'move the code into compute(), or use criteria and embedded values',
          );
        return undefined;
      },
    }) as never;
  return { request: trap('request'), response: trap('response') };
}

/** Handing an unknown member around is harmless; calling it would be silence. */
function reportingUnknown(members: ResponseWriter, scope: RecordingScope): ResponseWriter {
  return new Proxy(members, {
    get(target, key) {
      if (key in target || typeof key === 'symbol' || key === 'then' || key === 'toJSON')
        return Reflect.get(target, key);
      return () => scope.error(`the response writer has no member '${key}'`, memberRemedy(key));
    },
  });
}

function computeRecorder(act: (action: Action | null) => Promise<void>, scope: RecordingScope): Compute {
  const record = (callback: unknown): Promise<void> => {
    if (typeof callback === 'function') return act({ kind: 'worker', reason: 'compute' });
    scope.error(`compute takes a function, not ${kindOf(callback)}`, 'compute((request, response) => { … })');
    return DONE;
  };
  return Object.assign(record, { fetch: record });
}

function proxyAction(backend: string, options: ProxyOptions, draft: Draft, scope: RecordingScope): Action | null {
  if (scope.isCatch) {
    scope.error('proxy is not allowed in a catch route', 'serveStatic, send, redirect or compute');
    return null;
  }
  if (backend === BACKENDS.imageOptimizer) {
    // Routes of frameworks always declare it; the framework's own server then answers, further down the list.
    scope.warn('there is no image optimizer: this route sends nothing, the next one that matches answers');
    return null;
  }
  if (backend === BACKENDS.js) return appAction(options, draft, scope);
  if (backend === BACKENDS.static || backend === BACKENDS.permanentStatic)
    return staticAction(typeof options.path === 'string' ? options.path : ':path*', {}, scope);
  if (typeof backend !== 'string') {
    scope.error(
      `proxy takes the name of a backend, not ${kindOf(backend)}`,
      "proxy('backend'), or proxyHost({ domainOrIp })",
    );
    return null;
  }
  scope.useBackend(backend);
  warnUnknownKeys('proxy', options, scope);
  if (needsWorker(options)) return { kind: 'worker', reason: 'proxy', backend };
  const { path, headers, removeEmptySearchParamValues } = options;
  if (path !== undefined) scope.checkTemplate(path as string, 'the path of proxy');
  return {
    kind: 'proxy',
    backend,
    ...(path === undefined ? {} : { path: path as string }),
    ...(headers === undefined ? {} : { headers: checkedHeaders(headers, scope) }),
    ...(removeEmptySearchParamValues ? { removeEmptySearchParamValues } : {}),
  };
}

const needsWorker = ({ path, transformRequest, transformResponse }: ProxyOptions): boolean =>
  [path, transformRequest, transformResponse].some((option) => typeof option === 'function');

function checkedHeaders(headers: Readonly<Record<string, unknown>>, scope: RecordingScope): Record<string, string> {
  const usable = Object.entries(headers).filter(([name, value]) => {
    if (typeof value === 'function') scope.error(`proxy: the header '${name}' is a function`, 'use transformRequest');
    if (!scope.isReserved(name, 'request')) return typeof value !== 'function' && value !== undefined;
    scope.warn(`the header '${name}' belongs to the platform; it is ignored`);
    return false;
  });
  for (const [name, value] of usable)
    for (const token of unknownTokens(String(value)))
      scope.warn(`proxy: the header '${name}' has the token ${token}, which means nothing and stays as it is`);
  return Object.fromEntries(usable.map(([name, value]) => [name, String(value)]));
}

function appAction(options: ProxyOptions, draft: Draft, scope: RecordingScope): Action {
  warnUnknownKeys('proxy', options, scope);
  if (needsWorker(options)) return { kind: 'worker', reason: 'function' };
  if (options.path !== undefined) draft.request({ op: 'set-path', path: options.path as string });
  for (const [name, value] of Object.entries(checkedHeaders(options.headers ?? {}, scope)))
    draft.request({ op: 'set-header', name, value });
  return { kind: 'app' };
}

function staticAction(path: unknown, options: ServeStaticOptions, scope: RecordingScope): Action | null {
  if (typeof path !== 'string') {
    scope.error(`the path of a static file must be a string, not ${kindOf(path)}`, "serveStatic('dist/:path*')");
    return null;
  }
  warnUnknownKeys('serveStatic', options, scope);
  const template = projectPath(path);
  if (template.split('/').includes('..')) {
    scope.error(`the static path '${path}' leaves the project`, 'put the files below the project directory');
    return null;
  }
  scope.checkTemplate(template, 'the path of serveStatic');
  const { permanent = false, exclude = [], onNotFound, disableAutoPublish, loadingPage } = options;
  const mayBeMissing = onNotFound !== undefined;
  if (!disableAutoPublish) scope.stage(stagedPath(template), { permanent, exclude, mayBeMissing });
  if (loadingPage !== undefined)
    scope.stage(stagedPath(projectPath(loadingPage)), { permanent: false, exclude: [], mayBeMissing: false });
  return { kind: 'static', path: template, ...staticSettings(options) };
}

function staticSettings(options: ServeStaticOptions) {
  const { statusCode, statusMessage, permanent, exclude, expiresSeconds, onNotFound, loadingPage } = options;
  return {
    ...(statusCode === undefined ? {} : { status: statusCode }),
    ...(statusMessage === undefined ? {} : { statusMessage }),
    ...(permanent ? { permanent } : {}),
    ...(exclude?.length ? { exclude: [...exclude] } : {}),
    ...(expiresSeconds === undefined ? {} : { expiresSeconds }),
    ...(onNotFound ? { onNotFound: true } : {}),
    ...(loadingPage === undefined ? {} : { loadingPage: projectPath(loadingPage) }),
  };
}

function serviceWorkerAction(path: string, options: ServeStaticOptions, scope: RecordingScope): Action | null {
  const action = staticAction(path, options, scope);
  return action?.kind === 'static' ? { ...action, serviceWorker: true } : action;
}

/** A redirect with a rewritten query is computed, and as it depends on nothing but the URL it is kept for long. */
function redirectAction(
  to: unknown,
  options: number | RedirectOptions | undefined,
  draft: Draft,
  scope: RecordingScope,
): Action | null {
  if (typeof to !== 'string') {
    scope.error(`redirect takes a path or URL, not ${kindOf(to)}`, "redirect('/new/:path*')");
    return null;
  }
  const { query, statusCode = 302 } = typeof options === 'number' ? { statusCode: options } : (options ?? {});
  if (typeof options === 'object') warnUnknownKeys('redirect', options, scope);
  if (!Number.isInteger(statusCode) || statusCode < 300 || statusCode > 399)
    scope.error(`${statusCode} is no redirect status`, 'use 301, 302, 303, 307 or 308');
  scope.checkTemplate(to, 'the target of redirect');
  if (query === undefined) return { kind: 'redirect', to, status: statusCode };
  draft.cache = mergeCacheSettings({ edge: { maxAgeSeconds: FAR_FUTURE_TTL } }, draft.cache ?? {});
  return { kind: 'worker', reason: 'redirect' };
}

function sendAction(
  body: unknown,
  status: number | undefined,
  message: string | undefined,
  scope: RecordingScope,
): Action | null {
  if (typeof body === 'function') return { kind: 'worker', reason: 'send' };
  if (typeof body !== 'string') {
    scope.error(`send takes a string or a function, not ${kindOf(body)}`, 'send(JSON.stringify(value))');
    return null;
  }
  if (status !== undefined && !(Number.isInteger(status) && status >= 200 && status <= 599))
    scope.error(`${String(status)} is no status that can be sent`, 'use 200 to 599');
  return {
    kind: 'send',
    body,
    status: status ?? (scope.isCatch ? null : 200),
    ...(message === undefined ? {} : { statusMessage: message }),
  };
}
