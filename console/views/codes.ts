/** The status catalogue. */
import type { CodeView } from '../../src/control/contract.ts';
import { get } from '../api.ts';
import { facts, h, table } from '../dom.ts';

export async function codesPage(): Promise<HTMLElement> {
  const { codes } = await get<{ codes: CodeView[] }>('/v1/codes');
  return h(
    'section',
    {},
    h('h1', {}, 'Codes'),
    table(
      ['Code', 'Name', 'Who acts', 'Raised by'],
      codes.map((it) => [h('a', { href: `#/codes/${it.code}` }, it.code), it.name, it.acts.join(', '), it.raisedBy]),
      'No codes.',
    ),
  );
}

export async function codePage(code: string): Promise<HTMLElement> {
  const it = await get<CodeView>(`/v1/codes/${code}`);
  return h(
    'section',
    {},
    h('h1', {}, `${it.code} ${it.name}`),
    h('p', {}, it.description),
    facts([
      ['who acts', it.acts.join(', ')],
      ['what to do', it.remedy],
      ['raised by', it.raisedBy],
      ['it is not', it.not],
      ['examples', it.examples.map((example) => h('div', {}, example))],
      ['provoke', h('a', { href: '#/lab' }, `selvedge lab ${it.code}`)],
    ]),
    h('h2', {}, it.causes.length === 1 ? 'Its one cause' : `Its ${it.causes.length} causes`),
    table(
      ['Cause', 'What happened', 'Phase', 'Who acts', 'Proxy-Status', 'Limit', 'Standard'],
      it.causes.map((cause) => [
        h('code', {}, cause.cause),
        cause.text,
        cause.phase,
        cause.acts,
        cause.proxyStatus,
        cause.limit ?? '',
        cause.standardStatus,
      ]),
      'None.',
    ),
  );
}
