/** What later generations of the interface had and this one does not, and what to write instead. Never ignored. */

const MEMBERS: Readonly<Record<string, string>> = {
  addFeatures: 'call the members of the response writer: cache, proxy, setResponseHeader …',
  setComment: 'write a comment in the code',
  setOrigin: "proxy('backend')",
  rewritePath: "updatePath('/new/path'), or proxy with the option path",
  optimizeImages: 'proxy to an image service',
  setResponseCode: "send('body', code), or statusCode inside compute",
  setResponseBody: "send('body'), or body inside compute",
  setSecurityHeaders: "setResponseHeader('strict-transport-security', …) and the others one by one",
  addResponseHeader: "setResponseHeader('name', 'value')",
  setDone: 'senders end the walk through the routes by themselves',
  debugHeader: 'the status headers are always there',
};

export const memberRemedy = (name: string): string =>
  MEMBERS[name] ?? 'see the list of members in the documentation of ResponseWriter';

const FEATURES: Readonly<Record<string, string>> = {
  edge_function: 'compute((request, response) => …), or compute.fetch for code written with Request and Response',
  'origin.set_origin': "({ proxy }) => proxy('backend')",
  'caching.max_age': 'cache({ edge: { maxAgeSeconds } })',
  'caching.stale_while_revalidate': 'cache({ edge: { staleWhileRevalidateSeconds } })',
  'caching.bypass_client_cache': 'cache({ browser: false })',
  'caching.bypass_cache': 'cache({ edge: false })',
  'caching.client_max_age': 'cache({ browser: { maxAgeSeconds } })',
  'caching.service_worker_max_age': 'cache({ browser: { serviceWorkerSeconds } })',
  'caching.ignore_origin_no_cache': 'cache({ edge: { maxAgeSeconds, forcePrivateCaching: true } })',
  'caching.cache_key': 'cache({ key: new CustomCacheKey() … })',
  'headers.set_response_headers': "setResponseHeader('name', 'value')",
  'headers.add_response_headers': "setResponseHeader('name', 'value')",
  'headers.remove_response_headers': "removeResponseHeader('name')",
  'headers.remove_origin_response_headers': "removeUpstreamResponseHeader('name')",
  'headers.set_request_headers': "setRequestHeader('name', 'value')",
  'headers.debug_header': 'the status headers are always there',
  'url.url_rewrite': "proxy('backend', { path: '/new/:path*' })",
  'url.url_redirect': "redirect('/new/:path*', 301)",
  'url.follow_redirects': 'proxy with transformResponse, or fetch inside compute',
  'response.set_status_code': "send('body', code)",
  'response.set_response_body': "send('body')",
  'response.set_done': 'senders end the walk through the routes by themselves',
  'response.optimize_images': 'proxy to an image service',
  'response.allow_prefetching_uncached_content': 'leave it out',
  'access.deny_access': "send('', 403)",
  comment: 'write a comment in the code',
};

/** One sentence for each feature of a handler object. */
export function featureProblems(features: object): { message: string; remedy: string }[] {
  return Object.entries(features).flatMap(([area, value]) => {
    const names =
      typeof value === 'object' && value !== null && FEATURES[area] === undefined
        ? Object.keys(value).map((name) => `${area}.${name}`)
        : [area];
    return names.map((name) => ({
      message: `the feature '${name}' is not supported: routes take a handler function, not a feature object`,
      remedy:
        FEATURES[name] ?? FEATURES[name.split('.').slice(0, 2).join('.')] ?? 'call the members of the response writer',
    }));
  });
}

export const ROUTER_REMEDIES: Readonly<Record<string, string>> = {
  always: "match('/:path*', …)",
  conditional: 'match with a criteria object',
  if: 'match with a criteria object; the first matching route that sends ends the walk',
  elseif: 'match with a criteria object, after the route it is an alternative to',
  else: 'match or fallback, after the routes it is an alternative to',
  forceHttps: 'leave it out: plain HTTP is redirected to HTTPS where a TLS listener exists',
};
