/**
 * From the frozen route table to a matcher: which routes apply to a request, in declaration order, up to and
 * including the first that sends. Compiled once per deployment. Source: spec "Routing", section 6.
 */
import { FILE_PARAM } from './authoring/constants.ts';
import { type CompiledCriteria, compileCriteria, type MatchRequest, Subject, valueTest } from './criteria.ts';
import { linearEngine } from './linear.ts';
import { type CompiledPath, canonicalPath, compilePath, decodeParams, type Params } from './path.ts';
import { PathIndex } from './path-index.ts';
import type { CatchRoute, Criteria, Route, RouteSection, RouteTable } from './table.ts';

export type { MatchRequest } from './criteria.ts';

export interface MatchedRoute {
  readonly route: Route;
  /** Percent-decoded. Splats are arrays; what the path left out is missing. */
  readonly params: Params;
  /** As they stand in the request's path: for building a path from them without changing an escape. */
  readonly rawParams: Params;
}

export interface CompiledRoutes {
  readonly table: RouteTable;
  /**
   * All matching routes in declaration order, ending with the first sender. Order: main routes, the destination's
   * routes (by default the first destination declared), its fallback, the main fallback. Empty or without sender
   * when nothing answers.
   */
  match(request: MatchRequest, destination?: string): MatchedRoute[];
  /** Whether some route that could apply looks into the body, so that it must be read before `match`. */
  needsBody(request: MatchRequest, destination?: string): boolean;
  /** Error routes for a status, in order, ending with the first sender; those of the destination come first. */
  matchCatches(status: number, request: MatchRequest, destination?: string): MatchedRoute[];
}

/** Throws when a pattern in the table cannot be compiled; the recorder lets none of those through. */
export function compileRoutes(table: RouteTable): CompiledRoutes {
  const main = compileSection(table.main);
  const destinations = new Map(Object.entries(table.destinations).map(([name, part]) => [name, compileSection(part)]));
  const first = destinations.values().next().value;
  const sectionsFor = (name: string | undefined): readonly Section[] => {
    const destination = (name !== undefined && destinations.get(name)) || first;
    return destination ? [main, destination] : [main];
  };
  return {
    table,
    match(request, destination) {
      const sections = sectionsFor(destination);
      return collectUntilSender(walk(sections, subjectOf(request, sections)));
    },
    needsBody: (request, destination) => looksIntoBody(request, sectionsFor(destination)),
    matchCatches(status, request, destination) {
      const subject = new Subject(request);
      const text = String(status);
      const catches = sectionsFor(destination)
        .toReversed()
        .flatMap((section) => section.catches);
      return collectUntilSender(
        catches
          .values()
          .filter((entry) => entry.matches(text))
          .map(({ route }) => matchRoute(route, subject, canonicalPath(request.path)))
          .filter((matched) => matched !== null),
      );
    },
  };
}

interface CompiledRoute extends CompiledCriteria {
  readonly route: Route;
  readonly path: CompiledPath | null;
  readonly onlyHead: boolean;
}

interface Section {
  readonly routes: readonly CompiledRoute[];
  readonly index: PathIndex;
  readonly fallback: CompiledRoute | null;
  readonly catches: readonly { matches(status: string): boolean; readonly route: CompiledRoute }[];
  readonly hasBodyRoutes: boolean;
  readonly hasHeadRoutes: boolean;
}

function compileSection({ routes, catches }: RouteSection): Section {
  const last = routes.at(-1);
  const hasFallback = last !== undefined && last.criteria === null && last.label === FALLBACK;
  const compiled = (hasFallback ? routes.slice(0, -1) : routes).map(compileRoute);
  const index = new PathIndex();
  for (const [position, { path }] of compiled.entries()) index.add(position, path);
  return {
    routes: compiled,
    index,
    fallback: hasFallback ? compileRoute(last) : null,
    catches: catches.map(compileCatch),
    hasBodyRoutes: compiled.some(({ body }) => body !== null),
    hasHeadRoutes: compiled.some(({ onlyHead }) => onlyHead),
  };
}

/** Label of the route that `fallback` declares. */
export const FALLBACK = 'fallback';

function compileRoute(route: Route): CompiledRoute {
  const { criteria } = route;
  const method = criteria?.method && valueTest(criteria.method);
  return {
    ...compileCriteria(criteria),
    route,
    path: criteria?.path === undefined ? null : compilePathCriterion(criteria.path),
    onlyHead: method?.(['HEAD']) === true && !method(['GET']),
  };
}

function compilePathCriterion(path: NonNullable<Criteria['path']>): CompiledPath {
  if (typeof path === 'string') return compilePath(path, linearEngine);
  const pattern = linearEngine(path.pattern, path.flags);
  return {
    tokens: [],
    names: [],
    literal: null,
    match: (canonical) => {
      const groups = pattern.exec(canonical);
      return groups && Object.fromEntries(groups.slice(1).flatMap((group, at) => (group == null ? [] : [[at, group]])));
    },
  };
}

function compileCatch(entry: CatchRoute): Section['catches'][number] {
  const test = valueTest(entry.status);
  return { matches: (status) => test([status]), route: compileRoute(entry.route) };
}

function* walk(sections: readonly Section[], subject: Subject): Generator<MatchedRoute> {
  const canonical = canonicalPath(subject.request.path);
  for (const { routes, index } of sections) {
    for (const position of index.candidates(canonical)) {
      const matched = matchRoute(routes[position]!, subject, canonical);
      if (matched) yield matched;
    }
  }
  for (const { fallback } of sections.toReversed()) {
    const matched = fallback && matchRoute(fallback, subject, canonical);
    if (matched) yield matched;
  }
}

function collectUntilSender(routes: Iterable<MatchedRoute>): MatchedRoute[] {
  const collected: MatchedRoute[] = [];
  for (const matched of routes) {
    collected.push(matched);
    if (matched.route.action) break;
  }
  return collected;
}

const NO_PARAMS: Params = Object.freeze({});

function matchRoute(entry: CompiledRoute, subject: Subject, canonical: string, withBody = true): MatchedRoute | null {
  for (const test of entry.head) if (!test(subject)) return null;
  const found = entry.path ? entry.path.match(canonical) : NO_PARAMS;
  if (!found) return null;
  if (withBody && entry.body && !entry.body(subject)) return null;
  return withParams(entry, found, subject, canonical);
}

function withParams(entry: CompiledRoute, found: Params, subject: Subject, canonical: string): MatchedRoute {
  const { route, captures } = entry;
  if (found === NO_PARAMS && captures.length === 0 && route.file === undefined)
    return { route, params: NO_PARAMS, rawParams: NO_PARAMS };
  const { path } = subject.request;
  const params = decodeParams(found);
  // Where the literal part of the path was escaped unusually the pattern only fits the canonical spelling.
  const rawParams = path === canonical ? { ...found } : (entry.path?.match(path) ?? { ...found });
  for (const [parameter, name] of captures) {
    const values = subject.query.getAll(parameter);
    params[name] = values.length > 1 ? values : values[0]!;
    rawParams[name] = values.length > 1 ? values.map(encodeURIComponent) : encodeURIComponent(values[0]!);
  }
  if (route.file !== undefined) params[FILE_PARAM] = route.file;
  return { route, params, rawParams };
}

/** HEAD is matched as GET (RFC 9110 section 9.3.2) unless a route made for HEAD answers. */
function subjectOf(request: MatchRequest, sections: readonly Section[]): Subject {
  const subject = new Subject(request);
  if (request.method !== 'HEAD') return subject;
  if (sections.some(({ hasHeadRoutes }) => hasHeadRoutes)) {
    const canonical = canonicalPath(request.path);
    const own = sections.some(({ routes, index }) =>
      index.candidates(canonical).some((position) => {
        const entry = routes[position]!;
        return entry.onlyHead && entry.route.action && matchRoute(entry, subject, canonical, false);
      }),
    );
    if (own) return subject;
  }
  subject.method = 'GET';
  return subject;
}

function looksIntoBody(request: MatchRequest, sections: readonly Section[]): boolean {
  if (!sections.some(({ hasBodyRoutes }) => hasBodyRoutes)) return false;
  const subject = subjectOf(request, sections);
  const canonical = canonicalPath(request.path);
  for (const { routes, index } of sections) {
    for (const position of index.candidates(canonical)) {
      const entry = routes[position]!;
      if (!matchRoute(entry, subject, canonical, false)) continue;
      if (entry.body) return true;
      if (entry.route.action) return false;
    }
  }
  return false;
}
