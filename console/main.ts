/** The console: a page for each part of the address behind `#`, all of it from the Control API. */
import { ApiError, forgetToken, hasToken, setToken, takeToken } from './api.ts';
import { h } from './dom.ts';
import { codePage, codesPage } from './views/codes.ts';
import { environmentPage, environmentsPage } from './views/environments.ts';
import { labPage } from './views/lab.ts';
import { requestPage, requestsPage } from './views/requests.ts';

type View = (...parameters: string[]) => Promise<HTMLElement>;

const ROUTES: readonly (readonly [pattern: RegExp, view: View])[] = [
  [/^\/requests$/, requestsPage],
  [/^\/requests\/([^/]+)$/, requestPage],
  [/^\/codes$/, codesPage],
  [/^\/codes\/(\d{3})$/, codePage],
  [/^\/environments$/, environmentsPage],
  [/^\/environments\/([^/]+)\/([^/]+)$/, environmentPage],
  [/^\/lab$/, labPage],
];

const TABS = [
  ['#/requests', 'Requests'],
  ['#/environments', 'Environments'],
  ['#/codes', 'Codes'],
  ['#/lab', 'Lab'],
] as const;

const main = document.querySelector('main')!;
const nav = document.querySelector('nav')!;
/** Grows with each page, so that a slow one cannot overwrite the one after it. */
let turn = 0;

async function show(): Promise<void> {
  const mine = ++turn;
  const path = location.hash.replace(/^#/, '') || '/requests';
  nav.replaceChildren(
    ...TABS.map(([href, label]) =>
      h('a', { href, ...(path.startsWith(href.slice(1)) ? { 'aria-current': 'page' } : {}) }, label),
    ),
  );
  const page = hasToken() ? await open(path) : tokenPage();
  if (mine !== turn) return;
  main.replaceChildren(page);
  main.focus({ preventScroll: true });
}

async function open(path: string): Promise<HTMLElement> {
  for (const [pattern, view] of ROUTES) {
    const match = pattern.exec(path);
    if (!match) continue;
    try {
      return await view(...match.slice(1).map(decodeURIComponent));
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        forgetToken();
        return tokenPage(error.message);
      }
      return trouble(error);
    }
  }
  return h('p', {}, `There is no page ${path}.`);
}

const trouble = (error: unknown): HTMLElement =>
  h(
    'p',
    { class: 'bad', role: 'alert' },
    error instanceof ApiError ? error.message : `The control plane does not answer (${String(error)}).`,
  );

function tokenPage(problem?: string): HTMLElement {
  const input = h('input', {
    type: 'password',
    name: 'token',
    autocomplete: 'off',
    required: true,
    'aria-label': 'Token',
  });
  const submit = (event: Event): void => {
    event.preventDefault();
    setToken(input.value.trim());
    void show();
  };
  return h(
    'form',
    { class: 'token', on: { submit } },
    h('h1', {}, 'Token'),
    h(
      'p',
      {},
      'The control plane wants its bearer token. It is in the file ',
      h('code', {}, 'token'),
      ' of the data directory.',
    ),
    problem === undefined ? null : h('p', { class: 'bad', role: 'alert' }, problem),
    h('p', {}, input, ' ', h('button', {}, 'Open')),
  );
}

takeToken();
addEventListener('hashchange', () => {
  takeToken();
  void show();
});
void show();
