/** An origin whose answers depend on nothing but the request, with everything that a cache has to look at. */
import type { RequestListener } from 'node:http';

const DATE = 'Thu, 02 Jan 2025 03:04:05 GMT';
const pattern = (bytes: number): Buffer =>
  Buffer.from('abcdefghijklmnop'.repeat(Math.ceil(bytes / 16)).slice(0, bytes));

/** By the last segment of the path. */
const ANSWERS: Readonly<Record<string, { readonly bytes?: number; readonly status?: number; readonly more?: object }>> =
  {
    small: { bytes: 100 },
    large: { bytes: 40_000 },
    huge: { bytes: 300_000 },
    empty: { bytes: 0 },
    tagged: { bytes: 500, more: { etag: '"v1"', 'last-modified': DATE } },
    weak: { bytes: 500, more: { etag: 'W/"v,1"' } },
    dated: { bytes: 500, more: { 'last-modified': DATE } },
    html: { bytes: 2_000, more: { 'content-type': 'text/html' } },
    varied: { bytes: 50, more: { vary: 'x-color, Accept-Language' } },
    anyone: { bytes: 50, more: { vary: '*' } },
    cookie: { bytes: 50, more: { 'set-cookie': 'a=b' } },
    gone: { bytes: 20, status: 410 },
    missing: { bytes: 20, status: 404 },
    moved: { bytes: 0, status: 301, more: { location: '/elsewhere' } },
    latin: { bytes: 10, more: { 'x-latin': 'caf\xe9' } },
    none: { status: 204 },
  };

export const shopOrigin: RequestListener = (request, response) => {
  const name = request.url!.split('?', 1)[0]!.split('/').at(-1)!;
  const { bytes, status = 200, more = {} } = ANSWERS[name] ?? { bytes: 64 };
  const { vary = '' } = more as { vary?: string };
  const varied = vary.split(', ').map((field) => request.headers[field.toLowerCase()] ?? '-');
  const body =
    bytes === undefined ? undefined : Buffer.concat([Buffer.from(vary === '' ? '' : varied.join()), pattern(bytes)]);
  response.writeHead(status, {
    ...{ date: 'Fri, 03 Jan 2025 00:00:00 GMT', 'content-type': 'text/plain', 'cache-control': 'public' },
    ...(body === undefined ? {} : { 'content-length': body.length }),
    ...more,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
};

export const SHOP_PATHS = Object.keys(ANSWERS);
