import type { KeyPart, KeySettings } from '../table.ts';

/** Splits the values of a header or cookie into named groups: the group's name joins the key, not the value. */
export interface GroupCreator {
  group(name: string): { byPattern(pattern: string | RegExp): GroupCreator };
}
type CreateGroups = (groups: GroupCreator) => unknown;
type Group = { readonly name: string; readonly pattern: string };

/**
 * What distinguishes stored responses of one path. Members chain; each `exclude…` replaces the one before.
 * Source: spec "Caching", section 4.
 */
export class CustomCacheKey {
  #query: KeySettings['query'];
  #parts: KeyPart[] = [];
  #removeMethod = false;
  #removeBody = false;

  excludeAllQueryParameters(): this {
    this.#query = { mode: 'none' };
    return this;
  }
  excludeQueryParameters(...names: string[]): this {
    const before = this.#query?.mode === 'except' ? this.#query.names : [];
    this.#query = { mode: 'except', names: [...before, ...names.flat()] };
    return this;
  }
  excludeAllQueryParametersExcept(...names: string[]): this {
    this.#query = { mode: 'only', names: names.flat() };
    return this;
  }
  /** Name of v4.0, kept. */
  excludeAllQueryParamsExcept(...names: string[]): this {
    return this.excludeAllQueryParametersExcept(...names);
  }

  addHeader(name: string, createGroups?: CreateGroups): this {
    return this.#add({ kind: 'header', name: name.toLowerCase(), ...groupsOf(createGroups) });
  }
  addCookie(name: string, createGroups?: CreateGroups): this {
    return this.#add({ kind: 'cookie', name, ...groupsOf(createGroups) });
  }
  /** `smartphone`, `tablet`, `mobile` or `desktop`. */
  addDevice(): this {
    return this.#add({ kind: 'device' });
  }
  addVendor(): this {
    return this.#add({ kind: 'vendor' });
  }
  addBrowser(): this {
    return this.#add({ kind: 'browser' });
  }
  addIsBot(): this {
    return this.#add({ kind: 'isBot' });
  }
  /** For routes whose body is part of the key. */
  removeMethod(): this {
    this.#removeMethod = true;
    return this;
  }
  removeBody(): this {
    this.#removeBody = true;
    return this;
  }

  clone(): CustomCacheKey {
    const copy = new CustomCacheKey();
    copy.#query = this.#query;
    copy.#parts = [...this.#parts];
    copy.#removeMethod = this.#removeMethod;
    copy.#removeBody = this.#removeBody;
    return copy;
  }

  toJSON(): KeySettings {
    return {
      ...(this.#query ? { query: this.#query } : {}),
      parts: [...this.#parts],
      ...(this.#removeMethod ? { removeMethod: true } : {}),
      ...(this.#removeBody ? { removeBody: true } : {}),
    };
  }

  #add(part: KeyPart): this {
    this.#parts.push(part);
    return this;
  }
}

function groupsOf(createGroups: CreateGroups | undefined): { groups?: Group[] } {
  if (!createGroups) return {};
  const groups: Group[] = [];
  const creator: GroupCreator = {
    group: (name) => ({
      byPattern(pattern) {
        groups.push({ name, pattern: typeof pattern === 'string' ? pattern : pattern.source });
        return creator;
      },
    }),
  };
  createGroups(creator);
  return { groups };
}

/** @deprecated Write `new CustomCacheKey()`. */
export const createCustomCacheKey = (): CustomCacheKey => new CustomCacheKey();
