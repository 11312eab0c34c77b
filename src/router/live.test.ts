import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { deriveSurrogateKeysFromJson, PluginBase, Request, Response, Router } from './authoring/index.ts';
import { Timing } from './authoring/timing.ts';
import { transformMethod } from './authoring/transform.ts';
import { injectBrowserScript } from './compat/starter.ts';
import {
  type GuestRequest,
  type GuestResponse,
  type GuestStream,
  ROUTER_PROTOCOL,
  type RunOptions,
} from './protocol.ts';

/** A host that answers every `proxy` with what the test says, and notes what was asked. */
class Host {
  readonly asked: { to: string; request: GuestRequest }[] = [];
  answer: GuestResponse = message(200, 'upstream', ['content-type', 'text/plain']);
  readonly assets = new Map<string, GuestResponse>();
  proxy = async (to: string, request: GuestRequest) => {
    this.asked.push({ to, request });
    return this.answer;
  };
  app = (request: GuestRequest) => this.proxy('app', request);
  asset = async (path: string) => this.assets.get(path) ?? null;
}

function message(status: number, body: string | Buffer, headers: string[] = []): GuestResponse {
  return { status, reason: '', headers, body: Buffer.from(body) };
}

type Ask = Partial<Omit<RunOptions, 'request'>> & { request?: Partial<GuestRequest> };

async function run(router: Router, { request, ...more }: Ask = {}): Promise<GuestResponse | GuestStream> {
  return router[ROUTER_PROTOCOL].run({
    routeId: '1',
    params: {},
    host: new Host(),
    mark: () => undefined,
    ...more,
    request: {
      method: 'GET',
      url: '/',
      protocol: 'https',
      headers: ['Host', 'h.example'],
      body: Buffer.alloc(0),
      ...request,
    },
  });
}

const whole = async (router: Router, ask?: Ask) => (await run(router, ask)) as GuestResponse;
const text = async (router: Router, ask?: Ask) => (await whole(router, ask)).body.toString();
const field = (response: GuestResponse | GuestStream, name: string) =>
  response.headers.find((_, at) => at % 2 === 1 && response.headers[at - 1]!.toLowerCase() === name);

describe('compute', () => {
  test('sends what was set when the callback has settled', async () => {
    const router = new Router().get('/hello/:name', ({ compute }) =>
      compute(async (req, res) => {
        await null;
        res.setHeader('content-type', 'application/json');
        res.statusCode = 201;
        res.statusMessage = 'Made';
        res.body = JSON.stringify([
          req.params.name,
          req.method,
          req.path,
          req.query,
          req.getHeader('HOST'),
          req.secure,
        ]);
      }),
    );
    const response = await whole(router, { params: { name: 'ann' }, request: { url: '/hello/ann?a=1&b=2&b=3' } });
    assert.equal(response.status, 201);
    assert.equal(response.reason, 'Made');
    assert.equal(field(response, 'content-length'), String(response.body.length));
    assert.deepEqual(JSON.parse(response.body.toString()), [
      'ann',
      'GET',
      '/hello/ann',
      { a: '1', b: ['2', '3'] },
      'h.example',
      true,
    ]);
  });

  test('an empty callback is 200 without a body', async () => {
    const response = await whole(new Router().get('/', ({ compute }) => compute(() => undefined)));
    assert.deepEqual([response.status, response.body.length], [200, 0]);
  });

  test('writes the way Node does', async () => {
    const router = new Router().get('/', ({ compute }) =>
      compute((_, res) => {
        res.writeHead(418, 'Teapot', { 'x-a': ['1', '2'] });
        res.write('short ');
        res.end('and stout');
      }),
    );
    const response = await whole(router);
    assert.deepEqual([response.status, response.reason, response.body.toString()], [418, 'Teapot', 'short and stout']);
    assert.deepEqual(response.headers.slice(0, 4), ['x-a', '1', 'x-a', '2']);
  });

  test('sees the body as bytes and as text', async () => {
    const body = gzipSync('packed');
    const router = new Router().post('/', ({ compute }) =>
      compute((req, res) => {
        res.body = `${gunzipSync(req.rawBody!).toString()} ${typeof req.body}`;
      }),
    );
    assert.equal(await text(router, { request: { method: 'POST', body } }), 'packed string');
  });

  test('members taken outside act inside, at once; outside they are the work of the edge', async () => {
    const host = new Host();
    const router = new Router().match(
      '/occ/:path*',
      ({ cache, proxy, removeRequestHeader, setResponseHeader, compute }) => {
        setResponseHeader('x-outside', '1');
        compute(async () => {
          removeRequestHeader('origin');
          setResponseHeader('x-inside', '${path}');
          await proxy('commerce');
          setResponseHeader('x-after', '1');
        });
        cache({ edge: { maxAgeSeconds: 1 } });
      },
    );
    host.answer = message(203, 'shop', ['x-inside', 'upstream']);
    const response = await whole(router, { host, request: { url: '/occ/x', headers: ['Origin', 'o', 'Accept', 'a'] } });
    assert.equal(host.asked[0]!.to, 'commerce');
    assert.deepEqual(host.asked[0]!.request.headers, ['accept', 'a']);
    assert.deepEqual([response.status, response.body.toString()], [203, 'shop']);
    assert.deepEqual(response.headers, ['x-inside', '/occ/x', 'x-after', '1']);
  });

  test('a sender that nobody awaits is still waited for', async () => {
    const router = new Router().get('/', ({ compute, proxy }) => compute(() => void proxy('a')));
    assert.equal(await text(router), 'upstream');
  });

  test('send after some work replaces the body', async () => {
    const router = new Router().get('/', ({ compute, send, setResponseHeader }) => {
      compute(async () => {
        setResponseHeader('content-type', 'application/json');
        send('[]', 202);
      });
    });
    const response = await whole(router);
    assert.deepEqual([response.status, field(response, 'content-type')], [202, 'application/json']);
  });

  test('what project code throws is thrown', async () => {
    const router = new Router().get('/', ({ compute }) =>
      compute(() => {
        throw new RangeError('mine');
      }),
    );
    await assert.rejects(run(router), { name: 'RangeError', message: 'mine' });
  });

  test('an error route keeps the failed status unless it sets another', async () => {
    const router = new Router().catch(/5../, ({ compute }) =>
      compute((_, res) => {
        res.body = 'sorry';
      }),
    );
    assert.equal((await whole(router, { status: 503 })).status, 503);
  });
});

describe('the Fetch standard', () => {
  test('a handler gets a web Request and its Response streams', async () => {
    const router = new Router().post('/', ({ compute }) =>
      compute.fetch(async (request) => {
        const headers = new Headers([
          ['set-cookie', 'a=1'],
          ['set-cookie', 'b=2'],
        ]);
        return new globalThis.Response(`${request.method} ${request.url} ${await request.text()}`, {
          status: 201,
          headers,
        });
      }),
    );
    const response = (await run(router, {
      request: { method: 'POST', url: '/x?y', body: Buffer.from('in') },
    })) as GuestStream;
    assert.equal(response.status, 201);
    assert.deepEqual(response.headers.filter((_, at) => at % 2 === 1).slice(-2), ['a=1', 'b=2']);
    assert.equal(
      await new globalThis.Response(response.stream as ReadableStream).text(),
      'POST https://h.example/x?y in',
    );
  });

  test('compute sends a Response that its callback returns', async () => {
    const router = new Router().get('/', ({ compute }) => compute(() => new globalThis.Response('web')));
    const response = (await run(router)) as GuestStream;
    assert.equal(await new globalThis.Response(response.stream as ReadableStream).text(), 'web');
  });

  test('anything else than a Response is an error of the project', async () => {
    const router = new Router().get('/', ({ compute }) => compute.fetch(() => 'text' as never));
    await assert.rejects(run(router), /must return a Response/);
  });
});

describe('proxy with functions', () => {
  test('path, headers and transforms are applied in order, with their times', async () => {
    const host = new Host();
    const marks: string[] = [];
    const router = new Router().get('/:id', ({ proxy }) =>
      proxy('api', {
        path: (request) => `/items/${request.params.id}`,
        headers: { 'x-path': '${req:param:id}' },
        removeEmptySearchParamValues: true,
        transformRequest: (request) => {
          request.method = 'PUT';
          request.body = 'changed';
        },
        transformResponse: (response, request) => {
          response.body = `${response.body}, ${request.method}`;
        },
      }),
    );
    const response = await whole(router, {
      host,
      params: { id: '7' },
      request: { url: '/7?a=&b=1' },
      mark: (metric) => marks.push(metric),
    });
    const { request } = host.asked[0]!;
    assert.deepEqual([request.method, request.url, request.body.toString()], ['PUT', '/items/7?b=1', 'changed']);
    assert.deepEqual(request.headers, ['host', 'h.example', 'x-path', '7', 'content-length', '7']);
    assert.equal(response.body.toString(), 'upstream, PUT');
    assert.deepEqual(marks, ['wr', 'wa', 'wp', 'wz']);
  });

  test('a transform sees the decoded body; a new body drops the encoding and redoes the length', async () => {
    const host = new Host();
    host.answer = message(200, gzipSync('<head></head>'), [
      'content-type',
      'text/html',
      'content-encoding',
      'gzip',
      'content-length',
      '99',
    ]);
    const response = await whole(
      new Router().get('/', ({ proxy }) => proxy('api', { transformResponse: injectBrowserScript })),
      { host },
    );
    assert.equal(response.body.toString(), '<head><script src="/main.js" defer></script></head>');
    assert.equal(field(response, 'content-encoding'), undefined);
    assert.equal(field(response, 'content-length'), String(response.body.length));
  });

  test('a body that is only read goes on as it came', async () => {
    const host = new Host();
    const packed = gzipSync('{"keys":["a","b"]}');
    host.answer = message(200, packed, ['content-encoding', 'gzip', 'x-brand-surrogate-key', 'old']);
    const transformResponse = deriveSurrogateKeysFromJson((json) => (json as { keys: string[] }).keys);
    const router = new Router().get('/', ({ proxy }) => proxy('api', { transformResponse }));
    const response = await whole(router, { host, headerPrefix: 'x-brand' });
    assert.deepEqual(response.body, packed);
    assert.equal(field(response, 'content-encoding'), 'gzip');
    assert.equal(field(response, 'x-brand-surrogate-key'), 'old a b');
  });

  test('a prefetched GET becomes the request that it stands for', async () => {
    const host = new Host();
    const router = new Router().get('/', ({ proxy }) => proxy('api', { transformRequest: transformMethod('post') }));
    await run(router, { host, request: { url: '/s?a=1&pref_brand_body=%7B%7D&pref_brand_method=POST' } });
    const { request } = host.asked[0]!;
    assert.deepEqual([request.method, request.url, request.body.toString()], ['POST', '/s?a=1', '{}']);
  });
});

describe('other senders', () => {
  test('a function given to send makes the body', async () => {
    const router = new Router().get('/', ({ send }) => send((req) => `you asked ${req.path}`, 202));
    const response = await whole(router, { request: { url: '/x' } });
    assert.deepEqual([response.status, response.body.toString()], [202, 'you asked /x']);
  });

  test('a redirect rewrites the query', async () => {
    const router = new Router().get('/old/:p', ({ redirect }) =>
      redirect('/new/:p', { statusCode: 301, query: ({ a, ...rest }) => ({ ...rest, b: a }) }),
    );
    const response = await whole(router, { params: { p: 'x' }, request: { url: '/old/x?a=1&c=2' } });
    assert.deepEqual([response.status, field(response, 'location')], [301, '/new/x?c=2&b=1']);
  });

  test('a missing file is made by onNotFound, a present one is sent', async () => {
    const host = new Host();
    const router = new Router().get('/:slug', ({ serveStatic, renderWithApp }) =>
      serveStatic('dist/:slug.html', { onNotFound: () => renderWithApp() }),
    );
    assert.equal(await text(router, { host, params: { slug: 'a' } }), 'upstream');
    host.assets.set('dist/a.html', message(200, 'file'));
    assert.equal(await text(router, { host, params: { slug: 'a' } }), 'file');
  });

  test('the handler of a file is found again where the files are not', async () => {
    const router = new Router().dir('nowhere', {
      handler:
        (file) =>
        ({ compute }) =>
          compute((req, res) => {
            res.body = `${file} ${JSON.stringify(req.params)}`;
          }),
    });
    assert.equal(await text(router, { routeId: '1.7', params: { $file: 'a.js', x: '1' } }), 'a.js {"x":"1"}');
  });

  test('a route that the file no longer declares is a clear error', async () => {
    await assert.rejects(run(new Router(), { routeId: '9' }), /declares other routes/);
  });
});

test('plugins see every request before its handler', async () => {
  class Mark extends PluginBase {
    override onRequest(request: { setHeader(name: string, value: string): void }) {
      request.setHeader('x-plugin', '1');
    }
  }
  const host = new Host();
  const router = new Router()
    .use(new Mark())
    .get('/', ({ proxy }) => proxy('a', { transformRequest: () => undefined }));
  await run(router, { host });
  assert.ok(host.asked[0]!.request.headers.includes('x-plugin'));
});

test('timings of the project are told in Server-Timing, or to whoever wants them', async () => {
  const router = new Router().get('/', ({ compute }) => compute(() => void new Timing('my db').set(12.34)));
  assert.equal(field(await run(router), 'server-timing'), 'my_db;dur=12.3');
  const told: [string, number][] = [];
  const response = await run(router, { userTiming: (...timing) => told.push(timing) });
  assert.deepEqual([told, field(response, 'server-timing')], [[['my_db', 12.34]], undefined]);
});

describe('outside the platform', () => {
  test('a router answers a request by itself', async () => {
    const router = new Router()
      .get('/hello/:name', ({ compute }) =>
        compute((req, res) => {
          res.body = `hello ${req.params.name}`;
        }),
      )
      .get('/web', ({ compute }) => compute.fetch(() => new globalThis.Response('web', { status: 201 })));
    const answer = async (url: string) => {
      const response = new Response();
      await router.run(new Request({ url }), response);
      return [response.statusCode, response.body];
    };
    assert.deepEqual(await answer('/hello/ann'), [200, 'hello ann']);
    assert.deepEqual(await answer('/web'), [201, 'web']);
    assert.deepEqual(await answer('/none'), [404, undefined]);
  });
});
