/** Routes that look at everything that routes can look at, for tests of whoever answers in their place. */
import { CustomCacheKey, Router } from '../../src/router/authoring/index.ts';

const stored = { edge: { maxAgeSeconds: 3600 } };

export const shopRouter = (): Router =>
  new Router()
    .match('/embedded/:path*', ({ setResponseHeader, addResponseCookie }) => {
      setResponseHeader('x-asked', '${method} ${url} ${query:q} ${req:x-color} ${req:cookie:taste} ${req:host}');
      setResponseHeader('x-made', '${res:content-type}');
      addResponseCookie('seen', '${req:param:path}', { path: '/' });
    })
    .match({ path: '/choice/:path*', headers: { 'x-color': /^(red|blue)$/ } }, ({ setResponseHeader }) =>
      setResponseHeader('x-choice', 'by header'),
    )
    .match({ path: '/choice/:path*', cookies: { taste: /sweet/ } }, ({ setResponseHeader }) =>
      setResponseHeader('x-taste', 'by cookie'),
    )
    .match({ path: '/choice/:path*', query: { kind: 'new' } }, ({ setResponseHeader }) =>
      setResponseHeader('x-kind', 'by query'),
    )
    .match({ path: '/hidden', headers: { 'x-color': 'red' } }, ({ send }) => send('only for red', 404))
    .match('/cors', ({ allowCors }) => allowCors({ origin: ['https://a.example', 'https://b.example'] }))
    .match('/date', ({ removeResponseHeader }) => removeResponseHeader('date'))
    .match('/uncached', ({ cache, proxy }) => {
      cache({ edge: false });
      proxy('origin');
    })
    .match('/old/:path*', ({ redirect }) => redirect('/new/:path*', 301))
    .match('/fixed', ({ send }) => send('fixed'))
    .match('/keyed', ({ cache, proxy }) => {
      const key = new CustomCacheKey()
        .excludeAllQueryParametersExcept('page')
        .addDevice()
        .addHeader('x-color')
        .addCookie('taste', (groups) => groups.group('good').byPattern('sweet|sour').group('bad').byPattern('.*'));
      cache({ ...stored, key });
      cache({ browser: { maxAgeSeconds: 5, serviceWorkerSeconds: 10 } });
      proxy('origin');
    })
    .fallback(({ cache, proxy }) => {
      cache(stored);
      proxy('origin');
    })
    .catch(404, ({ setResponseHeader }) => setResponseHeader('x-caught', 'yes'));
