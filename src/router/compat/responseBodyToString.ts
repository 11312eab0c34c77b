export { responseBodyToString, responseBodyToString as default } from '../authoring/response.ts';
