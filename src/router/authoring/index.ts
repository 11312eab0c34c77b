/** `selvedge/router`: what a routes file imports. */
export { CustomCacheKey, createCustomCacheKey, type GroupCreator } from './cache-key.ts';
export { BACKENDS, FAR_FUTURE_TTL } from './constants.ts';
export { PathMatcherError } from './errors.ts';
export { RouteGroup, RouteGroupList } from './group.ts';
export { PluginBase, selvedgeRoutes, selvedgeRoutes as edgioRoutes, selvedgeRoutes as layer0Routes } from './plugin.ts';
export { Request } from './request.ts';
export { Response, responseBodyToString } from './response.ts';
export { Router } from './router.ts';
export { deriveSurrogateKeysFromJson, type SurrogateKeyOptions } from './surrogate-keys.ts';
export type * from './types.ts';
