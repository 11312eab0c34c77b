export { FrameworkBuildError, FrameworkBuildError as default } from '../authoring/errors.ts';
