import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import vm from 'node:vm';
import { handlersStatement } from './authoring/handlers.ts';
import { Router } from './authoring/index.ts';
import type { RouteHandler } from './authoring/types.ts';
import { type GuestResponse, ROUTER_PROTOCOL } from './protocol.ts';

const SLOT = Symbol.for('selvedge.handlers.v1');
afterEach(() => {
  delete (globalThis as { [SLOT]?: unknown })[SLOT];
});

const saying =
  (text: string): RouteHandler =>
  ({ compute }) =>
    compute((_, response) => {
      response.body = text;
    });

/** As a framework plugin declares it: its reload channel exists only where no worker runs. */
function routes(isWorker: boolean): Router {
  const router = new Router();
  if (!isWorker) router.match('/reload', saying('reload'));
  return router
    .get(/^\/a/ as unknown as string, saying('first'))
    .get(/^\/a/ as unknown as string, saying('second'))
    .catch(500, ({ send }) => send(() => 'caught'))
    .fallback(saying('rest'));
}

async function bodyOf(router: Router, routeId: string): Promise<string> {
  const answer = await router[ROUTER_PROTOCOL].run({
    routeId,
    params: {},
    host: {} as never,
    mark: () => undefined,
    request: { method: 'GET', url: '/', protocol: 'https', headers: [], body: Buffer.alloc(0) },
  });
  return (answer as GuestResponse).body.toString();
}

describe('a worker that declares other routes than the build did', () => {
  test('still runs the handler that was meant, by what it is for', async () => {
    const built = await routes(false)[ROUTER_PROTOCOL].record({ projectDir: '/', backends: {} });
    vm.runInThisContext(handlersStatement(built.handlers!));
    const worker = routes(true);
    assert.deepEqual(await Promise.all(['2', '3', '5'].map((id) => bodyOf(worker, id))), ['first', 'second', 'rest']);
    await assert.rejects(bodyOf(worker, '1'), /has no handler for route 1/);
  });

  test('goes by the order when nothing is missing, whatever the patterns are', async () => {
    const declare = (random: string) => new Router().get(`/${random}`, saying('page'));
    const built = await declare('x7')[ROUTER_PROTOCOL].record({ projectDir: '/', backends: {} });
    vm.runInThisContext(handlersStatement(built.handlers!));
    assert.equal(await bodyOf(declare('q2'), '1'), 'page');
  });
});
