/**
 * Finding elements in HTML without a DOM, which service workers do not have: a scan over start and end tags, and
 * selectors of tag, `#id`, `.class`, `[name]`, `[name=value]` (also `^=`, `$=`, `*=`), descendant, child, and lists.
 * What else a selector may hold is refused, instead of finding nothing.
 */

export type Attributes = ReadonlyMap<string, string>;
interface Element {
  readonly tag: string;
  readonly attributes: Attributes;
}
type Test = (element: Element) => boolean;
interface Step {
  readonly tests: readonly Test[];
  /** Directly below the step before. */
  readonly child: boolean;
}

const VOID = new Set([
  'area',
  'base',
  'br',
  'col',
  'embed',
  'hr',
  'img',
  'input',
  'link',
  'meta',
  'source',
  'track',
  'wbr',
]);
const TAG = /<!--[\s\S]*?(?:-->|$)|<(\/?)([a-z][^\s/>]*)((?:[^>"']|"[^"]*"|'[^']*')*)>/gi;
const ATTRIBUTE = /([^\s=/"'>]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g;
const PART = /^(?:([a-z][\w-]*|\*)|#([\w-]+)|\.([\w-]+)|\[([\w:-]+)(?:([\^$*]?)=(?:"([^"]*)"|'([^']*)'|([^\]]*)))?\])/i;

/** Attributes of the elements that fit, in their order. Throws a `SyntaxError` for a selector that is not understood. */
export function findElements(html: string, selector: string): Attributes[] {
  const paths = selector.split(',').map((part) => parsePath(part.trim(), selector));
  const open: Element[] = [];
  const found: Attributes[] = [];
  let rawUntil = '';
  for (const [, slash, name, text] of html.matchAll(TAG)) {
    if (name === undefined) continue;
    const tag = name.toLowerCase();
    if (rawUntil !== '' && !(slash && tag === rawUntil)) continue;
    rawUntil = '';
    if (slash) {
      const at = open.findLastIndex((element) => element.tag === tag);
      if (at >= 0) open.length = at;
      continue;
    }
    const element: Element = { tag, attributes: readAttributes(text ?? '') };
    if (paths.some((path) => fits(path, path.length - 1, element, open))) found.push(element.attributes);
    if (tag === 'script' || tag === 'style') rawUntil = tag;
    if (!VOID.has(tag) && !text?.endsWith('/')) open.push(element);
  }
  return found;
}

function readAttributes(text: string): Attributes {
  const attributes = new Map<string, string>();
  for (const [, name, double, single, bare] of text.matchAll(ATTRIBUTE))
    attributes.set(name!.toLowerCase(), (double ?? single ?? bare ?? '').replaceAll('&amp;', '&'));
  return attributes;
}

function fits(path: readonly Step[], at: number, element: Element, above: readonly Element[]): boolean {
  const step = path[at]!;
  if (!step.tests.every((test) => test(element))) return false;
  if (at === 0) return true;
  const nearest = above.length - 1;
  const furthest = step.child ? nearest : 0;
  for (let index = nearest; index >= furthest && index >= 0; index--)
    if (fits(path, at - 1, above[index]!, above.slice(0, index))) return true;
  return false;
}

function parsePath(path: string, selector: string): Step[] {
  const steps: Step[] = [];
  let child = false;
  for (const word of path.replaceAll(/\s*>\s*/g, ' > ').match(/(?:\[[^\]]*\]|[^\s[])+/g) ?? []) {
    if (word !== '>') steps.push({ tests: parseCompound(word, selector), child });
    child = word === '>';
  }
  if (steps.length === 0 || child) throw new SyntaxError(`selector '${selector}' is not complete`);
  return steps;
}

function parseCompound(word: string, selector: string): Test[] {
  const tests: Test[] = [];
  for (let rest = word; rest !== ''; ) {
    const part = PART.exec(rest);
    if (!part) throw new SyntaxError(`selector '${selector}': '${rest}' is not supported in a service worker`);
    tests.push(testOf(part));
    rest = rest.slice(part[0].length);
  }
  return tests;
}

function testOf([, tag, id, className, name, mode, double, single, bare]: RegExpExecArray): Test {
  if (tag !== undefined) return (element) => tag === '*' || element.tag === tag.toLowerCase();
  if (id !== undefined) return ({ attributes }) => attributes.get('id') === id;
  if (className !== undefined)
    return ({ attributes }) => (attributes.get('class') ?? '').split(/\s+/).includes(className);
  const wanted = double ?? single ?? bare;
  return ({ attributes }) => {
    const value = attributes.get(name!.toLowerCase());
    if (value === undefined || wanted === undefined) return value !== undefined;
    if (mode === '^') return value.startsWith(wanted);
    if (mode === '$') return value.endsWith(wanted);
    return mode === '*' ? value.includes(wanted) : value === wanted;
  };
}
