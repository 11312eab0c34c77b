/**
 * Which of our own modules a project's import means. What belongs to building (`core/deploy`, `core/dev`, the
 * utilities that connectors use) is listed here; everything else is the router's own table.
 * Source: spec page routing, section 1.
 */
import { dirname, extname, join } from 'node:path';
import { type ModuleTable, resolvePlatformModule } from '../router/modules.ts';

/** Everything that could be ours; what is in no table is left to the project's packages. */
export const PLATFORM_SPECIFIER = /^(?:selvedge|@layer0\/[\w-]+|@edgio\/[\w-]+)(?:\/|$)/;

const EXTENSION = extname(import.meta.filename);
const file = (name: string): string => join(import.meta.dirname, 'compat', `${name}${EXTENSION}`);
/** Browser code: a room of its own, known here by its place only. */
const prefetch = (name: string): string => join(dirname(import.meta.dirname), 'prefetch', `${name}${EXTENSION}`);

const BUILD_MODULES: ModuleTable = {
  'core/deploy': file('deploy'),
  'core/deploy/DeploymentBuilder': file('deployment-builder'),
  'core/deploy/paths': file('paths'),
  'core/deploy/bundle-esbuild': file('bundle-esbuild'),
  'core/dev': file('dev'),
  'core/dev/createDevServer': file('dev'),
  'core/router/addPreloadHeaders': file('add-preload-headers'),
  'core/utils': file('utils'),
  'core/utils/nonWebpackRequire': file('non-webpack-require'),
  'core/utils/esImport': file('es-import'),
  'core/utils/logo': file('logo'),
  'core/utils/fs': file('fs'),
  'core/utils/packageUtils': file('package-utils'),
  'core/utils/getProjectType': file('get-project-type'),
  'prefetch/sw': prefetch('sw/index'),
  'prefetch/sw/Prefetcher': prefetch('sw/prefetcher'),
  'prefetch/sw/DeepFetchPlugin': prefetch('sw/deep-fetch'),
  'prefetch/window': prefetch('window/prefetch'),
  'prefetch/window/install': prefetch('window/install'),
  'prefetch/window/prefetch': prefetch('window/prefetch'),
};

/** Absolute path of the module, or undefined when the specifier is not ours. */
export const resolveModule = (specifier: string): string | undefined => resolvePlatformModule(specifier, BUILD_MODULES);
