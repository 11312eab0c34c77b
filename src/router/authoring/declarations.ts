/**
 * What a routes file declares, before any handler has run. The order of declarations numbers the routes, the same
 * way at build time and in a worker: that number is how the two speak of the same handler.
 */
import type { BuildProblem } from '../protocol.ts';
import type { Site } from './sites.ts';
import type { BasicAuthOptions, RouteCriteria, RouteHandler, StaticOptions } from './types.ts';

interface Declared {
  readonly site: Site | undefined;
  readonly label?: string | undefined;
  readonly group?: string | undefined;
}

export interface RouteDeclaration extends Declared {
  readonly kind: 'route';
  /** Null matches everything. */
  readonly criteria: string | RegExp | RouteCriteria | null;
  /** Of `get`, `post` …, added to the criteria. */
  readonly method?: string;
  /** The request's body joins the cache key. */
  readonly bodyKey?: boolean;
  readonly handler: RouteHandler;
}

export interface FilesDeclaration extends Declared {
  readonly kind: 'files';
  readonly directory: string;
  readonly options: StaticOptions;
  /** `static` sends each file, `dir` leaves that to the handler. */
  readonly serves: boolean;
}

export interface AuthDeclaration extends Declared {
  readonly kind: 'auth';
  readonly options: BasicAuthOptions;
}

export interface ProblemDeclaration extends Declared {
  readonly kind: 'problem';
  readonly problem: BuildProblem;
}

export interface CatchDeclaration extends Declared {
  readonly status: RegExp | string | number;
  readonly handler: RouteHandler;
}

export type Declaration = RouteDeclaration | FilesDeclaration | AuthDeclaration | ProblemDeclaration;

/** Anything that stands in the order: a declaration, or a group that keeps its place and fills later. */
export type Entry = Declaration | { readonly kind: 'group'; readonly declarations: readonly Declaration[] };

export const flatten = (entries: readonly Entry[]): Declaration[] =>
  entries.flatMap((entry) => (entry.kind === 'group' ? [...entry.declarations] : [entry]));
