import type { Declaration } from './declarations.ts';
import { filesDeclaration } from './files-declaration.ts';
import { callSite } from './sites.ts';
import type { BasicAuthOptions, RouteCriteria, RouteHandler, StaticOptions } from './types.ts';

/** An ordered list of routes that keeps its place in the router and can be filled, and emptied, later. */
export class RouteGroup {
  readonly kind = 'group';
  readonly name: string;
  readonly declarations: Declaration[] = [];

  constructor(name: string) {
    this.name = name;
  }

  get routes(): readonly Declaration[] {
    return this.declarations;
  }

  get length(): number {
    return this.declarations.length;
  }

  /** `index` puts the route at that place of the group; `label` is what logs show. */
  match(
    criteria: string | RegExp | RouteCriteria | null,
    handler: RouteHandler,
    { index, label }: { index?: number; label?: string } = {},
  ): this {
    const declaration: Declaration = { kind: 'route', criteria, handler, label, group: this.name, site: callSite() };
    this.declarations.splice(index ?? this.declarations.length, 0, declaration);
    return this;
  }

  /** One route per file of a directory; the handler that `options.handler` returns must send. */
  dir(directory: string, options?: StaticOptions): this {
    this.declarations.push({ ...filesDeclaration(directory, options, false), group: this.name });
    return this;
  }

  /** One route per file of a directory, which is sent. */
  static(directory: string, options?: StaticOptions): this {
    this.declarations.push({ ...filesDeclaration(directory, options, true), group: this.name });
    return this;
  }

  requireBasicAuth(options: BasicAuthOptions): this {
    this.declarations.push({ kind: 'auth', options, group: this.name, site: callSite() });
    return this;
  }

  clear(): this {
    this.declarations.length = 0;
    return this;
  }
}

/** The groups of a router, for plugins that look for one another's. */
export class RouteGroupList {
  readonly #groups: RouteGroup[] = [];
  #setFallback: ((handler: RouteHandler) => void) | undefined;

  constructor(setFallback?: (handler: RouteHandler) => void) {
    this.#setFallback = setFallback;
  }

  add(group: RouteGroup): this {
    this.#groups.push(group);
    return this;
  }

  getGroups(): RouteGroup[] {
    return [...this.#groups];
  }

  findByName(name: string): RouteGroup | undefined {
    return this.#groups.find((group) => group.name === name);
  }

  getRoutes(): Declaration[] {
    return this.#groups.flatMap((group) => [...group.routes]);
  }

  setFallback(handler: RouteHandler): this {
    this.#setFallback?.(handler);
    return this;
  }

  get length(): number {
    return this.#groups.length;
  }
}
