/** Recent failures, and any request by its id. */
import type { RequestSummary, RequestView } from '../../src/control/contract.ts';
import { get } from '../api.ts';
import { duration, h, moment, table } from '../dom.ts';
import { storyView } from './story.ts';

export async function requestsPage(): Promise<HTMLElement> {
  const { requests } = await get<{ requests: RequestSummary[] }>('/v1/requests?limit=100');
  return h(
    'section',
    {},
    h('h1', {}, 'Requests'),
    search(),
    h('h2', {}, 'Newest failures'),
    table(
      ['Time (UTC)', 'Code', 'Cause', 'Next move', 'Took', 'Request'],
      requests.map((it) => [
        h('time', {}, moment(it.atMs)),
        h('b', {}, String(it.code ?? it.status ?? '—')),
        it.cause ?? it.end,
        it.acts ?? '',
        duration(it.durationMs),
        h(
          'a',
          { href: `#/requests/${encodeURIComponent(it.requestId)}` },
          `${it.method} ${it.host}${it.url}`.slice(0, 120),
        ),
      ]),
      'Nothing has failed.',
    ),
  );
}

function search(): HTMLElement {
  const input = h('input', {
    name: 'id',
    required: true,
    placeholder: 'x-sv-request-id of an answer',
    'aria-label': 'Request id',
    autocomplete: 'off',
  });
  const submit = (event: Event): void => {
    event.preventDefault();
    location.hash = `#/requests/${encodeURIComponent(input.value.trim())}`;
  };
  return h('form', { class: 'search', on: { submit } }, input, h('button', {}, 'Why?'));
}

export async function requestPage(id: string): Promise<HTMLElement> {
  const { tellings } = await get<RequestView>(`/v1/requests/${encodeURIComponent(id)}`);
  return h('section', {}, h('h1', { class: 'id' }, id), tellings.map(storyView));
}
