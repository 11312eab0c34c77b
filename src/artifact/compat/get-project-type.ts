import { existsSync } from 'node:fs';

/** `core/utils/getProjectType`: `ts` when the project has a tsconfig.json. */
export default function getProjectType(): 'ts' | 'js' {
  return existsSync('tsconfig.json') ? 'ts' : 'js';
}
