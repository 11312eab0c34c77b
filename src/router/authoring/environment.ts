/** Where the routes file is being evaluated. Set by the platform through two variables, see spec "Routing", section 1. */
const runtime = (): string | undefined => globalThis.process?.env.SELVEDGE_RUNTIME;

/** True for `build` and `deploy`, false for `dev`: decides at top level which routes exist. */
export const isProductionBuild = (): boolean => globalThis.process?.env.SELVEDGE_BUILD_MODE !== 'development';
/** Running in a worker of the platform. */
export const isCloud = (): boolean => runtime() === 'cloud';
/** Running on a developer's machine, in `dev` or after a local build. */
export const isLocal = (): boolean => runtime() === 'local';
export const isRunDev = (): boolean => isLocal() && !isProductionBuild();
export const isLayer0RunDev = isRunDev;
export const isEdgioRunDev = isRunDev;
export const isBrowser = (): boolean => 'window' in globalThis && 'document' in globalThis;
