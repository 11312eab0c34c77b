/**
 * What the platform itself serves: under its built-in path (`/__selvedge__/` by default) the cache manifest, from
 * which browser code learns which links are worth prefetching, and the answer to `OPTIONS *`, which asks the server
 * and not a route. Source: spec "Caching", section 10; "Routing", 9; RFC 9110, section 9.3.7.
 */
import { pathToRegexp } from 'path-to-regexp';
import { Fields } from '../http/fields.ts';
import type { HttpResponse } from '../http/message.ts';
import type { Route } from '../router/table.ts';
import type { Exchange } from './exchange.ts';
import type { PopSettings } from './settings.ts';

export function builtInAnswer(exchange: Exchange, settings: PopSettings): HttpResponse | null {
  const { builtInPath, cookiePrefix } = settings.branding;
  const { request, destination } = exchange;
  if (request.path === '*') return { status: 204, fields: Fields.from([['allow', SERVED_METHODS]]), body: null };
  if (!request.path.startsWith(builtInPath)) return null;
  const { flags, main } = destination!.site.manifest.routes;
  if (flags.excludeBuiltInRoutes || request.path !== `${builtInPath}cache-manifest.js`) return null;
  const variable = `__${cookiePrefix.toUpperCase()}_CACHE_MANIFEST__`;
  return script(`self.${variable} = ${JSON.stringify(main.routes.flatMap(manifestEntry))};\n`);
}

const SERVED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';

function manifestEntry(route: Route): object[] {
  const { criteria } = route;
  if (!route.cache || criteria === null || typeof criteria.path !== 'string') return [];
  return [
    {
      criteriaPath: criteria.path,
      route: pathToRegexp(criteria.path).source,
      query: criteria.query,
      cacheOptions: route.cache,
      method: criteria.method && 'is' in criteria.method ? criteria.method.is : undefined,
      returnsResponse: route.action !== undefined,
    },
  ];
}

function script(text: string): HttpResponse {
  const body = Buffer.from(text);
  const fields = Fields.from([
    ['content-type', 'text/javascript; charset=utf-8'],
    ['content-length', String(body.length)],
    ['cache-control', 'max-age=60'],
  ]);
  return { status: 200, fields, body };
}
