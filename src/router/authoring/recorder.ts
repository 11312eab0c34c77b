/**
 * From declarations to the frozen route table: runs each handler once against a recording writer and collects all
 * problems instead of stopping at the first. Source: spec "Routing", sections 6 and 7.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_BRANDING } from '../../status/branding.ts';
import type { BuildProblem, Recording, RecordOptions } from '../protocol.ts';
import {
  type Backend,
  type CatchRoute,
  ROUTE_TABLE_FORMAT,
  type Route,
  type RouteSection,
  type RouteTable,
} from '../table.ts';
import { escapeTemplate, templateNames } from '../template.ts';
import { BACKENDS } from './constants.ts';
import type {
  AuthDeclaration,
  CatchDeclaration,
  Declaration,
  FilesDeclaration,
  RouteDeclaration,
} from './declarations.ts';
import { Draft } from './draft.ts';
import { readBackend, warnUnknownKeys } from './option-keys.ts';
import { type PatternCheck, readCriteria, readMatcher, statusText } from './read-criteria.ts';
import { type RecordingScope, recordingWriter } from './recording-writer.ts';
import { isReservedHeader } from './reserved.ts';
import { callSite, type Site, sourceOf } from './sites.ts';
import { type Numbered, type NumberedSection, numbered, type RouterState } from './state.ts';
import { listFiles, pathsOf, projectPath } from './static-files.ts';
import type { BackendOptions, RouteHandler } from './types.ts';
import { featureProblems } from './unsupported.ts';

const PRERENDER_LIMIT = 25_000;

export async function record(state: RouterState, options: RecordOptions): Promise<Recording> {
  // The linear engine is needed only here, so a worker never evaluates it.
  const [{ linearEngine, refusal }, { compilePath }] = await Promise.all([
    import('../linear.ts'),
    import('../path.ts'),
  ]);
  const recorder = new Recorder(options, {
    path: (pattern) => void compilePath(pattern, linearEngine),
    names: (pattern) => compilePath(pattern, linearEngine).names,
    refusal,
  });
  return recorder.record(state);
}

interface Engine {
  path(pattern: string): void;
  names(pattern: string): readonly string[];
  refusal(source: string, flags: string): string | null;
}

type Staged = Recording['staticFiles'][number];
/** Where a message belongs when the call stack does not tell. */
type Place = Pick<Declaration, 'site'>;

class Recorder {
  readonly #options: RecordOptions;
  readonly #engine: Engine;
  readonly #errors: BuildProblem[] = [];
  readonly #warnings: BuildProblem[] = [];
  readonly #backends: Record<string, Backend>;
  readonly #staged = new Map<string, Staged>();

  constructor(options: RecordOptions, engine: Engine) {
    this.#options = options;
    this.#engine = engine;
    this.#backends = { ...options.backends };
  }

  async record(state: RouterState): Promise<Recording> {
    for (const backend of state.allBackends()) {
      const read = readBackend(backend.name, backend.options, this.#scope(backend));
      if (read) this.#backends[backend.name] = read;
    }
    const sections = numbered(state);
    const main = await this.#section(sections.main);
    const destinations: Record<string, RouteSection> = {};
    for (const [name, section] of sections.destinations) destinations[name] = await this.#section(section);
    const table: RouteTable = {
      format: ROUTE_TABLE_FORMAT,
      backends: this.#backends,
      main,
      destinations,
      flags: state.flags(),
      prerender: await this.#prerender(state),
    };
    const staticFiles = [...this.#staged.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
    return deepFreeze({ table: asData(table), staticFiles, warnings: this.#warnings, errors: this.#errors });
  }

  async #section({ routes, fallback, catches }: NumberedSection): Promise<RouteSection> {
    const section = { routes: [] as Route[], catches: [] as CatchRoute[] };
    for (const entry of routes) await this.#declaration(entry, section);
    for (const entry of catches) await this.#catch(entry, section.catches);
    if (fallback) {
      const { declaration, ordinal } = fallback;
      const draft = await this.#run(declaration.handler, declaration, this.#scope(declaration));
      section.routes.push(
        draft.finish({ ...this.#known(declaration), id: String(ordinal), label: 'fallback', criteria: null }),
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
        this.#errors.push(this.#problem(declaration.problem, declaration.site));
    }
  }

  async #route(declaration: RouteDeclaration, id: string, into: { routes: Route[]; catches: CatchRoute[] }) {
    const place = this.#scope(declaration);
    const read = readCriteria(declaration, place, this.#patternCheck(declaration));
    const names = this.#namesOf(read.criteria?.path, read.criteria?.query);
    const scope = this.#scope(declaration, { isCatch: read.status !== undefined, names });
    const draft = await this.#run(declaration.handler, declaration, scope);
    const bodyKey = declaration.bodyKey || read.bodyKey;
    const { edge } = draft.cache ?? {};
    if (bodyKey && edge !== false && edge?.forcePrivateCaching && !draft.key?.removeBody)
      place.error('forcePrivateCaching cannot be used where the request body is part of the cache key', 'leave it out');
    const label = declaration.label ?? labelOf(declaration);
    const route = draft.finish({ ...this.#known(declaration), id, label, criteria: read.criteria, bodyKey });
    if (read.status) into.catches.push({ status: read.status, route });
    else into.routes.push(route);
  }

  async #catch({ declaration, ordinal }: Numbered<CatchDeclaration>, into: CatchRoute[]): Promise<void> {
    const scope = this.#scope(declaration, { isCatch: true });
    const status = readMatcher(statusText(declaration.status), 'the status', scope, this.#patternCheck(declaration));
    const errors = this.#errors.length;
    const draft = await this.#run(declaration.handler, declaration, scope);
    const label = `catch ${String(declaration.status)}`;
    if (!draft.action && this.#errors.length === errors)
      scope.error(`the route '${label}' sends nothing`, 'call serveStatic, send, redirect or compute in it');
    into.push({
      status,
      route: draft.finish({ ...this.#known(declaration), id: String(ordinal), label, criteria: null }),
    });
  }

  async #files(declaration: FilesDeclaration, ordinal: number): Promise<Route[]> {
    const scope = this.#scope(declaration);
    const { options, serves } = declaration;
    warnUnknownKeys('static', options, scope);
    const directory = projectPath(declaration.directory);
    const files = listFiles(this.#options.projectDir, directory, options);
    if (!files) scope.warn(`the directory '${declaration.directory}' does not exist, so no routes are made for it`);
    const routes: Route[] = [];
    for (const file of files ?? []) {
      const draft = options.handler ? await this.#run(options.handler(file), declaration, scope) : new Draft();
      const path = [directory, file].filter(Boolean).join('/');
      if (serves && !draft.action) {
        draft.action = { kind: 'static', path: escapeTemplate(path) };
        this.#stage(path, { permanent: false, exclude: [] });
      }
      const label = options.label ?? declaration.label ?? path;
      for (const pattern of this.#patternsOf(file, declaration)) {
        const id = `${ordinal}.${routes.length}`;
        routes.push(draft.finish({ ...this.#known(declaration), id, label, file, criteria: { path: pattern } }));
      }
    }
    return routes;
  }

  #patternsOf(file: string, declaration: FilesDeclaration): string[] {
    const patterns = pathsOf(file, declaration.options);
    if (declaration.options.paths) for (const pattern of patterns) this.#patternCheck(declaration).path(pattern);
    return patterns;
  }

  #auth(declaration: AuthDeclaration, id: string): Route | null {
    const { username, password, realm = 'restricted', route, criteria, ...rest } = declaration.options;
    const scope = this.#scope(declaration);
    warnUnknownKeys('requireBasicAuth', rest, scope);
    if (username === undefined || password === undefined) {
      scope.warn(
        'basic authentication is NOT ENFORCED: user name or password is undefined',
        'set the environment variables that they come from',
      );
      return null;
    }
    const given = { criteria: route ?? criteria ?? null };
    const read = readCriteria(given, scope, this.#patternCheck(declaration));
    const made = new Draft().finish({
      ...this.#known(declaration),
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
        const where = siteOfError(error) ?? place.site;
        const message = `the handler failed while it was recorded: ${error instanceof Error ? error.message : String(error)}`;
        this.#errors.push(
          this.#problem(
            { message, remedy: 'handlers run once at build time; move code that needs a request into compute()' },
            where,
          ),
        );
      }
    } else if (typeof handler === 'object' && handler !== null) {
      for (const problem of featureProblems(handler)) this.#errors.push(this.#problem(problem, place.site));
    } else scope.error('the route has no handler', "match('/path', ({ proxy }) => proxy('backend'))");
    return draft;
  }

  #scope(
    place: Place,
    { isCatch = false, names }: { isCatch?: boolean; names?: readonly string[] | null } = {},
  ): RecordingScope {
    const here = () => callSite() ?? place.site;
    const warn = (message: string, remedy?: string) =>
      void this.#warnings.push(this.#problem({ message, ...(remedy ? { remedy } : {}) }, here()));
    return {
      isCatch,
      warn,
      error: (message, remedy) =>
        void this.#errors.push(this.#problem({ message, ...(remedy ? { remedy } : {}) }, here())),
      isReserved: (name, on) =>
        isReservedHeader(name, on, this.#options.reservedHeaderPrefixes ?? DEFAULT_BRANDING.reservedHeaderPrefixes),
      checkExpression: this.#patternCheck(place).expression,
      useBackend: (name) => this.#useBackend(name, here()),
      addBackend: (options) => this.#addBackend(options, place),
      stage: (path, { mayBeMissing, ...options }) => {
        if (path === '') {
          const message = 'serveStatic would publish the whole project';
          this.#errors.push(
            this.#problem({ message, remedy: "start the path with a directory: serveStatic('public/:path*')" }, here()),
          );
        } else {
          if (!mayBeMissing && !existsSync(join(this.#options.projectDir, path)))
            warn(`'${path}' does not exist in the project`);
          this.#stage(path, options);
        }
      },
      checkTemplate: (template, what) => {
        const missing = names ? templateNames(template).filter((name) => !names.includes(name)) : [];
        for (const name of missing)
          warn(`${what} takes ':${name}', which the route's criteria do not have; it will be empty`);
      },
    };
  }

  /** Parameters that a path template may take; null when they cannot be known. */
  #namesOf(path: unknown, query: object | undefined): string[] | null {
    if (typeof path !== 'string') return null;
    try {
      const captured = Object.values(query ?? {}).flatMap((criterion) =>
        'capture' in criterion ? [criterion.capture] : [],
      );
      return [...this.#engine.names(path), ...captured];
    } catch {
      return null;
    }
  }

  #useBackend(name: string, site: Site | undefined): void {
    if (Object.hasOwn(this.#backends, name)) return;
    if (name === BACKENDS.imageOptimizer) {
      this.#errors.push(
        this.#problem({ message: 'there is no image optimizer', remedy: 'proxy to an image service' }, site),
      );
      return;
    }
    const known = Object.keys(this.#backends);
    const remedy =
      known.length > 0 ? `declared are ${known.join(', ')}` : 'declare it under backends in selvedge.config';
    this.#errors.push(this.#problem({ message: `the backend '${name}' is not declared`, remedy }, site));
  }

  #addBackend(options: BackendOptions, place: Place): string | null {
    const read = readBackend('proxyHost', options, this.#scope(place));
    if (!read) return null;
    const name = hostBackendName(read);
    this.#backends[name] = read;
    return name;
  }

  #stage(path: string, { permanent, exclude }: { permanent: boolean; exclude: readonly string[] }): void {
    this.#staged.set(`${path} ${permanent} ${exclude.join(' ')}`, { path, permanent, exclude: [...exclude] });
  }

  #patternCheck(place: Place): PatternCheck {
    const refuse = (message: string, remedy: string) =>
      void this.#errors.push(this.#problem({ message, remedy }, callSite() ?? place.site));
    return {
      path: (pattern) => {
        try {
          this.#engine.path(pattern);
        } catch (error) {
          const { message, remedy } = error as Error & { remedy?: string };
          if (remedy !== undefined) refuse(message, remedy);
          else refuse(`the path pattern '${pattern}' cannot be used: ${message}`, NO_LOOK_AROUND);
        }
      },
      expression: (source, flags) => {
        const reason = this.#engine.refusal(source, flags);
        if (reason !== null) refuse(`the expression /${source}/${flags} cannot be used: ${reason}`, NO_LOOK_AROUND);
      },
    };
  }

  #known({ site, group }: { site: Site | undefined; group?: string | undefined }) {
    return { source: sourceOf(site, this.#options.projectDir), group };
  }

  #problem(problem: BuildProblem, site: Site | undefined): BuildProblem {
    if (!site) return problem;
    return { ...problem, ...sourceOf(site, this.#options.projectDir) };
  }

  async #prerender(state: RouterState): Promise<RouteTable['prerender']> {
    const entries: RouteTable['prerender'][number][] = [];
    for (const { source, site } of state.prerender) {
      const list = typeof source === 'function' ? await source() : source;
      for (const entry of list ?? []) entries.push(typeof entry === 'string' ? { path: entry } : entry);
      if (!Array.isArray(list)) this.#scope({ site }).error('prerender takes arrays, or functions that return one');
    }
    if (entries.length > PRERENDER_LIMIT)
      this.#warnings.push({
        message: `${entries.length} URLs to prerender; the first ${PRERENDER_LIMIT} are rendered`,
      });
    return entries;
  }
}

const NO_LOOK_AROUND =
  'expressions run on a linear-time engine: write it without look-ahead, look-behind and back-references';

/** Stable, so that a worker finds the backend that the recording made. */
export const hostBackendName = ({ domainOrIp, port, scheme, basePath }: BackendOptions): string =>
  `host:${[scheme, domainOrIp, port, basePath].filter((part) => part !== undefined).join(':')}`;

function labelOf({ criteria, method }: RouteDeclaration): string {
  const path = criteria instanceof RegExp || typeof criteria === 'string' ? criteria : criteria?.path;
  const text = path === undefined ? (criteria === null ? 'every request' : 'criteria') : String(path);
  return method ? `${method} ${text}` : text;
}

/** The first line of project code in an exception's stack. */
function siteOfError(error: unknown): Site | undefined {
  const frame =
    error instanceof Error
      ? /\((?:file:\/\/)?(\/[^)]+?):(\d+):\d+\)|at (?:file:\/\/)?(\/\S+?):(\d+):\d+/.exec(error.stack ?? '')
      : null;
  const file = frame?.[1] ?? frame?.[3];
  return file && !file.includes('/node_modules/') ? { file, line: Number(frame![2] ?? frame![4]) } : undefined;
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
