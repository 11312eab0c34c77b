/** Everything that one `Router` holds, and the numbering that the recorder and the worker share. */
import type { RouteTable } from '../table.ts';
import { type CatchDeclaration, type Declaration, type Entry, flatten, type RouteDeclaration } from './declarations.ts';
import type { Site } from './sites.ts';
import type { BackendOptions, PrerenderSource, RouterOptions } from './types.ts';

export interface DeclaredBackend {
  readonly name: string;
  readonly options: BackendOptions;
  readonly site: Site | undefined;
}
export type PrerenderInput = PrerenderSource | (() => PrerenderSource | Promise<PrerenderSource>);

export class RouterState {
  readonly options: RouterOptions;
  readonly entries: Entry[] = [];
  readonly catches: CatchDeclaration[] = [];
  readonly destinations = new Map<string, RouterState>();
  readonly backends: DeclaredBackend[] = [];
  readonly prerender: { source: PrerenderInput; site: Site | undefined }[] = [];
  /** Registrations of plugins that take their time; awaited before anything is numbered. */
  readonly pending: Promise<unknown>[] = [];
  fallback: RouteDeclaration | null = null;
  indexPermalink = false;

  constructor(options: RouterOptions) {
    this.options = options;
    this.indexPermalink = options.indexPermalink ?? false;
  }

  flags(): RouteTable['flags'] {
    return {
      indexPermalink: this.indexPermalink,
      allowReqQueryDuplicates: this.options.allowReqQueryDuplicates ?? false,
      excludeBuiltInRoutes: this.options.excludeBuiltInRoutes ?? false,
    };
  }

  allBackends(): DeclaredBackend[] {
    return [...this.backends, ...this.destinations.values().flatMap((state) => state.allBackends())];
  }

  async settled(): Promise<void> {
    await Promise.all(this.pending);
    for (const destination of this.destinations.values()) await destination.settled();
  }
}

export interface Numbered<D> {
  readonly ordinal: number;
  readonly declaration: D;
}

export interface NumberedSection {
  readonly routes: readonly Numbered<Declaration>[];
  readonly catches: readonly Numbered<CatchDeclaration>[];
  readonly fallback: Numbered<RouteDeclaration> | null;
}

/** Counts from 1: main routes, catches, fallback, then each destination the same way. */
export function numbered(state: RouterState): { main: NumberedSection; destinations: [string, NumberedSection][] } {
  let last = 0;
  const number = <D>(declaration: D): Numbered<D> => ({ ordinal: ++last, declaration });
  const section = (of: RouterState): NumberedSection => ({
    routes: flatten(of.entries).map(number),
    catches: of.catches.map(number),
    fallback: of.fallback && number(of.fallback),
  });
  const main = section(state);
  return { main, destinations: [...state.destinations].map(([name, of]) => [name, section(of)]) };
}
