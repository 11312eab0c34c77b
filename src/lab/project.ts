/** The projects that a world serves: backends and routes of its cases, composed into the files of ordinary projects. */
import type { Backend } from '../router/table.ts';
import type { LabPart, NamedPart } from './case.ts';
import type { PeerKit } from './kit.ts';
import type { PlatformProcess } from './platform-process.ts';

/** Files of one project. */
export type ProjectFiles = Readonly<Record<string, string>>;

export const projectOf = ({ project = 'lab' }: LabPart): string => project;

/** Project name → files; the peers that the cases need are opened on the way. */
export async function composeProjects(
  cases: readonly NamedPart[],
  kit: PeerKit,
  self: PlatformProcess,
): Promise<ReadonlyMap<string, ProjectFiles>> {
  const projects = new Map<string, ProjectFiles>();
  const byProject = Map.groupBy(cases, projectOf);
  // Worlds that are a part of this one ask for what every project has.
  if (!byProject.has('lab')) byProject.set('lab', []);
  for (const [name, members] of byProject) projects.set(name, await compose(name, members, kit, self));
  return projects;
}

async function compose(
  name: string,
  cases: readonly NamedPart[],
  kit: PeerKit,
  self: PlatformProcess,
): Promise<ProjectFiles> {
  const backends: Record<string, Backend> = {};
  await Promise.all(
    cases.map(async (one) => {
      if (one.backend) backends[backendName(one)] = await one.backend(kit, self);
    }),
  );
  const apps = cases.filter(({ app }) => app !== undefined);
  const routes = cases.flatMap((one) => [one.chain ?? '', routeText(one, backends[backendName(one)])]).filter(Boolean);
  return {
    'selvedge.config.js': `export default ${JSON.stringify({ name, backends, ...(apps.length > 0 ? { app: { entry: 'server.js' } } : {}) })};\n`,
    'routes.js': [
      `import { Router } from 'selvedge/router';`,
      ...cases.map(({ module = '' }) => module),
      `export default new Router()`,
      `  .match('/', ({ send }) => send('the lab is open'))`,
      `  .match('/through/:rest*', ({ compute }) => compute((req, res) => { res.body = 'through'; }))`,
      ...routes.map((text) => `  ${text}`),
      ';\n',
    ].join('\n'),
    ...(apps.length > 0 ? { 'server.js': serverText(apps) } : {}),
    'public/there.txt': 'there\n',
    ...Object.assign({}, ...cases.map(({ files = {} }) => files)),
  };
}

/** A Node server of the project's own, with a listener for each path. */
function serverText(cases: readonly NamedPart[]): string {
  const listeners = cases.map((one) => `  '/${one.name}': ${one.app},`);
  return [
    `import { createServer } from 'node:http';`,
    'const listeners = {',
    ...listeners,
    '};',
    `const idle = (request, response) => response.end('server');`,
    'const find = (url) => Object.entries(listeners).find(([path]) => url.startsWith(path))?.[1] ?? idle;',
    'createServer((request, response) => find(request.url)(request, response)).listen(process.env.PORT);',
    '',
  ].join('\n');
}

export const backendName = (it: NamedPart): string => it.name.replace('/', '-');

function routeText(it: NamedPart, backend: Backend | undefined): string {
  const path = `/${it.name}`;
  if (it.route) return `.match('${path}/:rest*', ${filled(it, backend)})`;
  if (it.handler) return `.match('${path}/:rest*', ({ compute }) => compute(${it.handler}))`;
  if (it.app) return `.match('${path}/:rest*', ({ renderWithApp }) => renderWithApp())`;
  return it.backend ? `.match('${path}/:rest*', ({ proxy }) => proxy('${backendName(it)}'))` : '';
}

/** `BACKEND` is the name of the case's backend, `BACKEND_URL` its address. */
function filled(it: NamedPart, backend: Backend | undefined): string {
  const { scheme = 'http', domainOrIp, port } = backend ?? { domainOrIp: '', port: 0 };
  return it
    .route!.replaceAll('BACKEND_URL', `${scheme}://${domainOrIp}:${port}/`)
    .replaceAll('BACKEND', backendName(it));
}
