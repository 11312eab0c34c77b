/**
 * From declarations to the frozen route table: runs each handler once against a recording writer and collects all
 * problems instead of stopping at the first. Source: spec "Routing", sections 6 and 7.
 */
import type { Recording, RecordOptions } from '../protocol.ts';
import { type CatchRoute, ROUTE_TABLE_FORMAT, type Route, type RouteSection, type RouteTable } from '../table.ts';
import { escapeTemplate } from '../template.ts';
import type {
  AuthDeclaration,
  CatchDeclaration,
  Declaration,
  FilesDeclaration,
  RouteDeclaration,
} from './declarations.ts';
import { Draft } from './draft.ts';
import { handlerKeys } from './handlers.ts';
import { Ledger, type Place } from './ledger.ts';
import { kindOf } from './op-builders.ts';
import { readBackend, warnUnknownKeys } from './option-keys.ts';
import { readCriteria, readMatcher, statusText } from './read-criteria.ts';
import { type RecordingScope, recordingWriter } from './recording-writer.ts';
import { siteOfError } from './sites.ts';
import { type Numbered, type NumberedSection, numbered, type RouterState } from './state.ts';
import { listFiles, pathsOf, projectPath } from './static-files.ts';
import type { RouteHandler } from './types.ts';
import { featureProblems } from './unsupported.ts';

const PRERENDER_LIMIT = 25_000;

export async function record(state: RouterState, options: RecordOptions): Promise<Recording> {
  // The linear engine is needed only here, so a worker never evaluates it.
  const [{ linearEngine, refusal }, { compilePath }] = await Promise.all([
    import('../linear.ts'),
    import('../path.ts'),
  ]);
  const ledger = new Ledger(options, { names: (pattern) => compilePath(pattern, linearEngine).names, refusal });
  return new Recorder(ledger, options.projectDir).record(state);
}

class Recorder {
  readonly #ledger: Ledger;
  readonly #projectDir: string;

  constructor(ledger: Ledger, projectDir: string) {
    this.#ledger = ledger;
    this.#projectDir = projectDir;
  }

  async record(state: RouterState): Promise<Recording> {
    for (const backend of state.allBackends()) {
      const read = readBackend(backend.name, backend.options, this.#ledger.scope(backend));
      if (read) this.#ledger.backends[backend.name] = read;
    }
    const sections = numbered(state);
    const main = await this.#section(sections.main);
    const destinations: Record<string, RouteSection> = {};
    for (const [name, section] of sections.destinations) destinations[name] = await this.#section(section);
    const table: RouteTable = {
      format: ROUTE_TABLE_FORMAT,
      backends: this.#ledger.backends,
      main,
      destinations,
      flags: state.flags(),
      prerender: await this.#prerender(state),
    };
    const staticFiles = [...this.#ledger.staged.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
    return deepFreeze({
      table: asData(table),
      staticFiles,
      handlers: handlerKeys(state),
      warnings: this.#ledger.warnings,
      errors: this.#ledger.errors,
    });
  }

  async #section({ routes, fallback, catches }: NumberedSection): Promise<RouteSection> {
    const section = { routes: [] as Route[], catches: [] as CatchRoute[] };
    for (const entry of routes) {
      try {
        await this.#declaration(entry, section);
      } catch (error) {
        this.#thrown(error, entry.declaration, 'the declaration failed');
      }
    }
    for (const entry of catches) await this.#catch(entry, section.catches);
    if (fallback) {
      const { declaration, ordinal } = fallback;
      const draft = await this.#run(declaration.handler, declaration, this.#ledger.scope(declaration));
      section.routes.push(
        draft.finish({ ...this.#ledger.known(declaration), id: String(ordinal), label: 'fallback', criteria: null }),
      );
    }
    return section;
  }

  async #declaration(
    { declaration, ordinal }: Numbered<Declaration>,
    into: { routes: Route[]; catches: CatchRoute[] },
  ) {
    switch (declaration.kind) {
      case 'route':
        return this.#route(declaration, String(ordinal), into);
      case 'files':
        into.routes.push(...(await this.#files(declaration, ordinal)));
        return;
      case 'auth': {
        const route = this.#auth(declaration, String(ordinal));
        if (route) into.routes.push(route);
        return;
      }
      case 'problem':
        this.#ledger.fail(declaration.site, declaration.problem.message, declaration.problem.remedy);
    }
  }

  async #route(declaration: RouteDeclaration, id: string, into: { routes: Route[]; catches: CatchRoute[] }) {
    const place = this.#ledger.scope(declaration);
    const read = readCriteria(declaration, place, this.#ledger.patternCheck(declaration));
    const names = this.#ledger.namesOf(read.criteria?.path, read.criteria?.query);
    const scope = this.#ledger.scope(declaration, { isCatch: read.status !== undefined, names });
    const draft = await this.#run(declaration.handler, declaration, scope);
    const bodyKey = declaration.bodyKey || read.bodyKey;
    const { edge } = draft.cache ?? {};
    if (bodyKey && edge !== false && edge?.forcePrivateCaching && !draft.key?.removeBody)
      place.error('forcePrivateCaching cannot be used where the request body is part of the cache key', 'leave it out');
    const label = declaration.label ?? labelOf(declaration);
    const route = draft.finish({ ...this.#ledger.known(declaration), id, label, criteria: read.criteria, bodyKey });
    if (read.status) into.catches.push({ status: read.status, route });
    else into.routes.push(route);
  }

  async #catch({ declaration, ordinal }: Numbered<CatchDeclaration>, into: CatchRoute[]): Promise<void> {
    const scope = this.#ledger.scope(declaration, { isCatch: true });
    const status = readMatcher(
      statusText(declaration.status),
      'the status',
      scope,
      this.#ledger.patternCheck(declaration),
    );
    if ('is' in status && !/^[1-5]\d\d$/.test(status.is))
      scope.error(
        `'${status.is}' is no status that an answer can have`,
        'catch(404, …), or catch(/^5\\d\\d$/, …) for several',
      );
    const errors = this.#ledger.errors.length;
    const draft = await this.#run(declaration.handler, declaration, scope);
    const label = `catch ${String(declaration.status)}`;
    if (!draft.action && this.#ledger.errors.length === errors)
      scope.error(`the route '${label}' sends nothing`, 'call serveStatic, send, redirect or compute in it');
    into.push({
      status,
      route: draft.finish({ ...this.#ledger.known(declaration), id: String(ordinal), label, criteria: null }),
    });
  }

  async #files(declaration: FilesDeclaration, ordinal: number): Promise<Route[]> {
    const scope = this.#ledger.scope(declaration);
    const { options, serves } = declaration;
    if (typeof declaration.directory !== 'string') {
      scope.error(`static takes the path of a directory, not ${kindOf(declaration.directory)}`, "static('public')");
      return [];
    }
    warnUnknownKeys('static', options, scope);
    const directory = projectPath(declaration.directory);
    const routes: Route[] = [];
    for (const file of this.#listed(directory, declaration)) {
      const draft = options.handler ? await this.#run(options.handler(file), declaration, scope) : new Draft();
      const path = [directory, file].filter(Boolean).join('/');
      if (serves && !draft.action) {
        draft.action = { kind: 'static', path: escapeTemplate(path) };
        this.#ledger.stage(path, { permanent: false, exclude: [] });
      }
      const label = options.label ?? declaration.label ?? path;
      for (const pattern of this.#patternsOf(file, declaration)) {
        const id = `${ordinal}.${routes.length}`;
        routes.push(draft.finish({ ...this.#ledger.known(declaration), id, label, file, criteria: { path: pattern } }));
      }
    }
    return routes;
  }

  #listed(directory: string, declaration: FilesDeclaration): readonly string[] {
    const scope = this.#ledger.scope(declaration);
    const found = listFiles(this.#projectDir, directory, declaration.options);
    if (found === null)
      scope.warn(`the directory '${declaration.directory}' does not exist, so no routes are made for it`);
    const named = (name: string): string => [directory, name].filter(Boolean).join('/');
    for (const name of found?.outside ?? [])
      scope.error(`'${named(name)}' leads out of the project`, 'put the files below the project directory');
    for (const name of found?.nowhere ?? [])
      scope.warn(
        `'${named(name)}' is left out: ${name.includes('\ufffd') ? 'its name is not UTF-8' : 'it is a link to nowhere'}`,
      );
    return found?.files ?? [];
  }

  #patternsOf(file: string, declaration: FilesDeclaration): string[] {
    const patterns = pathsOf(file, declaration.options);
    if (declaration.options.paths) for (const pattern of patterns) this.#ledger.patternCheck(declaration).path(pattern);
    return patterns;
  }

  #auth(declaration: AuthDeclaration, id: string): Route | null {
    const { username, password, realm = 'restricted', route, criteria, strictAuth, ...rest } = declaration.options;
    const scope = this.#ledger.scope(declaration);
    warnUnknownKeys('requireBasicAuth', rest, scope);
    if (username === undefined || password === undefined) {
      const remedy = 'set the environment variables that they come from';
      const missing = 'user name or password is undefined';
      if (strictAuth) scope.error(`basic authentication cannot be enforced: ${missing}`, remedy);
      else scope.warn(`basic authentication is NOT ENFORCED: ${missing}`, remedy);
      return null;
    }
    const given = { criteria: route ?? criteria ?? null };
    const read = readCriteria(given, scope, this.#ledger.patternCheck(declaration));
    const made = new Draft().finish({
      ...this.#ledger.known(declaration),
      id,
      label: 'basic authentication',
      criteria: read.criteria,
    });
    return { ...made, auth: { username, password, realm } };
  }

  async #run(handler: unknown, place: Place, scope: RecordingScope): Promise<Draft> {
    const draft = new Draft();
    if (typeof handler === 'function') {
      try {
        await (handler as RouteHandler)(recordingWriter(draft, scope));
      } catch (error) {
        this.#thrown(error, place, 'the handler failed while it was recorded');
      }
    } else if (typeof handler === 'object' && handler !== null) {
      for (const { message, remedy } of featureProblems(handler)) this.#ledger.fail(place.site, message, remedy);
    } else scope.error('the route has no handler', "match('/path', ({ proxy }) => proxy('backend'))");
    return draft;
  }

  #thrown(error: unknown, place: Place, what: string): void {
    const message = `${what}: ${error instanceof Error ? error.message : String(error)}`;
    this.#ledger.fail(
      siteOfError(error) ?? place.site,
      message,
      'it runs at build time; code that needs a request goes into compute()',
    );
  }

  /** A list that cannot be made is no reason not to deploy: pages are then rendered when somebody asks. */
  async #prerender(state: RouterState): Promise<RouteTable['prerender']> {
    const entries: RouteTable['prerender'][number][] = [];
    for (const { source, site } of state.prerender) {
      try {
        const list = typeof source === 'function' ? await source() : source;
        if (!Array.isArray(list)) throw new TypeError('it takes arrays, or functions that return one');
        for (const entry of list) entries.push(typeof entry === 'string' ? { path: entry } : entry);
      } catch (error) {
        this.#ledger.warn(site, `nothing is prerendered from this list: ${(error as Error).message}`);
      }
    }
    if (entries.length > PRERENDER_LIMIT)
      this.#ledger.warn(
        state.prerender[0]?.site,
        `${entries.length} URLs to prerender; the first ${PRERENDER_LIMIT} are rendered`,
      );
    return entries.slice(0, PRERENDER_LIMIT);
  }
}

function labelOf({ criteria, method }: RouteDeclaration): string {
  const path = criteria instanceof RegExp || typeof criteria === 'string' ? criteria : criteria?.path;
  const text = path === undefined ? (criteria === null ? 'every request' : 'criteria') : String(path);
  return method ? `${method} ${text}` : text;
}

/** A table is data: what JSON cannot say is not in it. */
const asData = (table: RouteTable): RouteTable => JSON.parse(JSON.stringify(table)) as RouteTable;

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const member of Object.values(value)) deepFreeze(member);
  }
  return value;
}
