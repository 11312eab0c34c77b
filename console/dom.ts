/** Elements as expressions. Text is always text: nothing that a request carried can become markup. */

type Child = Node | string | number | null | undefined | false | readonly Child[];
interface Props {
  readonly class?: string;
  readonly on?: Readonly<Record<string, (event: Event) => void>>;
  readonly style?: Readonly<Record<string, string>>;
  readonly [attribute: string]: unknown;
}

export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === false || value === null) continue;
    if (name === 'on') for (const [event, hear] of Object.entries(props.on!)) element.addEventListener(event, hear);
    // By property, because the page's policy forbids style attributes.
    else if (name === 'style')
      for (const [key, text] of Object.entries(props.style!)) element.style.setProperty(key, text);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  append(element, children);
  return element;
}

function append(parent: Node, children: readonly Child[]): void {
  for (const child of children) {
    if (Array.isArray(child)) append(parent, child);
    else if (child !== null && child !== undefined && child !== false) {
      parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
    }
  }
}

/** `<dl>` of what is there. */
export const facts = (rows: readonly (readonly [name: string, value: Child])[]): HTMLElement =>
  h(
    'dl',
    { class: 'facts' },
    rows
      .filter(([, value]) => value !== undefined && value !== '' && value !== null)
      .map(([name, value]) => [h('dt', {}, name), h('dd', {}, value)]),
  );

export const table = (heads: readonly string[], rows: readonly (readonly Child[])[], empty: string): HTMLElement =>
  rows.length === 0
    ? h('p', { class: 'dim' }, empty)
    : h(
        'div',
        { class: 'scroll' },
        h(
          'table',
          {},
          h(
            'thead',
            {},
            h(
              'tr',
              {},
              heads.map((head) => h('th', { scope: 'col' }, head)),
            ),
          ),
          h(
            'tbody',
            {},
            rows.map((cells) =>
              h(
                'tr',
                {},
                cells.map((cell) => h('td', {}, cell)),
              ),
            ),
          ),
        ),
      );

/** A command with a button that copies it. */
export function command(text: string): HTMLElement {
  const button = h('button', { type: 'button', class: 'copy', on: { click: () => void copy() } }, 'copy');
  return h('div', { class: 'command' }, h('pre', {}, text), button);
  async function copy(): Promise<void> {
    await navigator.clipboard.writeText(text);
    button.textContent = 'copied';
  }
}

export const duration = (ms: number): string =>
  ms < 1 ? '<1 ms' : ms < 10_000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
export const moment = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
