// The whole edge of the shop. A request walks down this list: every route that matches adds what it says,
// and the first one that sends an answer ends the walk.
import { type CacheOptions, CustomCacheKey, Router } from 'selvedge/router';
import { page } from './pages/layout.ts';
import { home, nothingHere, product } from './pages/pages.ts';

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const YEAR = 365 * 24 * HOUR;

// Euro and dollar pages are stored apart. Any other cookie value means euro: nobody can fill the cache with nonsense.
const byCurrency = new CustomCacheKey().addCookie('currency', (groups) =>
  groups.group('usd').byPattern('^usd$').group('eur').byPattern('.*'),
);

// At the edge for a minute. For an hour after that, visitors get the stored page at once while it is made anew.
// `serviceWorkerSeconds` lets browsers prefetch links to these pages, at no cost to the servers behind the edge.
const PAGES: CacheOptions = {
  edge: { maxAgeSeconds: MINUTE, staleWhileRevalidateSeconds: HOUR },
  browser: { maxAgeSeconds: 0, serviceWorkerSeconds: 2 * MINUTE },
  key: byCurrency,
};

export default new Router()
  // On every answer, from wherever it comes.
  .match('/:path*', ({ setResponseHeader }) => {
    setResponseHeader('x-content-type-options', 'nosniff');
    setResponseHeader('referrer-policy', 'strict-origin-when-cross-origin');
  })

  // Pages, rendered by code in a worker. See pages/: they call the API with `fetch`.
  .get('/', ({ cache, compute }) => {
    cache(PAGES);
    compute(page(home));
  })
  .get('/cloth/:id', ({ cache, compute }) => {
    cache(PAGES);
    compute(page(product));
  })

  // Addresses of the old shop.
  .get('/products/:id.html', ({ redirect }) => {
    redirect('/cloth/:id', 301);
  })

  // Choosing a currency is a cookie and a redirect. No code runs for it, the edge answers.
  .get('/currency/:code(eur|usd)', ({ addResponseCookie, cache, redirect }) => {
    cache({ edge: false, browser: false });
    // `${…}` is not JavaScript's: the edge fills it in for each request.
    addResponseCookie('currency', '${req:param:code}', { Path: '/', 'Max-Age': YEAR, SameSite: 'Lax' });
    redirect('/');
  })

  // The API for browsers, straight from the origin. Server-sent events are passed on as they come ...
  .get('/api/ticker', ({ cache, proxy }) => {
    cache({ edge: false, browser: false });
    proxy('api', { path: '/ticker' });
  })
  // ... and the rest is cached: a thousand visitors in ten seconds are one request at the origin.
  .get('/api/:path*', ({ cache, proxy, removeUpstreamResponseHeader, updateResponseHeader }) => {
    cache({ edge: { maxAgeSeconds: 10, staleWhileRevalidateSeconds: 10 * MINUTE }, browser: { maxAgeSeconds: 0 } });
    removeUpstreamResponseHeader('x-powered-by');
    // The origin links to itself by its own name. Visitors know it as /api.
    updateResponseHeader('link', /https:\/\/api\.warp-and-weft\.example/g, '/api');
    proxy('api', { path: '/:path*' });
  })

  // Files. Those of assets/ are made by the build (selvedge.config.ts), under names that change with their content:
  // `permanent` keeps them for ever, also for visitors who still have yesterday's page open.
  .get('/assets/:path*', ({ cache, serveStatic }) => {
    cache({ edge: { maxAgeSeconds: YEAR }, browser: { maxAgeSeconds: YEAR } });
    serveStatic('assets/:path*', { permanent: true });
  })
  .get('/images/:file', ({ cache, serveStatic }) => {
    cache({ edge: { maxAgeSeconds: HOUR }, browser: { maxAgeSeconds: HOUR, serviceWorkerSeconds: HOUR } });
    serveStatic('images/:file');
  })
  .get('/service-worker.js', ({ serviceWorker }) => {
    serviceWorker('sw/service-worker.ts');
  })

  // Nothing above has sent an answer.
  .fallback(({ compute }) => {
    compute(page(nothingHere));
  })

  // Something failed: the API, a page, or the platform itself. Visitors get this page, the status stays what it was,
  // and `selvedge logs --request <request id>` tells whose fault it is.
  .catch(/^5\d\d$/, ({ serveStatic }) => {
    serveStatic('public/sorry.html');
  });
