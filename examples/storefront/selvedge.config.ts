// What the project is called, which servers it may call, and which files are code for browsers.
export default {
  name: 'storefront',
  routes: './routes.ts',
  backends: {
    // The shop's API. In this example it is the small server of origin/server.ts, on this machine.
    api: {
      domainOrIp: '127.0.0.1',
      port: Number(process.env.STOREFRONT_ORIGIN_PORT ?? 4173),
      scheme: 'http',
      hostHeader: 'api.warp-and-weft.example',
    },
  },
  // Each gets a name with a hash of its content, so that it can be kept for ever.
  browser: {
    'client/app.ts': 'assets/app.js',
    'client/site.css': 'assets/site.css',
  },
};
