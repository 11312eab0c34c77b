export { CustomCacheKey, CustomCacheKey as default, createCustomCacheKey } from '../authoring/cache-key.ts';
