export { Router, Router as default } from '../authoring/router.ts';
export type { RouteHandler, RouterOptions } from '../authoring/types.ts';
