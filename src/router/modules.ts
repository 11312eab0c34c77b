/**
 * Which file of the platform answers an import of a project. The native names and the two scopes that projects were
 * written for lead to the same modules. Source: spec "Routing", section 1.
 */
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** By the path below a scope's `core`; the empty one is the package itself. */
const CORE: Readonly<Record<string, string>> = {
  '': 'authoring/index',
  router: 'authoring/index',
  'router/Router': 'compat/Router',
  'router/RouteGroup': 'compat/RouteGroup',
  'router/RouteGroupList': 'compat/RouteGroupList',
  'router/ResponseWriter': 'compat/ResponseWriter',
  'router/Request': 'compat/Request',
  'router/Response': 'compat/Response',
  'router/CacheOptions': 'compat/CacheOptions',
  'router/CustomCacheKey': 'compat/CustomCacheKey',
  'router/Preload': 'compat/Preload',
  'router/deriveSurrogateKeysFromJson': 'compat/deriveSurrogateKeysFromJson',
  environment: 'authoring/environment',
  constants: 'authoring/constants',
  config: 'compat/config',
  timing: 'compat/timing',
  transform: 'compat/transform',
  types: 'compat/types',
  errors: 'authoring/errors',
  'errors/FrameworkBuildError': 'compat/FrameworkBuildError',
  'errors/PathMatcherError': 'compat/PathMatcherError',
  plugins: 'authoring/plugin',
  'plugins/PluginBase': 'compat/PluginBase',
  utils: 'compat/utils',
  'utils/watch': 'compat/watch',
  'utils/responseBodyToString': 'compat/responseBodyToString',
  'utils/bindParamsToPath': 'compat/bindParamsToPath',
};

const PACKAGES: Readonly<Record<string, string>> = { starter: 'compat/starter' };

/** Canonical name (`core/deploy`, `connectors`) → absolute path: modules of other rooms. */
export type ModuleTable = Readonly<Record<string, string>>;

/**
 * Canonical name of a specifier: `core` and its sub-paths for the router side, `<package>[/<path>]` for the other
 * packages of a scope. Undefined when the specifier is none of the platform's.
 */
export function platformModuleName(specifier: string): string | undefined {
  const name = /^@(?:layer0|edgio)\/(.+)$/.exec(specifier)?.[1];
  const plain = (name ?? /^selvedge(?:\/(.+))?$/.exec(specifier)?.[0])?.replace(/(?:\/index)?(?:\.js)?$/, '');
  if (plain === undefined || name !== undefined) return plain;
  const path = plain.replace(/^selvedge\/?/, '');
  return path in CORE ? ['core', path].filter(Boolean).join('/') : path;
}

/**
 * Absolute path of the file that an import specifier stands for: `selvedge…`, `@layer0/…`, `@edgio/…`. `more` adds
 * modules by canonical name, or for `selvedge/x` by `x`. Undefined when nobody provides it.
 */
export function resolvePlatformModule(specifier: string, more: ModuleTable = {}): string | undefined {
  const name = platformModuleName(specifier);
  if (name === undefined) return undefined;
  const given = more[name] ?? (specifier.startsWith('selvedge/') ? more[`core/${name}`] : undefined);
  if (given !== undefined) return given;
  const own = /^core(?:\/|$)/.test(name) ? CORE[name.slice('core/'.length)] : PACKAGES[name];
  return own && fileURLToPath(new URL(`./${own}${extname(import.meta.filename)}`, import.meta.url));
}
