/** `core/deploy`: what connectors import to stage a build. */
export { default as DeploymentBuilder, type ExecOptions } from './deployment-builder.ts';
export { resolveInPackage } from './resolve-in-package.ts';

/** Handed to a connector's `build` entry. */
export interface BuildOptions {
  /** The framework's own build is left out; its output of last time is staged. */
  readonly skipFramework: boolean;
}
