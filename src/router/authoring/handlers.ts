/**
 * How a build and a worker speak of the same handler. Routes are numbered in the order of their declaration, but
 * framework plugins declare some only on a developer's machine; so the build also leaves, in the bundle, what each
 * number stands for, and a worker finds the declaration that stands for the same.
 */
import type { CatchDeclaration, Declaration } from './declarations.ts';
import { type Numbered, numbered, type RouterState } from './state.ts';

type Handled = Declaration | CatchDeclaration;

const SLOT = Symbol.for('selvedge.handlers.v1');
const slot = globalThis as { [SLOT]?: readonly string[] };
const known = new WeakMap<RouterState, ReadonlyMap<number, Handled>>();

/** By ordinal, from 1 at index 0: what each declaration is for, unique among them. */
export const handlerKeys = (state: RouterState): string[] => keyed(state).map(([key]) => key);

/** A statement that tells a worker, at the end of its bundle, what the build's numbers stand for. */
export const handlersStatement = (keys: readonly string[]): string =>
  `\nglobalThis[Symbol.for(${JSON.stringify(SLOT.description)})]=${JSON.stringify(keys)};\n`;

/** The declaration with the number that it had when the bundle was built; undefined when it is not declared here. */
export function findHandler(state: RouterState, ordinal: number): Handled | undefined {
  const handlers = known.get(state) ?? handlersHere(state, slot[SLOT]);
  known.set(state, handlers);
  return handlers.get(ordinal);
}

function handlersHere(state: RouterState, built: readonly string[] | undefined): ReadonlyMap<number, Handled> {
  const here = keyed(state);
  // With nothing missing and nothing new the order says it all, also where a key is different on every machine.
  if (built === undefined || built.length === here.length)
    return new Map(here.map(([, declaration], at) => [at + 1, declaration]));
  const byKey = new Map(here);
  return new Map(
    built.flatMap((key, at) => {
      const declaration = byKey.get(key);
      return declaration === undefined ? [] : [[at + 1, declaration] as const];
    }),
  );
}

function keyed(state: RouterState): [string, Handled][] {
  const { main, destinations } = numbered(state);
  const seen = new Map<string, number>();
  return [['', main] as const, ...destinations].flatMap(([name, { routes, catches, fallback }]) =>
    [...routes, ...catches, ...(fallback ? [fallback] : [])].map(({ declaration }: Numbered<Handled>) => {
      const key = `${name} ${purposeOf(declaration)}`;
      const before = seen.get(key) ?? 0;
      seen.set(key, before + 1);
      return [before === 0 ? key : `${key} ${before + 1}`, declaration] as [string, Handled];
    }),
  );
}

function purposeOf(declaration: Handled): string {
  const { group = '' } = declaration;
  if (!('kind' in declaration)) return text('catch', group, declaration.status);
  if (declaration.kind === 'route') return text(group, declaration.method ?? '', declaration.criteria);
  return declaration.kind === 'files' ? text('files', group, declaration.directory) : text(declaration.kind, group);
}

const text = (...parts: unknown[]): string =>
  JSON.stringify(parts, (_, value: unknown) => (value instanceof RegExp ? String(value) : value));
