export type { ResponseWriter, ResponseWriter as default } from '../authoring/types.ts';
