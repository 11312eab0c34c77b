import type { FilesDeclaration } from './declarations.ts';
import { callSite } from './sites.ts';
import type { StaticOptions } from './types.ts';

/** Old files pass a function where the options belong; it never had an effect and has none here. */
export const filesDeclaration = (
  directory: string,
  options: StaticOptions | undefined,
  serves: boolean,
): FilesDeclaration => ({
  kind: 'files',
  directory,
  options: typeof options === 'object' && options !== null ? options : {},
  serves,
  site: callSite(),
});
