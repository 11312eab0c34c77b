/** Runs a bundled routes file once and hands over what its router recorded. */
import { pathToFileURL } from 'node:url';
import { type Recording, type RecordOptions, ROUTER_PROTOCOL, type RouterProtocol } from '../../router/protocol.ts';
import { runJob } from './child-main.ts';
import { installHooks } from './hooks.ts';

export interface RecordInput extends RecordOptions {
  /** The bundle, absolute; it may lie outside the project. */
  readonly file: string;
}

/** Null when the module exports no router. */
export type RecordOutput = Recording | null;

runJob<RecordInput>(async ({ file, ...options }): Promise<RecordOutput> => {
  Object.assign(globalThis, { __selvedge_root: options.projectDir });
  process.argv = [process.argv[0]!, file];
  installHooks(options.projectDir, [file]);
  const module = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
  const router = await findRouter(module);
  return router === null ? null : router.record(options);
});

/** Whatever export carries the protocol; a promise of a router counts, too. */
async function findRouter(module: Record<string, unknown>): Promise<RouterProtocol | null> {
  const main = (await module.default) as Record<string, unknown> | undefined;
  for (const candidate of [main, main?.default, ...Object.values(module)]) {
    const protocol = (candidate as { [ROUTER_PROTOCOL]?: RouterProtocol } | null | undefined)?.[ROUTER_PROTOCOL];
    if (protocol) return protocol;
  }
  return null;
}
