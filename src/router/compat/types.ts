export type * from '../authoring/types.ts';
