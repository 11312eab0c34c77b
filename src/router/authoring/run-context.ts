/** Which run a piece of project code belongs to, carried through every await. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { DEFAULT_BRANDING } from '../../status/branding.ts';
import type { RunOptions } from '../protocol.ts';

export interface RunContext {
  readonly options: Pick<RunOptions, 'userTiming' | 'headerPrefix'>;
  /** Name and milliseconds, in the order of completion. */
  readonly timings: Map<string, number>;
}

const storage = new AsyncLocalStorage<RunContext>();

export const withinRun = <T>(options: RunContext['options'], work: (context: RunContext) => T): T => {
  const context: RunContext = { options, timings: new Map() };
  return storage.run(context, () => work(context));
};

export const currentRun = (): RunContext | undefined => storage.getStore();

export const headerPrefix = (): string => currentRun()?.options.headerPrefix ?? DEFAULT_BRANDING.headerPrefix;
