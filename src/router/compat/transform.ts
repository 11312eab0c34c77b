export { transformMethod, transformMethod as default } from '../authoring/transform.ts';
