/** What no upstream has a part in: routes and files (404), credentials (401, 403), caches asked for nothing else (412, 504). */
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { LabCase } from '../case.ts';
import { RawClient } from '../peers/raw-client.ts';
import { read } from '../seen.ts';

const KEPT = `({ cache, proxy }) => { cache({ edge: { maxAgeSeconds: 60 } }); proxy('BACKEND'); }`;
/** A route that asks for credentials. */
const guarded = (path: string): Pick<LabCase, 'chain' | 'route'> => ({
  chain: `.requireBasicAuth({ route: '${path}', username: 'u', password: 'p' })`,
  route: `({ send }) => send('in')`,
});

export const ROUTES: readonly LabCase[] = [
  { cause: 'route.none', variant: 'no-route', how: 'no route matches the path', hop: 'edge' },
  {
    cause: 'route.asset-missing',
    variant: 'no-file',
    how: 'the route serves a folder, in which the file is not',
    hop: 'global',
    route: `({ serveStatic }) => serveStatic('public/:rest*')`,
    provoke: (scene) => scene.ask({ path: `${scene.path}/none.txt` }),
  },
  {
    cause: 'request.unauthorized',
    variant: 'no-credentials',
    how: 'the route wants credentials and the client has none',
    hop: 'edge',
    ...guarded('/401/no-credentials'),
  },
  {
    cause: 'request.denied',
    variant: 'wrong-credentials',
    how: 'the route wants other credentials than the client has',
    hop: 'edge',
    details: 'basic-auth',
    ...guarded('/403/wrong-credentials'),
    headers: { authorization: `Basic ${Buffer.from('u:wrong').toString('base64')}` },
  },
  {
    cause: 'cache.prefetch-miss',
    variant: 'prefetch',
    how: 'the client prefetches what no cache has',
    hop: 'edge',
    backend: (kit) => kit.http((_request, response) => response.end('never asked')),
    route: KEPT,
    provoke: (scene) => scene.ask({ path: `${scene.path}?selvedge_prefetch=1` }),
  },
  {
    cause: 'cache.only-if-cached',
    variant: 'only-if-cached',
    how: 'the client wants a stored answer or none, and there is none',
    hop: 'edge',
    backend: (kit) => kit.http((_request, response) => response.end('never asked')),
    route: KEPT,
    headers: { 'cache-control': 'only-if-cached' },
  },
];

/** A file of the project, which the case takes out of the store. */
const GONE = 'gone from the store\n';

/** 545 and 530: a part of the platform that is not ready, or that has no answer to what happened to it. */
export const READINESS: readonly LabCase[] = [
  {
    cause: 'platform.no-configuration',
    variant: 'no-configuration',
    how: 'a POP starts on an empty disk while nobody can reach its control plane',
    hop: 'edge',
    world: 'cold',
  },
  {
    cause: 'platform.internal',
    variant: 'lost-file',
    how: 'somebody removes a file of a deployment from the data directory',
    hop: 'global',
    files: { 'public/gone.txt': GONE },
    route: `({ serveStatic }) => serveStatic('public/gone.txt')`,
    async provoke(scene) {
      const sha256 = createHash('sha256').update(GONE).digest('hex');
      await rm(join(scene.world.process.data, 'blobs', sha256.slice(0, 2), sha256.slice(2)), { force: true });
      return scene.ask();
    },
  },
  {
    cause: 'platform.draining',
    variant: 'draining',
    how: 'the platform is told to stop while a request is being read',
    hop: 'edge',
    world: 'tight',
    alone: true,
    ends: true,
    async provoke(scene) {
      const client = await RawClient.connect(scene.port);
      // Not idle, so that draining leaves the connection open.
      client.write(`GET / HTTP/1.1\r\nhost: ${scene.host}\r\naccept: application/problem+json\r\n`);
      // Whoever has answered a later connection has read what came before it.
      await scene.beside({ path: '/' });
      await scene.beside({ path: '/' });
      scene.world.process.drain();
      await untilRefused(scene.port);
      client.write(`x-request-id: ${scene.requestId}\r\n\r\n`);
      return read(client).finally(() => client.destroy());
    },
  },
];

async function untilRefused(port: number): Promise<void> {
  for (;;) {
    const client = await RawClient.connect(port).catch(() => null);
    if (client === null) return;
    client.destroy();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
