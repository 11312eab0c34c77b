export { PathMatcherError } from '../path.ts';

/** A framework's own build failed: the project's affair, shown without a stack trace of the platform. */
export class FrameworkBuildError extends Error {
  readonly isUserError = true;
  readonly framework: string;
  readonly command: string;
  constructor(framework: string, command: string, error?: unknown) {
    super(`the build of ${framework} failed: ${command}`, { cause: error });
    this.name = 'FrameworkBuildError';
    this.framework = framework;
    this.command = command;
  }
}
