/** An origin with a script for each path, which counts what it was asked; and a project that proxies to such origins. */
import type { RequestListener } from 'node:http';
import { type HttpOrigin, httpOrigin } from './origin.ts';

export interface PathOrigin extends HttpOrigin {
  /** What requests of the path (query aside) are answered with from now on. Returns the path. */
  on(path: string, listener: RequestListener): string;
  /** How many requests the path has had. */
  count(path: string): number;
  /** As a project declares it. */
  readonly backend: { readonly domainOrIp: string; readonly port: number; readonly scheme: 'http' };
}

/** Paths without a script are answered with what was asked, as JSON. */
export async function pathOrigin(scripts: Readonly<Record<string, RequestListener>> = {}): Promise<PathOrigin> {
  const known = new Map(Object.entries(scripts));
  const counts = new Map<string, number>();
  const origin = await httpOrigin((request, response) => {
    const path = request.url!.split('?', 1)[0]!;
    counts.set(path, (counts.get(path) ?? 0) + 1);
    (known.get(path) ?? echo)(request, response);
  });
  return {
    ...origin,
    get connections() {
      return origin.connections;
    },
    on(path, listener) {
      known.set(path, listener);
      return path;
    },
    count: (path) => counts.get(path) ?? 0,
    backend: { domainOrIp: '127.0.0.1', port: origin.port, scheme: 'http' },
  };
}

const echo: RequestListener = (request, response) => {
  const { method, url, headers, rawHeaders } = request;
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ method, url, headers, rawHeaders, body: Buffer.concat(chunks).toString() }));
  });
};

/** Files of a project. `routes` is what stands behind `new Router()`; `before` what stands in front of it. */
export function projectFiles(
  backends: Readonly<Record<string, object>>,
  routes: string,
  { before = '', files = {} }: { readonly before?: string; readonly files?: Readonly<Record<string, string>> } = {},
): Record<string, string> {
  return {
    'selvedge.config.js': `export default { name: 'project', backends: ${JSON.stringify(backends)} };`,
    'routes.js': `import { CustomCacheKey, Router } from 'selvedge/router';\n${before}\nexport default new Router()${routes};\n`,
    ...files,
  };
}
