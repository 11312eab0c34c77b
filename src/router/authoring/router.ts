import { DEFAULT_BRANDING } from '../../status/branding.ts';
import { type BuildProblem, type Recording, ROUTER_PROTOCOL, type RouterProtocol } from '../protocol.ts';
import type { RouteTable } from '../table.ts';
import { config } from './config.ts';
import type { Entry } from './declarations.ts';
import { filesDeclaration } from './files-declaration.ts';
import { RouteGroup, RouteGroupList } from './group.ts';
import { inlineHost } from './inline-host.ts';
import { run } from './live.ts';
import type { PluginBase } from './plugin.ts';
import { record } from './recorder.ts';
import type { Request } from './request.ts';
import type { Response } from './response.ts';
import { callSite } from './sites.ts';
import { type PrerenderInput, RouterState } from './state.ts';
import { listFiles, projectPath } from './static-files.ts';
import type {
  BackendOptions,
  BasicAuthOptions,
  RouteCriteria,
  RouteHandler,
  RouterOptions,
  StaticOptions,
} from './types.ts';
import { ROUTER_REMEDIES } from './unsupported.ts';
import { wholeOf } from './web.ts';

type Criteria = string | RegExp | RouteCriteria;
type Plugin = Partial<PluginBase> & { default?: Plugin };

const DEFAULT_GRAPHQL_PATH = '/graphql';
const DEFAULT_PRERENDER_CONCURRENCY = 200;

/** How a router reads another one's state, also when each was bundled with its own copy of this class. */
const STATE: unique symbol = Symbol.for('selvedge.router.state.v1') as never;

/**
 * The routes of a project, in order. Handlers run once at build time; what they call becomes the route table, and
 * the functions they pass on run in workers. Source: spec "Routing", section 2.
 */
export class Router {
  readonly #state: RouterState;
  readonly #plugins: Plugin[] = [];
  readonly #groups = new RouteGroupList((handler) => this.fallback(handler));
  readonly #routers = new Map<string, Router>();
  #recorded: Promise<Recording> | undefined;

  constructor(options: RouterOptions = {}) {
    this.#state = new RouterState(options);
  }

  /** Any method. All matching routes run in order until one of them sends. */
  match(criteria: Criteria, handler: RouteHandler): this {
    return this.#route(criteria, handler);
  }
  get(criteria: Criteria, handler: RouteHandler): this {
    return this.#route(criteria, handler, 'GET');
  }
  head(criteria: Criteria, handler: RouteHandler): this {
    return this.#route(criteria, handler, 'HEAD');
  }
  options(criteria: Criteria, handler: RouteHandler): this {
    return this.#route(criteria, handler, 'OPTIONS');
  }
  /** Responses can be cached; the body of the request is part of their key. */
  post(criteria: Criteria, handler: RouteHandler): this {
    return this.#route(criteria, handler, 'POST', true);
  }
  put(criteria: Criteria, handler: RouteHandler): this {
    return this.#route(criteria, handler, 'PUT');
  }
  patch(criteria: Criteria, handler: RouteHandler): this {
    return this.#route(criteria, handler, 'PATCH');
  }
  delete(criteria: Criteria, handler: RouteHandler): this {
    return this.#route(criteria, handler, 'DELETE');
  }

  /** POST on `path` (default `/graphql`) whose JSON body names the operation; cached by its body. */
  graphqlOperation(operation: string | RegExp | { path?: string; name: string | RegExp }, handler: RouteHandler): this {
    const named = typeof operation === 'string' || operation instanceof RegExp ? { name: operation } : operation;
    const { path = DEFAULT_GRAPHQL_PATH, name } = named as { path?: string; name: string | RegExp };
    const criteria: RouteCriteria = { path, body: { parse: 'json', criteria: { operationName: name } } };
    return this.#route(criteria, handler, 'POST', true);
  }

  /** Runs when nothing has sent; last, wherever it is declared. */
  fallback(handler: RouteHandler): this {
    this.#state.fallback = { kind: 'route', criteria: null, handler, label: 'fallback', site: callSite() };
    return this;
  }

  /** Runs when the answer's status matches. Must send; may do everything but proxy. */
  catch(status: RegExp | string | number, handler: RouteHandler): this {
    this.#state.catches.push({ status, handler, site: callSite() });
    return this;
  }

  /** Lets a plugin add its routes here. */
  use(plugin: Plugin | ((router: this) => unknown)): this {
    const given =
      typeof plugin === 'object' && plugin !== null && !plugin.onRegister ? (plugin.default ?? plugin) : plugin;
    const register = typeof given === 'function' ? given : given?.onRegister?.bind(given);
    if (!register) return this.#problem('use takes a plugin with onRegister(router)', 'extend PluginBase');
    if (typeof given === 'object') this.#plugins.push(given);
    const registered: unknown = register(this);
    if (registered instanceof Promise) this.#state.pending.push(registered);
    return this;
  }

  /** One route per file of a directory, found at build time. */
  static(directory: string, options?: StaticOptions | RouteHandler): this {
    return this.#add(filesDeclaration(directory, options as StaticOptions, true));
  }
  /** One route per file of a directory; the handler that `options.handler` returns must send. */
  dir(directory: string, options?: StaticOptions): this {
    return this.#add(filesDeclaration(directory, options, false));
  }

  /** A named part of the order that is filled by the callback, at once or later. */
  group(name: string, fill: (group: RouteGroup) => void): this {
    const group = new RouteGroup(name);
    this.#groups.add(group);
    this.#state.entries.push(group);
    fill(group);
    return this;
  }

  /** URLs that are rendered into the cache after a deployment. */
  prerender(...sources: PrerenderInput[]): this {
    const site = callSite();
    for (const source of sources) this.#state.prerender.push({ source, site });
    return this;
  }

  /** 401 without credentials, 403 with wrong ones. Not enforced, with a warning, when no password is configured. */
  requireBasicAuth(options: BasicAuthOptions): this {
    return this.#add({ kind: 'auth', options, site: callSite() });
  }

  /** Routes of one branch of a split test; the first declared is the default. */
  destination(name: string, router: Router): this {
    const state = (router as Partial<Router> | undefined)?.[STATE]?.call(router);
    if (!state) return this.#problem(`the destination '${name}' is not a Router`, "destination('name', new Router())");
    if (state.destinations.size > 0)
      return this.#problem(`the destination '${name}' has destinations of its own`, 'declare all on the main router');
    this.#state.destinations.set(name, state);
    this.#routers.set(name, router);
    return this;
  }

  /** Generated hosts are kept out of search engines anyway; `{ indexPermalink: true }` lets them in. */
  noIndexPermalink({ indexPermalink = false }: { indexPermalink?: boolean } = {}): this {
    this.#state.indexPermalink = indexPermalink;
    return this;
  }

  setBackend(name: string, options: BackendOptions): this {
    this.#state.backends.push({ name, options, site: callSite() });
    return this;
  }

  getPlugins(): Plugin[] {
    return [...this.#plugins];
  }
  getDestinations(): Record<string, Router> {
    return Object.fromEntries(this.#routers);
  }
  getRouteGroups(): RouteGroupList {
    return this.#groups;
  }
  /** Project-relative files of all `static` declarations, as they are on disk now. */
  getStaticAssetManifest(): string[] {
    return this.#state.entries.flatMap((entry) => {
      const declarations = entry.kind === 'group' ? entry.declarations : [entry];
      return declarations.flatMap((declaration) => {
        if (declaration.kind !== 'files' || !declaration.serves) return [];
        const directory = projectPath(declaration.directory);
        return (listFiles(process.cwd(), directory, declaration.options)?.files ?? []).map(
          (file) => `${directory}/${file}`,
        );
      });
    });
  }

  /** The route table, recorded in the working directory with the backends of the project configuration. */
  async createEdgeConfig(): Promise<RouteTable> {
    return (await this.#record()).table;
  }
  async createPreloadConfig(): Promise<{ requests: RouteTable['prerender']; concurrency: number }> {
    const { table } = await this.#record();
    const concurrency = config.get('prerenderConcurrency', DEFAULT_PRERENDER_CONCURRENCY) as number;
    return { requests: table.prerender, concurrency };
  }

  /**
   * Runs the route that answers a request outside the platform, behind an imagined edge: for custom servers and
   * tests. Edge operations are left out; nothing is cached. 404 when no route sends.
   */
  async run(request: Request, response: Response): Promise<void> {
    this.#recorded ??= this.#record();
    const { table, errors } = await this.#recorded;
    if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join('; '));
    const { compileRoutes } = await import('../match.ts');
    const matched = compileRoutes(table).match({
      method: request.method,
      protocol: request.protocol,
      path: request.path,
      query: request.queryString,
      fields: { get: (name) => request.getHeader(name) },
      body: request.rawBody,
      enforceProtocol: false,
    });
    const sender = matched.at(-1);
    if (!sender?.route.action) {
      response.statusCode = 404;
      return;
    }
    const result = await this[ROUTER_PROTOCOL].run({
      routeId: sender.route.id,
      params: sender.params,
      request: request.toGuest(),
      host: inlineHost(table.backends, process.cwd()),
      mark: () => undefined,
    });
    response.adopt(await wholeOf(result));
  }

  /** True when the request came through an edge. */
  static isRequestFromEdge(request: Pick<Request, 'getHeader'>): boolean {
    return request.getHeader(`${DEFAULT_BRANDING.headerPrefix}-version`) !== undefined;
  }

  // Names of a later generation: each says what to write instead.
  always(): this {
    return this.#unsupported('always');
  }
  conditional(): this {
    return this.#unsupported('conditional');
  }
  if(): this {
    return this.#unsupported('if');
  }
  elseif(): this {
    return this.#unsupported('elseif');
  }
  else(): this {
    return this.#unsupported('else');
  }
  forceHttps(): this {
    return this.#unsupported('forceHttps');
  }

  readonly [ROUTER_PROTOCOL]: RouterProtocol = {
    record: async (options) => {
      await this.#state.settled();
      return record(this.#state, options);
    },
    run: async (options) => {
      await this.#state.settled();
      return run(this.#state, this.#plugins, options);
    },
  };

  [STATE](): RouterState {
    return this.#state;
  }

  #record(): Promise<Recording> {
    const backends = config.get('backends', {}) as RouteTable['backends'];
    return this[ROUTER_PROTOCOL].record({ projectDir: process.cwd(), backends });
  }

  #route(criteria: Criteria, handler: RouteHandler, method?: string, bodyKey?: boolean): this {
    return this.#add({
      kind: 'route',
      criteria,
      handler,
      site: callSite(),
      ...(method ? { method } : {}),
      ...(bodyKey ? { bodyKey } : {}),
    });
  }

  #add(entry: Entry): this {
    this.#state.entries.push(entry);
    return this;
  }

  #unsupported(name: string): this {
    return this.#problem(`router.${name} is not supported`, ROUTER_REMEDIES[name]);
  }

  #problem(message: string, remedy: string | undefined): this {
    const problem: BuildProblem = { message, ...(remedy ? { remedy } : {}) };
    return this.#add({ kind: 'problem', problem, site: callSite() });
  }
}
