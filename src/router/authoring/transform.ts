import type { Request } from './request.ts';

/**
 * A `transformRequest` that turns a GET made by the service worker back into the request it stands for: the body
 * comes from the query parameter `pref_{cookie}_body`. Source: spec "Caching", sections 2 and 9.
 */
export const transformMethod =
  (method: string) =>
  (request: Request): void => {
    request.method = method.toUpperCase();
    const parameters = new URLSearchParams(request.queryString);
    for (const name of [...parameters.keys()]) {
      const role = /^pref_\w+?_(body|method)$/.exec(name)?.[1];
      if (role === 'body') request.body = parameters.get(name) ?? '';
      if (role) parameters.delete(name);
    }
    const query = parameters.toString();
    request.url = query ? `${request.path}?${query}` : request.path;
  };
