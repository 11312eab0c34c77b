export { responseBodyToString } from '../authoring/response.ts';
export { bindParamsToPath } from './bindParamsToPath.ts';
export { watch } from './watch.ts';
