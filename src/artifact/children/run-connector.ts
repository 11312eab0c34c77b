/** Runs the `build` entry of a connector and hands over what it asked for; what it staged lies in the stage folder. */
import { createRequire } from 'node:module';
import { setProjectConfig } from '../../router/authoring/config.ts';
import { enterStage, newRequests, type StageRequests } from '../compat/stage.ts';
import { runJob } from './child-main.ts';
import { installHooks } from './hooks.ts';

export interface ConnectorInput {
  readonly projectDir: string;
  /** Absolute path of the entry file. */
  readonly entry: string;
  readonly stageDir: string;
  readonly routesFile: string;
  readonly skipFramework: boolean;
  readonly config: Readonly<Record<string, unknown>>;
}

type Build = (options: { readonly skipFramework: boolean }) => unknown;

runJob<ConnectorInput>(async (input): Promise<StageRequests> => {
  const { projectDir, entry, skipFramework, config } = input;
  const requests = newRequests();
  setProjectConfig(config);
  // Installed connectors know the option themselves; those of projects only run their framework, whatever is asked.
  const skipCommands = skipFramework && !entry.includes('/node_modules/');
  enterStage({ ...input, skipCommands, requests });
  installHooks(projectDir);
  // `require` takes CommonJS and ES modules alike and gives old connectors the loose mode that they are written in.
  const module = createRequire(entry)(entry) as Build | { default?: Build; build?: Build };
  const build = typeof module === 'function' ? module : (module.default ?? module.build);
  if (typeof build !== 'function') throw new Error('the build entry of the connector exports no function');
  await build({ skipFramework });
  return requests;
});
