/** `core/utils/fs`. */
export { existsSync, readFileSync, writeFileSync } from 'node:fs';
