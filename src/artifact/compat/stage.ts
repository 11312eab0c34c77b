/**
 * Where a connector's build puts files, and what it asked for beside them. One folder per build, named by the
 * process that runs the connector; the platform collects from it when the connector is done.
 */
import { join } from 'node:path';

export interface StageRequests {
  /** `builder.build()` was called. */
  built: boolean;
  includeNodeModules: boolean;
  /** Asset path → what `setStaticAssetExpiration` was told. */
  readonly expirations: Record<
    string,
    { readonly maxAgeSeconds: number; readonly staleWhileRevalidateSeconds?: number }
  >;
}

export interface StageContext {
  readonly projectDir: string;
  readonly stageDir: string;
  /** `builder.exec` runs nothing: it is the framework's build that was to be skipped. */
  readonly skipCommands: boolean;
  /** Absolute path of the routes file. */
  readonly routesFile: string;
  readonly requests: StageRequests;
}

const SLOT = '__selvedge_stage';
type Holder = { [SLOT]?: StageContext };

export const newRequests = (): StageRequests => ({ built: false, includeNodeModules: false, expirations: {} });

export function enterStage(context: StageContext): void {
  (globalThis as Holder)[SLOT] = context;
}

/** Outside of a build (a script of the project, `init`) everything goes to the default place. */
export function currentStage(): StageContext {
  const holder = globalThis as Holder;
  holder[SLOT] ??= {
    projectDir: process.cwd(),
    stageDir: join(process.cwd(), '.selvedge', 'stage'),
    skipCommands: false,
    routesFile: join(process.cwd(), 'routes.js'),
    requests: newRequests(),
  };
  return holder[SLOT];
}

export interface StageDirectories {
  readonly server: string;
  readonly assets: string;
  readonly permanentAssets: string;
  readonly sources: string;
}

/** Names that installed connectors spell out themselves. */
export const stageDirectories = (stageDir: string): StageDirectories => ({
  server: join(stageDir, 'lambda'),
  assets: join(stageDir, 's3'),
  permanentAssets: join(stageDir, 's3-permanent'),
  sources: join(stageDir, 'src'),
});
