export { Response, Response as default } from '../authoring/response.ts';
