import { Router } from 'selvedge/router';

export default new Router()
  .get('/hit', ({ cache, proxy }) => {
    cache({ edge: { maxAgeSeconds: 3600 } });
    proxy('origin');
  })
  .get('/miss', ({ cache, proxy }) => {
    cache({ edge: false });
    proxy('origin');
  })
  .get('/compute', ({ cache, compute }) => {
    cache({ edge: false });
    compute((_request, response) => {
      response.setHeader('content-type', 'text/plain');
      response.body = 'Hello, world!';
    });
  });
