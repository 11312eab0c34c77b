/** The lab: a button for every failure that the platform can attribute; each is provoked for real and then told. */
import type { LabCaseView, LabRunLine } from '../../src/control/contract.ts';
import { ApiError, get, lines } from '../api.ts';
import { h } from '../dom.ts';
import { storyView } from './story.ts';

export async function labPage(): Promise<HTMLElement> {
  const { cases } = await get<{ cases: LabCaseView[] }>('/v1/lab');
  const result = h(
    'div',
    { class: 'result', 'aria-live': 'polite' },
    h('p', { class: 'dim' }, 'Choose a failure. It happens on a platform of its own, beside this one.'),
  );
  const byCode = Map.groupBy(cases, ({ code }) => code);
  const groups = [...byCode]
    .sort(([a], [b]) => a - b)
    .map(([code, variants]) =>
      h(
        'div',
        { class: 'group' },
        h('h3', {}, h('a', { href: `#/codes/${code}` }, code)),
        variants.map((it) =>
          h(
            'button',
            {
              type: 'button',
              title: it.how,
              on: { click: (event: Event) => void play(it, event.currentTarget as HTMLButtonElement, result) },
            },
            it.variant,
          ),
        ),
      ),
    );
  return h('section', { class: 'lab' }, h('div', {}, h('h1', {}, 'Lab'), groups), result);
}

async function play(it: LabCaseView, button: HTMLButtonElement, result: HTMLElement): Promise<void> {
  button.disabled = true;
  result.replaceChildren(
    h('h2', {}, `${it.code} ${it.variant}`),
    h('p', {}, it.how),
    h('p', { class: 'dim' }, 'Provoking …'),
  );
  try {
    await lines<LabRunLine>('POST', '/v1/lab/runs', { code: it.code, variant: it.variant }, (line) => {
      const good = line.differences.length === 0;
      button.className = good ? 'good' : 'bad';
      result.replaceChildren(
        h('h2', {}, `${good ? '✓' : '✗'} ${line.code} ${line.variant}`),
        h('p', {}, line.how),
        h(
          'p',
          { class: good ? 'good' : 'bad' },
          `Expected ${line.code} from ${line.hop}; got ${line.got ?? 'nothing'}.`,
        ),
        h(
          'ul',
          {},
          line.differences.map((difference) => h('li', { class: 'bad' }, difference)),
        ),
        line.telling ? storyView(line.telling) : h('p', { class: 'dim' }, `Request ${line.requestId}`),
      );
    });
  } catch (error) {
    result.replaceChildren(
      h('p', { class: 'bad', role: 'alert' }, error instanceof ApiError ? error.message : String(error)),
    );
  } finally {
    button.disabled = false;
  }
}
