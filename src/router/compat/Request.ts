export { Request, Request as default } from '../authoring/request.ts';
