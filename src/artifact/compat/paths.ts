/** `core/deploy/paths`: names of the build folders, under the names of both generations. */
import { join } from 'node:path';
import { currentStage, stageDirectories } from './stage.ts';

const { stageDir } = currentStage();
const directories = stageDirectories(stageDir);

export const LAYER0_DIR = stageDir;
export const EDGIO_DIR = stageDir;
export const JS_DIR = directories.server;
export const LAMBDA_DIR = directories.server;
export const JS_APP_DIR = directories.server;
export const ASSETS_DIR = directories.assets;
export const PERMANENT_ASSETS_DIR = directories.permanentAssets;
export const SOURCES_DIR = directories.sources;
export const TMP_DIR = join(stageDir, 'tmp');
export const ROUTES_FILE_NAME = 'routes.mjs';
