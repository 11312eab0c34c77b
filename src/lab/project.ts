/** The projects that a world serves: backends and routes of its cases, composed into the files of ordinary projects. */
import type { Backend } from '../router/table.ts';
import { type LabCase, nameOf } from './case.ts';
import type { PeerKit } from './kit.ts';
import type { PlatformProcess } from './platform-process.ts';

/** Files of one project. */
export type ProjectFiles = Readonly<Record<string, string>>;

export const projectOf = ({ project = 'lab' }: LabCase): string => project;

/** Project name → files; the peers that the cases need are opened on the way. */
export async function composeProjects(
  cases: readonly LabCase[],
  kit: PeerKit,
  self: PlatformProcess,
): Promise<ReadonlyMap<string, ProjectFiles>> {
  const projects = new Map<string, ProjectFiles>();
  for (const [name, members] of Map.groupBy(cases, projectOf))
    projects.set(name, await compose(name, members, kit, self));
  return projects;
}

async function compose(
  name: string,
  cases: readonly LabCase[],
  kit: PeerKit,
  self: PlatformProcess,
): Promise<ProjectFiles> {
  const backends: Record<string, Backend> = {};
  await Promise.all(
    cases.map(async (one) => {
      if (one.backend) backends[backendName(one)] = await one.backend(kit, self);
    }),
  );
  const routes = cases.flatMap((one) => [one.chain ?? '', routeText(one)]).filter((text) => text !== '');
  return {
    'selvedge.config.js': `export default ${JSON.stringify({ name, backends })};\n`,
    'routes.js': [
      `import { Router } from 'selvedge/router';`,
      ...cases.map(({ module = '' }) => module),
      `export default new Router()`,
      `  .match('/', ({ send }) => send('the lab is open'))`,
      ...routes.map((text) => `  ${text}`),
      ';\n',
    ].join('\n'),
    'public/there.txt': 'there\n',
    ...Object.assign({}, ...cases.map(({ files = {} }) => files)),
  };
}

export const backendName = (it: LabCase): string => nameOf(it).replace('/', '-');

function routeText(it: LabCase): string {
  const path = `/${nameOf(it)}`;
  if (it.route) return `.match('${path}/:rest*', ${it.route.replaceAll('BACKEND', backendName(it))})`;
  if (it.handler) return `.match('${path}/:rest*', ({ compute }) => compute(${it.handler}))`;
  return it.backend ? `.match('${path}/:rest*', ({ proxy }) => proxy('${backendName(it)}'))` : '';
}
