/** The files of a new project, by path. */
export const scaffold = (name: string): Readonly<Record<string, string>> => ({
  'selvedge.config.ts': config(name),
  'routes.ts': ROUTES,
  'public/style.css': STYLE,
  'package.json': packageJson(name),
  '.gitignore': 'node_modules/\n.selvedge/\n',
  'README.md': readme(name),
});

const config = (
  name: string,
): string => `// What the project is called and which servers it calls. Read when it is built.
export default {
  name: '${name}',
  routes: './routes.ts',
  backends: {
    // api: { domainOrIp: 'api.example.com' },
  },
};
`;

const ROUTES = `// Every request takes the first route that matches and sends.
import { Router } from 'selvedge/router';

export default new Router()
  // A file of this project, kept by browsers and by the edge.
  .get('/style.css', ({ serveStatic, cache }) => {
    cache({ browser: { maxAgeSeconds: 60 }, edge: { maxAgeSeconds: 3600 } });
    serveStatic('public/style.css');
  })
  // A page made by code, and then by the cache: reload it and see the time stand still for ten seconds.
  .get('/', ({ cache, compute }) => {
    cache({ edge: { maxAgeSeconds: 10, staleWhileRevalidateSeconds: 60 } });
    compute((_request, response) => {
      response.setHeader('content-type', 'text/html; charset=utf-8');
      response.body = page('Hello from the edge', \`This page was made at \${new Date().toISOString()}.\`);
    });
  })
  // Names in the path are parameters.
  .get('/hello/:name', ({ compute }) => {
    compute((request, response) => {
      response.setHeader('content-type', 'application/json');
      response.body = JSON.stringify({ hello: request.params?.name });
    });
  });

const page = (title: string, text: string) => \`<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width">
  <title>\${title}</title>
  <link rel="stylesheet" href="/style.css">
  <h1>\${title}</h1>
  <p>\${text}</p>
</html>
\`;
`;

const STYLE = `body {
  max-width: 40rem;
  margin: 4rem auto;
  padding: 0 1rem;
  font: 1.1rem/1.6 system-ui, sans-serif;
  color: #1d2433;
}
`;

const packageJson = (name: string): string =>
  `${JSON.stringify(
    {
      name,
      private: true,
      type: 'module',
      scripts: { build: 'selvedge build', deploy: 'selvedge deploy' },
    },
    null,
    2,
  )}\n`;

const readme = (name: string): string => `# ${name}

A site for Selvedge.

- \`selvedge start\` runs the platform on this machine (once, in any folder above this one).
- \`selvedge deploy\` builds the project, sends it and prints its address.
- \`selvedge logs --follow\` shows what happens.

Routes are in \`routes.ts\`, the servers that they may call in \`selvedge.config.ts\`, files in \`public/\`.
`;
