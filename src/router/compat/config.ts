export { config, config as default } from '../authoring/config.ts';

import { config } from '../authoring/config.ts';
export const { get, has, all } = config;
