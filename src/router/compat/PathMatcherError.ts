export { PathMatcherError, PathMatcherError as default } from '../authoring/errors.ts';
