export type { CacheOptions, CacheOptions as default } from '../authoring/types.ts';
