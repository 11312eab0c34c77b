/** Environments: what is active, going back, domains, and forgetting what the cache holds. */
import type {
  ControlStatus,
  DeploymentList,
  DomainList,
  EnvironmentList,
  PurgeView,
} from '../../src/control/contract.ts';
import { ApiError, call, get } from '../api.ts';
import { h, table } from '../dom.ts';

const pathOf = (project: string, name: string): string =>
  `/v1/projects/${encodeURIComponent(project)}/environments/${encodeURIComponent(name)}`;

export async function environmentsPage(): Promise<HTMLElement> {
  const [{ environments }, status] = await Promise.all([
    get<EnvironmentList>('/v1/projects'),
    get<ControlStatus>('/v1/status'),
  ]);
  return h(
    'section',
    {},
    h('h1', {}, 'Environments'),
    table(
      ['Environment', 'Active deployment', 'Version', 'Since'],
      environments.map((it) => [
        h('a', { href: `#/environments/${encodeURIComponent(it.project)}/${encodeURIComponent(it.name)}` }, it.id),
        it.deployment || 'none',
        it.version,
        h('time', {}, it.createdAt.slice(0, 19).replace('T', ' ')),
      ]),
      'Nothing has been deployed. npx selvedge deploy does that.',
    ),
    h('h2', {}, 'POPs'),
    table(
      ['Process', 'Confirmed configuration', 'Trouble'],
      status.pops.map((pop) => [pop.name, `${pop.version || 'none'} of ${status.version}`, pop.error ?? '']),
      'No POP is connected.',
    ),
  );
}

export async function environmentPage(project: string, name: string): Promise<HTMLElement> {
  const path = pathOf(project, name);
  const [{ deployments }, { domains }] = await Promise.all([
    get<DeploymentList>(`${path}/deployments`),
    get<DomainList>(`${path}/domains`),
  ]);
  const said = h('p', { role: 'status' });
  const act = async (work: () => Promise<string>): Promise<void> => {
    said.className = 'dim';
    said.textContent = 'Working …';
    try {
      said.textContent = await work();
      said.className = 'good';
    } catch (error) {
      said.textContent = error instanceof ApiError ? error.message : String(error);
      said.className = 'bad';
    }
  };
  const promote = (deployment: number): void =>
    void act(async () => {
      await call('POST', `${path}/promote`, { deployment });
      return `Deployment ${deployment} is active.`;
    });
  return h(
    'section',
    {},
    h('h1', {}, `${project} / ${name}`),
    said,
    h('h2', {}, 'Deployments'),
    table(
      ['Number', 'Made', 'Address', ''],
      deployments.map((it) => [
        it.number,
        it.createdAt.slice(0, 19).replace('T', ' '),
        h('a', { href: it.url }, it.url),
        it.active
          ? h('b', {}, 'active')
          : h('button', { type: 'button', on: { click: () => promote(it.number) } }, 'activate'),
      ]),
      'None.',
    ),
    h('h2', {}, 'Domains'),
    table(
      ['Name', 'Address'],
      domains.map((it) => [it.host, h('a', { href: it.url }, it.url)]),
      'No custom domains.',
    ),
    h('h2', {}, 'Purge'),
    purgeForm(path, act),
  );
}

type Act = (work: () => Promise<string>) => Promise<void>;

function purgeForm(path: string, act: Act): HTMLElement {
  const kind = h(
    'select',
    { name: 'kind', 'aria-label': 'What' },
    PURGES.map(([value, label]) => h('option', { value }, label)),
  );
  const value = h('input', { name: 'value', placeholder: '/products/*', 'aria-label': 'Path or key' });
  const soft = h('input', { type: 'checkbox', name: 'soft', id: 'soft' });
  const submit = (event: Event): void => {
    event.preventDefault();
    const what = kind.value === 'all' ? { all: true } : { [kind.value]: [value.value] };
    void act(async () => {
      const { done, pops } = await call<PurgeView>('POST', `${path}/purges`, {
        ...what,
        soft: soft.checked,
        wait: true,
      });
      const told = pops.filter(({ state }) => state === 'done').length;
      return `${done ? 'Purged' : 'Purging'}: ${told} of ${pops.length} POP processes have confirmed.`;
    });
  };
  return h(
    'form',
    { class: 'search', on: { submit } },
    kind,
    value,
    h('label', { for: 'soft' }, soft, ' keep as stale'),
    h('button', {}, 'Purge'),
  );
}

const PURGES = [
  ['paths', 'paths'],
  ['keys', 'surrogate key'],
  ['all', 'everything'],
] as const;
