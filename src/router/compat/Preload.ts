export type {
  PrerenderRequest,
  PrerenderRequest as default,
  PrerenderRequest as PreloadRequest,
} from '../authoring/types.ts';
